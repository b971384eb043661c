// What a DaemonSet needs next: on which nodes to make a Pod, which Pods to delete, and its status. Pure; the rules are
// those of kubernetes pkg/controller/daemon.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "async/loop.h"
#include "kube/api/types.h"

namespace causeway::control {

struct DaemonPlan {
  struct Removal {
    const kube::Pod* pod = nullptr;
    bool failed = false;  // it has ended, and comes again
  };
  std::vector<std::string> create;  // names of nodes
  std::vector<Removal> remove;
  kube::DaemonSetStatus status;
  std::optional<Duration> recheck;  // a Ready Pod becomes available then (minReadySeconds)
};

// What every Pod of a DaemonSet tolerates (AddOrUpdateDaemonPodTolerations).
std::vector<kube::Toleration> daemon_tolerations(bool host_network);

// `sample`: a Pod as it would be made, but for no node in particular. `owned`: the Pods whose controller it is.
// `hash`: of the present template, as the Pods' label says it.
DaemonPlan plan_daemons(const kube::DaemonSet& set, const kube::Pod& sample,
                        const std::vector<const kube::Node*>& nodes, const std::vector<const kube::Pod*>& owned,
                        const std::string& hash, kube::Time now);

}  // namespace causeway::control
