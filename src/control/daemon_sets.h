// The DaemonSet controller: one Pod on each node that its template fits.
#pragma once

#include <map>
#include <set>

#include "control/daemons.h"
#include "control/expected.h"
#include "control/key_queue.h"
#include "control/revisions.h"
#include "kube/client/cache.h"
#include "kube/client/events.h"

namespace causeway::control {

class DaemonSets {
 public:
  // Borrows everything. Registers with the caches, which start later.
  DaemonSets(Loop& loop, kube::Client& api, kube::Cache<kube::DaemonSet>& sets, kube::Cache<kube::Node>& nodes,
             kube::Cache<kube::Pod>& pods, Revisions& revisions, kube::EventRecorder& events);

 private:
  static constexpr size_t kParallel = 8;        // requests of one DaemonSet at once
  static constexpr Duration kFailedPause = 1s;  // until a Pod that ended is made again; doubles to 5 min

  struct Failures {
    int count = 0;
    TimePoint last{};
  };

  void pod_changed(const kube::Pod* old, const kube::Pod* now);
  void look_at_all();
  Task<Status> reconcile(kube::Ref ref);
  Task<Status> create(kube::DaemonSet set, std::string hash, std::vector<std::string> nodes);
  Task<Status> remove(kube::DaemonSet set, std::vector<std::pair<kube::Pod, bool>> pods);
  // Whether the failed Pod of this node may be replaced now; else how long to wait.
  std::optional<Duration> back_off(const std::string& uid, const std::string& node);

  Loop& loop_;
  kube::Client& api_;
  kube::Cache<kube::DaemonSet>& sets_;
  kube::Cache<kube::Node>& nodes_;
  kube::Cache<kube::Pod>& pods_;
  Revisions& revisions_;
  kube::EventRecorder& events_;
  std::map<std::string, std::set<kube::Ref>> owned_;                  // DaemonSet uid -> its Pods
  std::map<std::string, Expected> expected_;                          // DaemonSet uid
  std::map<std::pair<std::string, std::string>, Failures> failures_;  // DaemonSet uid, node
  KeyQueue queue_;                                                    // last
};

}  // namespace causeway::control
