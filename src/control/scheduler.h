// The scheduler's loop: binds each waiting Pod to the node that choose_node() names, and tries again those that fit
// nowhere whenever nodes or Pods change.
#pragma once

#include <map>
#include <set>

#include "async/scope.h"
#include "control/schedule.h"
#include "kube/client/cache.h"
#include "kube/client/events.h"

namespace causeway::control {

class Scheduler {
 public:
  // Borrows everything. Registers with the caches, which start later.
  Scheduler(Loop& loop, kube::Client& api, kube::Cache<kube::Node>& nodes, kube::Cache<kube::Pod>& pods,
            kube::EventRecorder& events);

 private:
  struct Assumed {  // bound by us; the cache does not show it yet
    kube::Pod pod;
    std::string node;
  };

  void pod_changed(const kube::Pod* old, const kube::Pod* now);
  void forget(const kube::Ref& ref);
  void retry_unfit();
  void wake();
  void schedule_all();
  void schedule(const kube::Ref& ref);
  Task<Status> bind(kube::Ref ref, std::string uid, std::string node);
  Task<Status> report(kube::Pod pod, std::string reason);

  Loop& loop_;
  kube::Client& api_;
  kube::Cache<kube::Node>& nodes_;
  kube::Cache<kube::Pod>& pods_;
  kube::EventRecorder& events_;

  NodeLoads loads_;
  std::set<kube::Ref> waiting_;
  std::map<kube::Ref, std::string> unfit_;  // Pod -> the reason last reported
  std::map<kube::Ref, Assumed> assumed_;
  bool woken_ = false;
  Scope scope_;  // last
};

}  // namespace causeway::control
