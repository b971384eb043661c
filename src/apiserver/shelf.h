// All objects of one resource: the current state, and the recent changes that watches replay and that older snapshots
// are rebuilt from. Knows nothing of disks; the store puts here only what is durable.
#pragma once

#include <deque>
#include <list>
#include <map>
#include <vector>

#include "apiserver/object.h"
#include "async/event.h"

namespace causeway::apiserver {

class Shelf {
 public:
  using Objects = std::map<Key, ObjectPtr>;

  const Objects& current() const { return current_; }
  ObjectPtr find(const Key& key) const;

  // The objects as they were at `revision`, in key order, from `start` on (inclusive). The caller has checked that
  // history reaches back so far.
  std::vector<ObjectPtr> at(Revision revision, const Key& start = {}) const;

  // Position behind the last change at or before `revision`; positions grow by one for each change and stay valid.
  uint64_t position_after(Revision revision) const;
  uint64_t end_position() const { return first_position_ + events_.size(); }
  // The change at this position; null when it is behind the end, or was forgotten (position < first_position).
  const Event* event(uint64_t position) const;
  uint64_t first_position() const { return first_position_; }

  void apply(Event event);
  // Forgets changes at or before `revision`.
  void forget(Revision revision);

  // Gets a wake-up for each batch of changes, until it is destroyed.
  class Subscription {
   public:
    Subscription(Shelf& shelf, Loop& loop);
    ~Subscription();
    Subscription(const Subscription&) = delete;
    Task<Status> wait();
    void ring();  // wakes this one

   private:
    friend class Shelf;
    Shelf& shelf_;
    Channel<char> bell_;
    std::list<Subscription*>::iterator self_;
  };
  void ring();  // wakes the subscriptions
  size_t subscriptions() const { return subscriptions_.size(); }

 private:
  Objects current_;
  std::deque<Event> events_;
  uint64_t first_position_ = 0;
  std::list<Subscription*> subscriptions_;
};

}  // namespace causeway::apiserver
