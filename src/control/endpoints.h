// The Endpoints controller. Endpoints are deprecated since 1.33, and Conformance still looks at them.
#pragma once

#include <set>

#include "control/key_queue.h"
#include "control/selection.h"
#include "control/trigger_time.h"
#include "kube/client/events.h"

namespace causeway::control {

class EndpointsObjects {
 public:
  // Borrows everything. Registers with the caches, which start later.
  EndpointsObjects(Loop& loop, kube::Client& api, kube::Cache<kube::Service>& services, kube::Cache<kube::Pod>& pods,
                   kube::Cache<kube::Endpoints>& endpoints, Selection& selection, kube::EventRecorder& events);

 private:
  bool synced() const { return services_.synced() && pods_.synced() && endpoints_.synced(); }
  void look_at_all();
  Task<Status> reconcile(kube::Ref ref);
  Task<Status> remove(kube::Ref ref);

  kube::Client& api_;
  kube::Cache<kube::Service>& services_;
  kube::Cache<kube::Pod>& pods_;
  kube::Cache<kube::Endpoints>& endpoints_;
  Selection& selection_;
  kube::EventRecorder& events_;
  TriggerTimes trigger_times_;
  std::set<kube::Ref> known_;  // Services that were there: their Endpoints go with them
  KeyQueue queue_;             // last
};

}  // namespace causeway::control
