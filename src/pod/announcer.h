// Says whether this node connects Pods, to those who act on it: the container runtime (the CNI configuration appears
// when the data path works and goes when it cannot), the scheduler (the Node's condition NetworkUnavailable) and people
// (Events, readiness).
#pragma once

#include "async/worker_pool.h"
#include "kube/client/events.h"
#include "pod/cni_folder.h"
#include "pod/node_condition.h"

namespace causeway::pod {

class Announcer {
 public:
  // Trouble is announced when it lasted for so long; most is over sooner, since those who have it try again. Nobody is
  // hurt meanwhile: an ADD is told to come again, while a runtime without a configuration calls its whole node not
  // ready, and an older one cannot even delete Pods.
  static constexpr Duration kGrace = 15s;
  // How often we look: others change the runtime's folders while we live, and a full disk gets room again.
  static constexpr Duration kLook = 5s;

  // Borrows all.
  Announcer(Loop& loop, WorkerPool& workers, kube::Client& api, kube::EventRecorder& events, std::string node,
            CniPlaces places);

  // Once, before the first tell(): removes the configuration that an earlier boot of the machine left; what this boot
  // announced stays, so that a restarted agent changes nothing for the runtime. Touches the disk.
  Status start();
  // Why Pods cannot be connected now; "" when they can. `life` tells one Node object of our name from the next (its
  // creation); 0: there is none, so there is no condition to set.
  void tell(std::string missing, int64_t life);

  // Why the runtime would not come to us although we can serve; "" when it does.
  std::string trouble() const;
  // The configuration of others that the runtime takes instead of ours; "" if it takes ours.
  const std::string& other_configuration() const { return before_ours_; }
  // Why our Node's condition is not what it should be; "" when it is.
  std::string condition_trouble() const { return condition_.trouble(); }

 private:
  enum class Standing { Undecided, Up, Down };

  Task<Status> run();
  Task<Status> step();
  Task<Status> keep_files();
  Task<Status> look_for_others();
  void go_up();
  Task<Status> go_down(std::string why);
  void record(kube::EventType type, std::string reason, std::string message);

  Loop& loop_;
  WorkerPool& workers_;
  kube::EventRecorder& events_;
  const std::string node_;
  const CniPlaces places_;
  NodeConditionWriter condition_;

  std::string missing_ = "starting";
  int64_t life_ = 0;
  TimePoint well_until_;       // since when something is missing
  std::string files_trouble_;  // what keeps plugin and configuration from being written; "" when they are there
  bool usable_ = false;        // the runtime has a plugin and a configuration of ours, perhaps older ones
  std::string before_ours_;    // a configuration of others that the runtime takes instead of ours
  Standing standing_ = Standing::Undecided;
  TimePoint said_;      // why it is down, in the condition
  Channel<bool> wake_;  // one item at most
  Scope scope_;         // last
};

}  // namespace causeway::pod
