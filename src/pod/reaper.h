// Deletes Pods' links in bundles, after their DEL was answered: a single deletion costs the kernel 20 ms, a hundred
// in one message 60 ms.
#pragma once

#include <map>

#include "async/scope.h"
#include "async/worker_pool.h"
#include "pod/wiring.h"

namespace causeway::pod {

class Reaper {
 public:
  static constexpr Duration kCollect = 5ms;
  static constexpr size_t kBundle = 64;
  static constexpr Duration kRetry = 1s;

  Reaper(Loop& loop, WorkerPool& workers, Wiring& wiring);

  // The link was discarded; `place` is where a new one of the same name could not be made before it is gone.
  struct Place {
    netns::Id netns;
    std::string ifname;
    auto operator<=>(const Place&) const = default;
  };
  void add(Place place);
  // Ok when nothing is left to reap at that place.
  Task<Status> cleared(Place place);
  size_t waiting() const { return waiting_.size() + reaping_.size(); }

 private:
  using Places = std::map<Place, std::vector<OneShot<bool>>>;
  Task<Status> run();
  void start();

  Loop& loop_;
  WorkerPool& workers_;
  Wiring& wiring_;
  Places waiting_;
  Places reaping_;
  bool running_ = false;
  std::unique_ptr<Timer> timer_;
  Scope scope_;
};

}  // namespace causeway::pod
