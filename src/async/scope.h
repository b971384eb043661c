// A scope owns tasks: they end before it does. Destroying it cancels them and they unwind at once.
//
//   Scope scope(loop);
//   scope.spawn("watch nodes", watch_nodes(...));   // an error other than Cancelled is logged with this name
#pragma once

#include <memory>
#include <string>

#include "async/event.h"
#include "async/task.h"

namespace causeway {

class Scope {
 public:
  explicit Scope(Loop& loop);
  ~Scope();
  Scope(const Scope&) = delete;

  void spawn(std::string name, Task<Status> task);
  void spawn(std::string name, Task<void> task);
  // Idempotent; every task has ended when it returns, unless one of them called it.
  void cancel();
  size_t running() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

namespace detail {
template <class T>
Task<Status> settle(Task<T> task, OneShot<T> result) {
  result.set(co_await std::move(task));
  co_return ok();
}
}  // namespace detail

// Runs the loop until the task ends: main() of a command, and tests.
template <class T>
T run_until_done(Loop& loop, Task<T> task) {
  std::optional<T> result;
  Scope scope(loop);
  scope.spawn("main", [](Loop& loop, Task<T> task, std::optional<T>& result) -> Task<void> {
    result.emplace(co_await std::move(task));
    loop.stop();
  }(loop, std::move(task), result));
  if (!result) loop.run();
  if (!result) {  // the loop was stopped from outside
    scope.cancel();
    return T(std::unexpected(Error(Errc::Cancelled, "stopped")));
  }
  return std::move(*result);
}

}  // namespace causeway
