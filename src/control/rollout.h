// What a Deployment needs next: the size of each of its ReplicaSets, and its status. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "async/loop.h"
#include "base/result.h"
#include "kube/api/types.h"

namespace causeway::control {

struct RolloutPlan {
  std::map<std::string, int32_t> scale;  // ReplicaSet name -> replicas it shall have; only those that change
  std::vector<std::string> remove;       // old ReplicaSets beyond the history limit
  kube::DeploymentStatus status;
  std::optional<Duration> recheck;  // the progress deadline
};

// maxSurge and maxUnavailable as numbers of Pods: percentages of `replicas`, surge rounded up and unavailable down;
// never both 0 (then one Pod may be unavailable).
struct RolloutLimits {
  int32_t surge = 0;
  int32_t unavailable = 0;
};
RolloutLimits rollout_limits(const kube::Deployment& deployment);

// `current`: the ReplicaSet of the present template, or null when it does not exist yet. `old`: the others, all owned.
RolloutPlan plan_rollout(const kube::Deployment& deployment, const kube::ReplicaSet* current,
                         const std::vector<const kube::ReplicaSet*>& old, kube::Time now);

inline constexpr const char* kRevisionAnnotation = "deployment.kubernetes.io/revision";
// On ReplicaSets: the Deployment's size, and with its surge, when the set was last scaled. A Deployment that differs
// has been scaled since: the sets of a rollout share the difference by their sizes.
inline constexpr const char* kDesiredAnnotation = "deployment.kubernetes.io/desired-replicas";
inline constexpr const char* kMostAnnotation = "deployment.kubernetes.io/max-replicas";
// What a ReplicaSet is annotated with: what the Deployment is (its change-cause), the revision, and the two above.
kube::StringMap set_annotations(const kube::Deployment& deployment, int64_t revision);
int64_t revision_of(const kube::ObjectMeta& meta);  // 0: none

}  // namespace causeway::control
