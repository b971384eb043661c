// Drives the consumers: collects changes of the model for a moment, lets each consumer compile and apply them, and
// tracks up to which generation each has acknowledged. Consumers work independently: a slow one delays only those who
// wait for its acknowledgement. Everything here runs on the loop's thread.
#pragma once

#include <list>

#include "async/scope.h"
#include "base/metric.h"
#include "cluster/feed/consumer.h"

namespace causeway::cluster {

class Feed {
 public:
  // A change is compiled as soon as what was read with it is in the model; those that follow within this time are
  // collected. Local attachments are compiled at once.
  static constexpr Duration kCollect = 5ms;
  static constexpr Duration kRetryFirst = 100ms;
  static constexpr Duration kRetryLast = 30s;

  Feed(Loop& loop, Model& model);
  ~Feed();  // cancels what still waits

  // Before start(). Borrows the consumer.
  void add(Consumer& consumer);
  // From here on changes are compiled and applied.
  void start();

  // --- local attachments (CNI) ---
  // What the journal still knows at start. Until this was called once, no endpoint is deleted from the kernel.
  void restore(std::vector<Attachment> attachments);
  // Ok when every consumer has acknowledged the attachment: its data path works. On error (a consumer could not apply
  // it, `patience` ended, or the caller was cancelled) it is no longer in the model.
  Task<Status> attach(Attachment attachment, Duration patience = 10s);
  // Ok when every consumer has acknowledged that it is gone. An unknown key is Ok.
  Task<Status> detach(AttachmentKey key, Duration patience = 10s);

  // --- for those who write the model from watches ---
  Model& model() { return model_; }
  // Call after writing: the consumers see it within kCollect.
  void touch();
  // Ok after touch() was called since the last call, before start() too. One waiter.
  Task<Result<bool>> touched() { return touched_.next(); }
  // Every consumer compares the kernel with its tables once more, and repairs what differs.
  void audit();

  // --- state, for readiness, metrics and `/tables` ---
  struct ConsumerState {
    std::string name;
    Generation acknowledged{};
    std::vector<Failure> failures;  // of the last apply()
    std::string error;              // why the last apply() said nothing; "" if it did
    uint64_t applies = 0;
    uint64_t retries = 0;
    // Seconds from the first touch() of a change until it was applied whole.
    Histogram latency{{0.0005, 0.001, 0.002, 0.003, 0.004, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5}};
  };
  std::vector<ConsumerState> consumers() const;
  // Every consumer has acknowledged at least the first state of the model.
  bool applied_once() const;
  // The generation that every consumer has acknowledged.
  Generation acknowledged() const;
  // Waits until every consumer has acknowledged the generation; the failures that concern `object` are an error.
  Task<Status> applied(Generation generation, std::string object, Duration patience);

 private:
  struct Runner;
  struct Waiter;

  void flush(const Runner* awake = nullptr);
  void wake_waiters();
  Task<void> run(Runner& runner);

  Loop& loop_;
  Model& model_;
  std::list<Runner> runners_;
  std::list<Waiter*> waiters_;
  std::unique_ptr<Timer> collecting_;
  TimePoint collect_until_{};
  std::optional<TimePoint> touched_at_;  // first since the last flush
  Channel<bool> touched_;
  bool started_ = false;
  Scope scope_;  // last: its tasks end before the rest
};

}  // namespace causeway::cluster
