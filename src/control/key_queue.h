// The loop of a controller: objects that need a look, each reconciled by one task at a time. A key that is added while
// its task runs is looked at once more afterwards; one that fails is tried again with back-off.
#pragma once

#include <deque>
#include <map>
#include <string>

#include "async/scope.h"
#include "kube/client/client.h"

namespace causeway::control {

class KeyQueue {
 public:
  using Reconcile = std::move_only_function<Task<Status>(kube::Ref)>;
  static constexpr Duration kRetryFirst = 50ms;
  static constexpr Duration kRetryLast = 30s;

  // `name` stands in log lines; at most `parallel` keys are worked on at once.
  KeyQueue(Loop& loop, std::string name, size_t parallel, Reconcile reconcile);

  void add(const kube::Ref& ref);
  // Looks at the key then; an earlier look stays.
  void add_after(const kube::Ref& ref, Duration delay);

 private:
  struct Entry {
    bool running = false;
    bool queued = false;
    bool again = false;  // added while it ran
    int failures = 0;
    TimePoint due{};
    std::unique_ptr<Timer> timer;
    bool idle() const { return !running && !queued && !again && failures == 0 && !timer; }
  };

  void pump();
  Task<void> run(kube::Ref ref);

  Loop& loop_;
  std::string name_;
  size_t parallel_;
  Reconcile reconcile_;
  std::map<kube::Ref, Entry> entries_;
  std::deque<kube::Ref> ready_;
  size_t running_ = 0;
  std::unique_ptr<Timer> soon_;  // one burst of events, one pump
  Scope scope_;                  // last
};

// Runs make(0) ... make(count - 1), at most `limit` at once. After the first error no further one starts; returns it.
// What `make` captures must outlive the call.
Task<Status> in_parallel(Loop& loop, size_t count, size_t limit, std::function<Task<Status>(size_t)> make);

}  // namespace causeway::control
