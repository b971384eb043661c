#include "async/event.h"

#include <cstdlib>

namespace causeway::detail {

std::unexpected<Error> cancelled() { return fail(Errc::Cancelled, "cancelled"); }

bool Gate::suspend(std::coroutine_handle<> handle, Cancellation* cancellation, bool* cancelled) {
  if (waiter_) std::abort();  // two waiters: a bug of the caller
  if (cancellation && cancellation->requested()) {
    *cancelled = true;
    return false;
  }
  waiter_ = handle;
  cancelled_ = cancelled;
  cancellation_ = cancellation;
  if (cancellation_) ticket_ = cancellation_->enter(*this);
  return true;
}

void Gate::wake() {
  if (woken_ || !waiter_) return;
  woken_ = true;
  loop_.post([self = shared_from_this()] {
    self->woken_ = false;
    if (self->waiter_) self->resume();
  });
}

void Gate::cancel() {
  *cancelled_ = true;
  resume();
}

void Gate::resume() {
  auto keep = shared_from_this();
  if (cancellation_) cancellation_->leave(ticket_);
  cancellation_ = nullptr;
  std::exchange(waiter_, {}).resume();
}

}  // namespace causeway::detail

namespace causeway {

Task<Status> Loop::sleep(Duration delay) {
  OneShot<bool> done(*this);
  auto timer = call_after(delay, [done]() mutable { done.set(true); });
  CO_TRY(co_await done.get());
  co_return ok();
}

}  // namespace causeway
