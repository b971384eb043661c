// What tasks wait for: a value that arrives once (OneShot), or a queue of values (Channel). Both are set from the
// loop's thread; the waiter resumes from the loop, never inside set().
#pragma once

#include <deque>
#include <memory>
#include <optional>

#include "async/loop.h"

namespace causeway {

namespace detail {

// At most one coroutine that waits until wake() or cancellation.
class Gate final : public std::enable_shared_from_this<Gate>, private Suspended {
 public:
  explicit Gate(Loop& loop) : loop_(loop) {}

  void wake();  // resumes the waiter soon
  struct Awaiter {
    std::shared_ptr<Gate> gate;
    bool cancelled = false;
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> handle) {
      return gate->suspend(handle, handle.promise().cancellation, &cancelled);
    }
    bool await_resume() const noexcept { return !cancelled; }  // false: cancelled
  };
  Awaiter wait() { return Awaiter{shared_from_this()}; }

 private:
  bool suspend(std::coroutine_handle<> handle, Cancellation* cancellation, bool* cancelled);
  void cancel() override;
  void resume();

  Loop& loop_;
  std::coroutine_handle<> waiter_;
  Cancellation* cancellation_ = nullptr;
  Cancellation::Ticket ticket_;
  bool* cancelled_ = nullptr;
  bool woken_ = false;
};

std::unexpected<Error> cancelled();

}  // namespace detail

// A value that arrives once. Copies share it: one copy sets, one awaits.
template <class T>
class OneShot {
 public:
  explicit OneShot(Loop& loop) : state_(std::make_shared<State>(loop)) {}

  // The first value wins.
  void set(T value) {
    if (state_->value) return;
    state_->value.emplace(std::move(value));
    state_->gate->wake();
  }
  bool is_set() const { return state_->value.has_value(); }
  Task<Result<T>> get() { return wait(state_); }

 private:
  struct State {
    explicit State(Loop& loop) : gate(std::make_shared<detail::Gate>(loop)) {}
    std::shared_ptr<detail::Gate> gate;
    std::optional<T> value;
  };
  static Task<Result<T>> wait(std::shared_ptr<State> state) {
    while (!state->value)
      if (!co_await state->gate->wait()) co_return detail::cancelled();
    co_return std::move(*state->value);
  }
  std::shared_ptr<State> state_;
};

// A queue with one reader. Copies share it.
template <class T>
class Channel {
 public:
  explicit Channel(Loop& loop) : state_(std::make_shared<State>(loop)) {}

  void push(T value) {
    state_->queue.push_back(std::move(value));
    state_->gate->wake();
  }
  // After the queue is empty the reader gets this error.
  void close(Error reason) {
    if (!state_->closed) state_->closed = std::move(reason);
    state_->gate->wake();
  }
  size_t size() const { return state_->queue.size(); }
  Task<Result<T>> next() { return wait(state_); }
  // What is queued now, without waiting.
  std::optional<T> try_next() {
    if (state_->queue.empty()) return std::nullopt;
    std::optional<T> value(std::move(state_->queue.front()));
    state_->queue.pop_front();
    return value;
  }

 private:
  struct State {
    explicit State(Loop& loop) : gate(std::make_shared<detail::Gate>(loop)) {}
    std::shared_ptr<detail::Gate> gate;
    std::deque<T> queue;
    std::optional<Error> closed;
  };
  static Task<Result<T>> wait(std::shared_ptr<State> state) {
    while (state->queue.empty()) {
      if (state->closed) co_return fail(*state->closed);
      if (!co_await state->gate->wait()) co_return detail::cancelled();
    }
    T value = std::move(state->queue.front());
    state->queue.pop_front();
    co_return value;
  }
  std::shared_ptr<State> state_;
};

}  // namespace causeway
