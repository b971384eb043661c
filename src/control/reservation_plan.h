// When an address that was kept for a Pod is free again. Pure.
//
// Kept as long as a Pod of the name exists, or its controller is to make one again: a StatefulSet that has the ordinal.
// A StatefulSet that is deleted gives its addresses back soon; one that is scaled down only when it stays so, because
// it is often scaled up again, and its Pods are then the old ones. A name that a ReplicaSet and its like made never
// comes again: its address is free soon. Other Pods (bare ones that somebody makes again) likewise. What has no owner
// was made by hand: nobody but people deletes it.
#pragma once

#include <optional>

#include "async/loop.h"
#include "kube/api/causeway.h"

namespace causeway::control {

// Who would make the Pod again.
enum class Maker {
  Wants,    // the StatefulSet has this ordinal
  Smaller,  // the StatefulSet has fewer
  Gone,     // there is none of that name
  Renames,  // what gives each Pod a name of its own: never this one again
  Nobody,   // nothing that makes Pods again under their names
};

struct ReservationRules {
  Duration after_deletion = 30s;  // as an address rests on a node
  Duration after_scaling = 600s;
};

// Nothing: it is kept. Else how long it has to be unused in a row.
std::optional<Duration> free_after(const kube::AddressReservationSpec& reservation, bool pod_exists, Maker maker,
                                   const ReservationRules& rules);

// Whether controllers of this kind name their Pods by metadata.generateName.
bool gives_new_names(std::string_view kind);

// The ordinal of "db-3" in the StatefulSet "db"; nothing: the name is not of that form.
std::optional<int64_t> ordinal_of(std::string_view pod, std::string_view set);

}  // namespace causeway::control
