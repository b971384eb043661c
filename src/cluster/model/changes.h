// What changed in the model since a consumer looked last. Coalesces: many updates of one object are one change, and
// an object that is back at its old value is none, so a slow consumer stays bounded by the size of the cluster.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "cluster/model/policies.h"
#include "cluster/model/services.h"

namespace causeway::cluster {

// Counts the changes of the model; 0 is the empty model.
enum class Generation : uint64_t {};
inline std::string to_string(Generation generation) { return std::to_string(static_cast<uint64_t>(generation)); }

// Where objects come from. Nothing that depends on a source is deleted before the source is complete.
enum class Source : uint8_t {
  Nodes,
  Pods,
  Namespaces,
  Attachments,
  Services,
  EndpointSlices,
  ServiceCidrs,
  Reservations,
  Policies,
  ClusterPolicies,  // known to be none where the API server has no such kind
};
std::string_view to_string(Source source);

// Key -> the value before the change (nullopt: it did not exist). The value after it is in the model.
template <class Key, class Value>
using Before = std::map<Key, std::optional<Value>>;

// The same of objects that the model shares; nullptr: it did not exist.
template <class Key, class Value>
using SharedBefore = std::map<Key, std::shared_ptr<const Value>>;

struct ChangeSet {
  Generation generation{};  // of the model after these changes
  Before<std::string, Node> nodes;
  Before<PodKey, Pod> pods;
  Before<std::string, Namespace> namespaces;
  Before<AttachmentKey, Attachment> attachments;
  SharedBefore<ServiceKey, Service> services;
  SharedBefore<SliceKey, EndpointSlice> slices;
  SharedBefore<PolicyKey, Policy> policies;
  Before<std::string, ServiceCidr> service_cidrs;
  Before<Ip, Reservation> reservations;
  std::set<ServiceKey> health;  // what this node found of the health of their endpoints
  bool renamed = false;         // the node facts' name changed
  bool facts = false;           // node facts changed: compile everything
  bool synced = false;          // a source became complete: deletions may be due

  bool empty() const {
    return nodes.empty() && pods.empty() && namespaces.empty() && attachments.empty() && services.empty() &&
           slices.empty() && service_cidrs.empty() && reservations.empty() && policies.empty() && health.empty() &&
           !renamed && !facts && !synced;
  }
  // Adds what happened after this set.
  void merge(const ChangeSet& later);
};

}  // namespace causeway::cluster
