// The objects of a server: one revision counter, the current state and recent history in memory, every change
// durable before anybody sees it.
//
// A writer reads latest(), takes next_revision(), and awaits commit(), with no suspension in between: so the check and
// the change are one step. Changes that wait for the disk together share one transaction (group commit). Until then
// they are "staged": later writes build on them, reads and watches do not see them. When the disk refuses a
// transaction, it and all that was staged on top of it fail with one error, and nothing has changed.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "apiserver/database.h"
#include "apiserver/shelf.h"
#include "async/scope.h"
#include "async/worker_pool.h"

namespace causeway::apiserver {

// How much history is kept for watches, continue tokens and exact reads. A change is forgotten when it is beyond any
// maximum, or when it is older than `age` and not among the last `at_least`.
struct Retention {
  size_t at_least = 1000;
  Duration age = std::chrono::minutes(10);
  size_t at_most = 50'000;
  size_t bytes_at_most = 96 << 20;
};

struct StoreOptions {
  std::string path = ":memory:";
  size_t threads = 1;  // 1, or 0: commits run on the loop (simulations)
  Retention retention;
  IndexOf index_of;
};

class Store {
 public:
  static Result<std::unique_ptr<Store>> open(Loop& loop, StoreOptions options);
  Store(Loop& loop, StoreOptions options, Database database);
  ~Store();

  Revision revision() const { return revision_; }    // the newest that is visible
  Revision compacted() const { return compacted_; }  // history starts after this
  // Made on first use.
  Shelf& shelf(std::string_view resource);

  // What a write builds on: the staged state, else the visible one. Null: there is none.
  ObjectPtr latest(std::string_view resource, const Key& key) const;
  bool exists(std::string_view resource, const Key& key) const { return latest(resource, key) != nullptr; }

  Revision next_revision() { return ++reserved_; }
  // Returns when the change is durable and visible. `object->revision` is from next_revision(). Cancelling the awaiter
  // does not undo the change. Errors: Exhausted (disk full), Io.
  Task<Status> commit(Event change);

  // Forgets history by the retention; runs by itself every minute.
  Task<Status> compact();
  size_t history_bytes() const { return history_bytes_; }

  // Called with every change when it becomes visible, in order.
  void on_event(std::function<void(const Event&)> listener) { listeners_.push_back(std::move(listener)); }

 private:
  struct Pending {
    LogRow row;
    Event change;
    OneShot<Status> done;
  };
  struct HistoryEntry {
    Revision revision;
    TimePoint at;
    size_t bytes;
  };

  Status load();
  Task<Status> commit_batches();
  Task<Status> compact_regularly();
  void publish(std::vector<Pending>& batch);
  void refuse(std::vector<Pending>& batch, const Error& error);
  void remember(const Event& event);

  Loop& loop_;
  StoreOptions options_;
  Database database_;
  Revision revision_ = 1;
  Revision reserved_ = 1;
  Revision compacted_ = 0;
  std::map<std::string, std::unique_ptr<Shelf>, std::less<>> shelves_;
  // Null: staged for deletion.
  std::map<std::pair<std::string, Key>, Event, std::less<>> staged_;
  std::vector<Pending> queue_;
  Channel<char> queued_;
  std::deque<HistoryEntry> history_;
  size_t history_bytes_ = 0;
  std::vector<std::function<void(const Event&)>> listeners_;
  bool compacting_ = false;
  WorkerPool pool_;
  Scope scope_;
};

}  // namespace causeway::apiserver
