// The ReplicaSet controller: keeps as many Pods as each ReplicaSet wants.
#pragma once

#include <map>
#include <set>

#include "control/expected.h"
#include "control/key_queue.h"
#include "control/replicas.h"
#include "kube/client/cache.h"
#include "kube/client/events.h"

namespace causeway::control {

class ReplicaSets {
 public:
  // Borrows everything. Registers with the caches, which start later.
  ReplicaSets(Loop& loop, kube::Client& api, kube::Cache<kube::ReplicaSet>& sets, kube::Cache<kube::Pod>& pods,
              kube::EventRecorder& events);

 private:
  static constexpr size_t kParallel = 8;  // requests of one ReplicaSet at once

  void pod_changed(const kube::Pod* old, const kube::Pod* now);
  Task<Status> reconcile(kube::Ref ref);
  Task<Status> create(kube::ReplicaSet set, size_t count);
  Task<Status> remove(kube::ReplicaSet set, std::vector<kube::Pod> pods);

  Loop& loop_;
  kube::Client& api_;
  kube::Cache<kube::ReplicaSet>& sets_;
  kube::Cache<kube::Pod>& pods_;
  kube::EventRecorder& events_;
  std::map<std::string, std::set<kube::Ref>> owned_;  // ReplicaSet uid -> its Pods
  std::map<std::string, Expected> expected_;          // ReplicaSet uid
  KeyQueue queue_;                                    // last: its tasks use the above
};

}  // namespace causeway::control
