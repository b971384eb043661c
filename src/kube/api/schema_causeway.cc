// The fields of our own kinds, in the form of schema_table.cc.
#include "kube/api/schema_table.h"

namespace causeway::kube {

const char kOwnSchemaTable[] = R"table(
causeway.AddressReservation
 apiVersion string
 kind string
 metadata ObjectMeta
 spec causeway.AddressReservationSpec
causeway.AddressReservationSpec
 address string required
 podNamespace string required
 podName string required
 owner causeway.ReservationOwner
 nodeName string
 podUID string
causeway.ReservationOwner
 kind string required
 name string required
 uid string required
)table";

}  // namespace causeway::kube
