#include "async/virtual_loop.h"

#include <cstdlib>

namespace causeway {

class VirtualLoop::VirtualTimer : public Timer {
 public:
  VirtualTimer(std::shared_ptr<Timers> timers, std::shared_ptr<bool> pending, Timers::iterator at)
      : timers_(std::move(timers)), pending_(std::move(pending)), at_(at) {}
  ~VirtualTimer() override {
    if (*pending_) timers_->erase(at_);
  }

 private:
  std::shared_ptr<Timers> timers_;
  std::shared_ptr<bool> pending_;
  Timers::iterator at_;
};

std::unique_ptr<Timer> VirtualLoop::call_at(TimePoint when, Callback callback) {
  auto pending = std::make_shared<bool>(true);
  auto at = timers_->emplace(when, [pending, call = std::move(callback)]() mutable {
    *pending = false;
    call();
  });
  return std::make_unique<VirtualTimer>(timers_, pending, at);
}

std::unique_ptr<FdWatch> VirtualLoop::watch(int) { std::abort(); }

void VirtualLoop::run_ready() {
  while (!ready_.empty()) {
    auto callback = std::move(ready_.front());
    ready_.pop_front();
    callback();
  }
}

void VirtualLoop::fire_next() {
  auto first = timers_->begin();
  now_ = std::max(now_, first->first);
  auto callback = std::move(first->second);
  // The callback marks its timer as no longer pending before it runs, so the erase here is the only one.
  auto node = timers_->extract(first);
  callback();
  run_ready();
}

void VirtualLoop::advance(Duration step) {
  const auto end = now_ + step;
  run_ready();
  while (!timers_->empty() && timers_->begin()->first <= end) fire_next();
  now_ = end;
}

void VirtualLoop::run() {
  stopped_ = false;
  run_ready();
  while (!stopped_ && !timers_->empty()) fire_next();
}

}  // namespace causeway
