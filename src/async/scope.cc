#include "async/scope.h"

#include <cstdlib>

#include "base/log.h"

namespace causeway {

struct Scope::State {
  Cancellation cancellation;
  size_t running = 0;
};

namespace {

// The root of a task tree: starts at once, frees itself at the end.
struct Root {
  struct promise_type {
    Cancellation* cancellation = nullptr;
    promise_type(Cancellation* source, auto&&...) : cancellation(source) {}
    Root get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }
  };
};

Task<Status> as_status(Task<void> task) {
  co_await std::move(task);
  co_return ok();
}

Root run(Cancellation*, std::shared_ptr<size_t> running, std::string name, Task<Status> task) {
  auto status = co_await std::move(task);
  if (!status && status.error().code() != Errc::Cancelled) log::error("{}: {}", name, status.error().message());
  --*running;
}

}  // namespace

Scope::Scope(Loop&) : state_(std::make_shared<State>()) {}

Scope::~Scope() {
  cancel();
  if (state_->running != 0) {
    log::error("a task outlived its scope");
    std::abort();
  }
}

void Scope::spawn(std::string name, Task<Status> task) {
  ++state_->running;
  run(&state_->cancellation, std::shared_ptr<size_t>(state_, &state_->running), std::move(name), std::move(task));
}

void Scope::spawn(std::string name, Task<void> task) { spawn(std::move(name), as_status(std::move(task))); }

void Scope::cancel() {
  auto state = state_;
  state->cancellation.request();
}

size_t Scope::running() const { return state_->running; }

}  // namespace causeway
