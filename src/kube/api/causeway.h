// The kinds of our own group, causeway.io: custom resources on Kubernetes (deploy/), built into the embedded API
// server.
#pragma once

#include "base/ip.h"
#include "kube/api/meta.h"

namespace causeway::kube {

struct ReservationOwner {  // the controller of the Pod; empty: it has none
  std::string kind;
  std::string name;
  std::string uid;
  bool operator==(const ReservationOwner&) const = default;
};
struct AddressReservationSpec {
  std::string address;  // canonical (RFC 5952)
  std::string pod_namespace;
  std::string pod_name;
  std::optional<ReservationOwner> owner;  // absent: an operator made it; nobody but people deletes it
  std::string node_name;                  // where the Pod has it now, or had it last; empty: nowhere yet
  std::string pod_uid;                    // which Pod that is
  bool operator==(const AddressReservationSpec&) const = default;
};
// One address that is promised to one Pod by its name. Named after the address, so that the API server itself sees to
// it that nobody is promised the same: to create it is to win it.
struct AddressReservation {
  static constexpr KindInfo kKind{"causeway.io", "v1alpha1", "AddressReservation", "addressreservations", false};
  ObjectMeta metadata;
  AddressReservationSpec spec;
  bool operator==(const AddressReservation&) const = default;
};

// The name of the object: "10.244.1.7", "fd10-244--7" ("0--1" and "fd10--0" where a colon would stand at an end).
std::string reservation_name(const Ip& address);

}  // namespace causeway::kube
