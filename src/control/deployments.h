// The Deployment controller: one ReplicaSet for each Pod template, scaled so that the present one takes over.
#pragma once

#include <map>
#include <set>

#include "control/key_queue.h"
#include "control/rollout.h"
#include "kube/client/cache.h"
#include "kube/client/events.h"

namespace causeway::control {

class Deployments {
 public:
  // Borrows everything. Registers with the caches, which start later.
  Deployments(Loop& loop, kube::Client& api, kube::Cache<kube::Deployment>& deployments,
              kube::Cache<kube::ReplicaSet>& sets, kube::EventRecorder& events);

 private:
  void set_changed(const kube::ReplicaSet* old, const kube::ReplicaSet* now);
  Task<Status> reconcile(kube::Ref ref);
  Task<Status> create_set(const kube::Deployment& deployment, int64_t revision, int32_t replicas);
  Task<Status> scale(const kube::Deployment& deployment, const kube::ReplicaSet& set, int32_t replicas);
  Task<Status> annotate(const kube::Deployment& deployment, const kube::ReplicaSet& current, int64_t revision);

  Loop& loop_;
  kube::Client& api_;
  kube::Cache<kube::Deployment>& deployments_;
  kube::Cache<kube::ReplicaSet>& sets_;
  kube::EventRecorder& events_;
  std::map<std::string, std::set<kube::Ref>> owned_;  // Deployment uid -> its ReplicaSets
  KeyQueue queue_;                                    // last
};

}  // namespace causeway::control
