// The event loop: one thread that owns all mutable state of a process. Time comes from it, so that tests can move
// time (VirtualLoop).
#pragma once

#include <chrono>
#include <functional>
#include <initializer_list>
#include <memory>

#include "async/task.h"
#include "base/result.h"

namespace causeway {

using namespace std::chrono_literals;

using Duration = std::chrono::nanoseconds;
struct SteadyClock {};  // monotonic; its epoch means nothing
using TimePoint = std::chrono::time_point<SteadyClock, Duration>;
using WallTime = std::chrono::sys_time<Duration>;
using Callback = std::move_only_function<void()>;

// A pending call; destroying it cancels the call.
class Timer {
 public:
  virtual ~Timer() = default;
};

// Readiness of one file descriptor, which it borrows. At most one waiter for each direction.
class FdWatch {
 public:
  virtual ~FdWatch() = default;
  virtual Task<Status> readable() = 0;
  virtual Task<Status> writable() = 0;
};

class Loop {
 public:
  virtual ~Loop() = default;

  virtual TimePoint now() const = 0;
  virtual WallTime wall_now() const = 0;
  // Calls back on the loop's thread, after the current callback. The one member that other threads may call.
  virtual void post(Callback callback) = 0;
  virtual std::unique_ptr<Timer> call_at(TimePoint when, Callback callback) = 0;
  virtual std::unique_ptr<FdWatch> watch(int fd) = 0;
  // Calls back for each such signal until the loop ends. Only in main().
  virtual void on_signal(std::initializer_list<int> signals, std::move_only_function<void(int)> callback) = 0;
  // Runs until stop().
  virtual void run() = 0;
  virtual void stop() = 0;

  std::unique_ptr<Timer> call_after(Duration delay, Callback callback) {
    return call_at(now() + delay, std::move(callback));
  }
  // Ok after `delay`, or Cancelled.
  Task<Status> sleep(Duration delay);
};

// The real loop, over epoll (Boost.Asio).
std::unique_ptr<Loop> make_loop();

}  // namespace causeway
