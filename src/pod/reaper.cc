#include "pod/reaper.h"

#include "base/log.h"

namespace causeway::pod {

Reaper::Reaper(Loop& loop, WorkerPool& workers, Wiring& wiring)
    : loop_(loop), workers_(workers), wiring_(wiring), scope_(loop) {}

void Reaper::add(Place place) {
  waiting_.try_emplace(std::move(place));
  if (running_) return;
  if (waiting_.size() >= kBundle)
    start();
  else if (!timer_)
    timer_ = loop_.call_after(kCollect, [this] { start(); });
}

void Reaper::start() {
  timer_.reset();
  if (running_) return;
  running_ = true;
  scope_.spawn("delete the links of Pods", run());
}

Task<Status> Reaper::run() {
  while (!waiting_.empty()) {
    reaping_ = std::exchange(waiting_, {});
    for (;;) {
      auto done = CO_TRY(co_await workers_.run([wiring = &wiring_] { return wiring->reap(); }));
      if (done) break;
      log::warning("delete the links of Pods: {}; trying again in 1 s", done.error().message());
      CO_TRY(co_await loop_.sleep(kRetry));
    }
    for (auto& [place, waiters] : std::exchange(reaping_, {}))
      for (auto& waiter : waiters) waiter.set(true);
  }
  running_ = false;
  co_return ok();
}

Task<Status> Reaper::cleared(Place place) {
  // A place may be discarded again while it is reaped: the later bundle is the one to wait for.
  for (;;) {
    auto found = waiting_.find(place);
    if (found == waiting_.end()) {
      found = reaping_.find(place);
      if (found == reaping_.end()) co_return ok();
    }
    OneShot<bool> done(loop_);
    found->second.push_back(done);
    CO_TRY(co_await done.get());
  }
}

}  // namespace causeway::pod
