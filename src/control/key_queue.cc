#include "control/key_queue.h"

#include <algorithm>

#include "base/format.h"
#include "base/log.h"

namespace causeway::control {

KeyQueue::KeyQueue(Loop& loop, std::string name, size_t parallel, Reconcile reconcile)
    : loop_(loop), name_(std::move(name)), parallel_(parallel), reconcile_(std::move(reconcile)), scope_(loop) {}

void KeyQueue::add(const kube::Ref& ref) {
  auto& entry = entries_[ref];
  if (entry.running) {
    entry.again = true;
    return;
  }
  if (entry.queued) return;
  entry.queued = true;
  ready_.push_back(ref);
  if (!soon_)
    soon_ = loop_.call_after(0ms, [this] {
      soon_.reset();
      pump();
    });
}

void KeyQueue::add_after(const kube::Ref& ref, Duration delay) {
  auto& entry = entries_[ref];
  const auto due = loop_.now() + delay;
  if (entry.timer && entry.due <= due) return;
  entry.due = due;
  entry.timer = loop_.call_at(due, [this, ref] {
    entries_[ref].timer.reset();
    add(ref);
  });
}

void KeyQueue::pump() {
  while (running_ < parallel_ && !ready_.empty()) {
    const auto ref = std::move(ready_.front());
    ready_.pop_front();
    auto& entry = entries_[ref];
    entry.queued = false;
    entry.running = true;
    ++running_;
    scope_.spawn(name_, run(ref));
  }
}

Task<void> KeyQueue::run(kube::Ref ref) {
  auto status = co_await reconcile_(ref);
  if (!status && status.error().code() == Errc::Cancelled) co_return;
  auto& entry = entries_[ref];
  entry.running = false;
  --running_;
  if (status) {
    entry.failures = 0;
  } else {
    // A conflict is the ordinary way to learn that the object has changed.
    if (status.error().code() != Errc::Conflict) log::warning("{} {}: {}", name_, ref, status.error().message());
    add_after(ref, std::min<Duration>(kRetryFirst * (1 << std::min(entry.failures, 12)), kRetryLast));
    ++entry.failures;
  }
  if (std::exchange(entry.again, false)) add(ref);
  if (entry.idle()) entries_.erase(ref);
  pump();
}

namespace {

struct Parallel {
  size_t count;
  std::function<Task<Status>(size_t)> make;
  OneShot<bool> done;
  size_t next = 0;
  size_t workers = 0;
  std::optional<Error> error;
};

Task<void> work(Parallel& parallel) {
  while (parallel.next < parallel.count && !parallel.error) {
    auto status = co_await parallel.make(parallel.next++);
    if (!status && !parallel.error) parallel.error = std::move(status.error());
  }
  if (--parallel.workers == 0) parallel.done.set(true);
}

}  // namespace

Task<Status> in_parallel(Loop& loop, size_t count, size_t limit, std::function<Task<Status>(size_t)> make) {
  if (count == 0) co_return ok();
  Parallel parallel{.count = count, .make = std::move(make), .done = OneShot<bool>(loop)};
  Scope scope(loop);
  parallel.workers = std::min(count, limit);
  for (size_t i = std::min(count, limit); i > 0; --i) scope.spawn("parallel", work(parallel));
  CO_TRY(co_await parallel.done.get());
  if (parallel.error) co_return fail(std::move(*parallel.error));
  co_return ok();
}

}  // namespace causeway::control
