// The StatefulSet controller: Pods with a name each, made and replaced in order.
#pragma once

#include <map>
#include <set>

#include "control/key_queue.h"
#include "control/revisions.h"
#include "control/stateful.h"
#include "kube/client/cache.h"
#include "kube/client/events.h"

namespace causeway::control {

class StatefulSets {
 public:
  // Borrows everything. Registers with the caches, which start later.
  StatefulSets(Loop& loop, kube::Client& api, kube::Cache<kube::StatefulSet>& sets, kube::Cache<kube::Pod>& pods,
               Revisions& revisions, kube::EventRecorder& events);

 private:
  void pod_changed(const kube::Pod* old, const kube::Pod* now);
  Task<Status> reconcile(kube::Ref ref);
  Task<Status> adopt(kube::StatefulSet set);
  Task<Status> create(const kube::StatefulSet& set, StatefulPlan::New pod, const RevisionHistory& history);
  Task<Status> remove(const kube::StatefulSet& set, kube::Pod pod, bool failed);
  void tell_of_claims(const kube::StatefulSet& set);

  Loop& loop_;
  kube::Client& api_;
  kube::Cache<kube::StatefulSet>& sets_;
  kube::Cache<kube::Pod>& pods_;
  Revisions& revisions_;
  kube::EventRecorder& events_;
  std::map<std::string, std::set<kube::Ref>> owned_;  // StatefulSet uid -> its Pods
  KeyQueue queue_;                                    // last
};

}  // namespace causeway::control
