// A loop whose time stands still until the test moves it. Single thread, no file descriptors.
//
//   VirtualLoop loop;
//   scope.spawn("watch", watch_services(loop, api));
//   loop.advance(30s);   // returns at once
#pragma once

#include <deque>
#include <map>

#include "async/loop.h"

namespace causeway {

class VirtualLoop : public Loop {
 public:
  TimePoint now() const override { return now_; }
  WallTime wall_now() const override { return WallTime(kEpoch + now_.time_since_epoch()); }
  void post(Callback callback) override { ready_.push_back(std::move(callback)); }
  std::unique_ptr<Timer> call_at(TimePoint when, Callback callback) override;
  std::unique_ptr<FdWatch> watch(int fd) override;  // aborts: a simulation has no file descriptors
  void on_signal(std::initializer_list<int>, std::move_only_function<void(int)>) override {}
  // Moves time forward to the next timer, again and again, until stop() or nothing is left to do.
  void run() override;
  void stop() override { stopped_ = true; }

  // Runs what is ready now, without moving time.
  void run_ready();
  // Moves time by `step`; timers on the way run at their time.
  void advance(Duration step);

 private:
  class VirtualTimer;
  using Timers = std::multimap<TimePoint, Callback>;

  static constexpr Duration kEpoch = std::chrono::seconds(1'700'000'000);
  TimePoint now_{};
  std::deque<Callback> ready_;
  std::shared_ptr<Timers> timers_ = std::make_shared<Timers>();
  bool stopped_ = false;
  void fire_next();
};

}  // namespace causeway
