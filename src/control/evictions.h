// Taint eviction: a Pod that does not tolerate a NoExecute taint of its node is deleted, at once or after the time
// that it tolerates it for.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "control/key_queue.h"
#include "kube/client/cache.h"
#include "kube/client/events.h"

namespace causeway::control {

struct Stay {
  bool evict = false;                  // now
  std::optional<Duration> until_then;  // evict after that, if nothing changes
  std::string taint;                   // "key=value:NoExecute"
};
// Pure. A taint without timeAdded counts from `first_seen`.
Stay plan_stay(const kube::Pod& pod, const kube::Node& node, kube::Time now, kube::Time first_seen);

class Evictions {
 public:
  // Borrows everything. Registers with the caches, which start later.
  Evictions(Loop& loop, kube::Client& api, kube::Cache<kube::Node>& nodes, kube::Cache<kube::Pod>& pods,
            kube::EventRecorder& events);

 private:
  void look_at_pods_of(const std::string& node);
  Task<Status> reconcile(kube::Ref pod);

  Loop& loop_;
  kube::Client& api_;
  kube::Cache<kube::Node>& nodes_;
  kube::Cache<kube::Pod>& pods_;
  kube::EventRecorder& events_;
  std::map<std::string, kube::Time> tainted_;  // nodes with a NoExecute taint, and since when we know
  KeyQueue queue_;                             // last
};

}  // namespace causeway::control
