// What a ReplicaSet needs: how many Pods to create, which to delete, what its status is. Pure.
#pragma once

#include <vector>

#include "async/loop.h"
#include "kube/api/types.h"

namespace causeway::control {

struct ReplicaPlan {
  size_t create = 0;
  std::vector<const kube::Pod*> remove;  // in order: those that are missed least come first
  kube::ReplicaSetStatus status;
  // A Ready Pod becomes available then (minReadySeconds): look again.
  std::optional<Duration> recheck;
};

// `owned`: the Pods whose controller is this ReplicaSet. Pods that are finished or on their way out do not count.
ReplicaPlan plan_replicas(const kube::ReplicaSet& set, const std::vector<const kube::Pod*>& owned, kube::Time now);

bool is_active(const kube::Pod& pod);

}  // namespace causeway::control
