#include "cluster/feed/feed.h"

#include <algorithm>

#include "base/heap.h"
#include "base/log.h"

namespace causeway::cluster {

namespace {

// So many objects at once leave a heap that one of the next changes would have to put in order: a start, a relist.
bool is_much(const ChangeSet& changes) {
  return changes.nodes.size() + changes.pods.size() + changes.namespaces.size() + changes.services.size() +
             changes.slices.size() + changes.policies.size() >
         1000;
}

}  // namespace

struct Feed::Runner {
  Runner(Loop& loop, Consumer& consumer) : consumer(consumer), work(loop) {}

  Consumer& consumer;
  Channel<bool> work;  // one item at most: "look at pending"
  ChangeSet pending;
  Generation pending_generation{};
  std::optional<TimePoint> pending_since;
  ConsumerState state;
  std::unique_ptr<Timer> retry;

  void wake() {
    if (work.size() == 0) work.push(true);
  }
};

// Somebody who awaits a generation.
struct Feed::Waiter {
  Generation generation;
  OneShot<bool> done;  // false: out of patience
};

Feed::Feed(Loop& loop, Model& model) : loop_(loop), model_(model), touched_(loop), scope_(loop) {}
Feed::~Feed() { scope_.cancel(); }

void Feed::add(Consumer& consumer) {
  Runner& runner = runners_.emplace_back(loop_, consumer);
  runner.state.name = std::string(consumer.name());
}

void Feed::start() {
  started_ = true;
  for (Runner& runner : runners_) scope_.spawn("apply " + runner.state.name, run(runner));
  flush();
}

// Hands what changed to every consumer; `awake` is at it already.
void Feed::flush(const Runner* awake) {
  collecting_.reset();
  collect_until_ = loop_.now() + kCollect;
  if (!started_) return;
  ChangeSet changes = model_.take_changes();
  const auto since = std::exchange(touched_at_, std::nullopt);
  for (Runner& runner : runners_) {
    if (!runner.pending_since) runner.pending_since = since;
    runner.pending.merge(changes);
    runner.pending_generation = changes.generation;
    if (&runner != awake) runner.wake();
  }
}

void Feed::touch() {
  if (touched_.size() == 0) touched_.push(true);
  if (!model_.changed()) return;
  if (!touched_at_) touched_at_ = loop_.now();
  if (!started_ || collecting_) return;
  // Zero is after what is being read now: a list, a burst of events.
  const Duration wait = std::max<Duration>(collect_until_ - loop_.now(), Duration(0));
  collecting_ = loop_.call_after(wait, [this] { flush(); });
}

void Feed::audit() {
  for (Runner& runner : runners_) {
    runner.consumer.forget();
    runner.wake();
  }
}

Task<void> Feed::run(Runner& runner) {
  Duration delay = kRetryFirst;
  for (;;) {
    auto work = co_await runner.work.next();
    if (!work) co_return;
    runner.retry.reset();
    // A consumer must not see a model that is ahead of its changes: one that is complete already, while the objects
    // that made it so are still to come, would have it delete them.
    if (model_.changed()) flush(&runner);
    const Generation target = runner.pending_generation;
    const auto since = std::exchange(runner.pending_since, std::nullopt);
    const bool much = is_much(runner.pending);
    if (!runner.pending.empty()) runner.consumer.changed(std::exchange(runner.pending, {}), model_);
    auto failures = co_await runner.consumer.apply();
    ConsumerState& state = runner.state;
    ++state.applies;
    if (!failures && failures.error().code() == Errc::Cancelled) co_return;
    if (failures) {
      // A failure is logged when it appears, not on every retry.
      for (const Failure& failure : *failures)
        if (std::ranges::none_of(state.failures, [&](const Failure& old) {
              return old.object == failure.object && old.error.message() == failure.error.message();
            }))
          log::error("{}: {}: {}", state.name, failure.object, failure.error.message());
      state.failures = std::move(*failures);
      state.error.clear();
      state.acknowledged = target;
      if (since) state.latency.observe(std::chrono::duration<double>(loop_.now() - *since).count());
    } else {
      if (state.error != failures.error().message()) log::error("{}: {}", state.name, failures.error().message());
      state.error = failures.error().message();
    }
    wake_waiters();
    if (much) settle_heap();
    if (state.error.empty() && state.failures.empty()) {
      delay = kRetryFirst;
      continue;
    }
    ++state.retries;
    runner.retry = loop_.call_after(delay, [&runner] { runner.wake(); });
    delay = std::min<Duration>(delay * 2, kRetryLast);
  }
}

Generation Feed::acknowledged() const {
  Generation least = model_.generation();
  for (const Runner& runner : runners_) least = std::min(least, runner.state.acknowledged);
  return least;
}

bool Feed::applied_once() const {
  return started_ && std::ranges::all_of(runners_, [](const Runner& runner) {
           return runner.state.applies > 0 && (runner.state.error.empty() || runner.state.acknowledged > Generation{});
         });
}

std::vector<Feed::ConsumerState> Feed::consumers() const {
  std::vector<ConsumerState> states;
  for (const Runner& runner : runners_) states.push_back(runner.state);
  return states;
}

void Feed::wake_waiters() {
  const Generation reached = acknowledged();
  for (Waiter* waiter : waiters_)
    if (waiter->generation <= reached) waiter->done.set(true);
}

namespace {
// Takes an entry out of a list on every way out of a coroutine.
template <class List>
struct Listed {
  List& list;
  typename List::iterator position;
  ~Listed() { list.erase(position); }
};
}  // namespace

Task<Status> Feed::applied(Generation generation, std::string object, Duration patience) {
  if (acknowledged() < generation) {
    Waiter waiter{generation, OneShot<bool>(loop_)};
    Listed<std::list<Waiter*>> listed{waiters_, waiters_.insert(waiters_.end(), &waiter)};
    auto timer = loop_.call_after(patience, [done = waiter.done]() mutable { done.set(false); });
    if (!CO_TRY(co_await waiter.done.get())) {
      std::string slow;
      for (const Runner& runner : runners_)
        if (runner.state.acknowledged < generation)
          slow += fmt::format("{}{}{}{}", slow.empty() ? "" : "; ", runner.state.name,
                              runner.state.error.empty() ? "" : ": ", runner.state.error);
      co_return fail(Errc::Timeout, "not applied within {} ms by {}", patience / 1ms, slow);
    }
  }
  for (const Runner& runner : runners_)
    for (const Failure& failure : runner.state.failures)
      if (failure.object == object) co_return fail(Error(failure.error).with("{}", runner.state.name));
  co_return ok();
}

void Feed::restore(std::vector<Attachment> attachments) {
  for (Attachment& attachment : attachments) model_.put(std::move(attachment));
  model_.set_synced(Source::Attachments);
  touch();
}

Task<Status> Feed::attach(Attachment attachment, Duration patience) {
  const AttachmentKey key = attachment.key;
  const Generation generation = model_.put(std::move(attachment));
  flush();
  auto status = co_await applied(generation, object_of(key), patience);
  if (status) co_return ok();
  model_.remove(key);
  flush();
  co_return fail(std::move(status.error()).with("attachment {}", key));
}

Task<Status> Feed::detach(AttachmentKey key, Duration patience) {
  const Generation generation = model_.remove(key);
  flush();
  co_return co_await applied(generation, object_of(key), patience);
}

}  // namespace causeway::cluster
