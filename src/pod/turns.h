// One call at a time for each attachment: a runtime that gives up on an ADD sends its DEL while the ADD still runs.
#pragma once

#include <deque>
#include <map>

#include "async/event.h"
#include "pod/record.h"

namespace causeway::pod {

class Turns {
 public:
  explicit Turns(Loop& loop) : loop_(loop) {}

  // Held until it is destroyed.
  class Turn {
   public:
    Turn(Turns& turns, Key key) : turns_(&turns), key_(std::move(key)) {}
    Turn(Turn&& other) noexcept : turns_(std::exchange(other.turns_, nullptr)), key_(std::move(other.key_)) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (turns_) turns_->pass(key_);
    }

   private:
    Turns* turns_;
    Key key_;
  };

  Task<Result<Turn>> take(Key key) {
    auto [queue, first] = queues_.try_emplace(key);
    if (!first) {
      const Waiter mine{++last_id_, OneShot<bool>(loop_)};
      queue->second.push_back(mine);
      auto given = OneShot<bool>(mine.given);
      if (auto waited = co_await given.get(); !waited) {  // cancelled: whoever is given the turn later must not be us
        if (mine.given.is_set())
          pass(key);
        else
          std::erase_if(queues_.at(key), [&](const Waiter& other) { return other.id == mine.id; });
        co_return fail(std::move(waited.error()));
      }
    }
    co_return Turn(*this, std::move(key));
  }

 private:
  struct Waiter {
    uint64_t id;
    OneShot<bool> given;
  };
  using Queue = std::deque<Waiter>;

  void pass(const Key& key) {
    const auto queue = queues_.find(key);
    if (queue->second.empty()) {
      queues_.erase(queue);
      return;
    }
    auto next = std::move(queue->second.front());
    queue->second.pop_front();
    next.given.set(true);
  }
  Loop& loop_;
  uint64_t last_id_ = 0;
  std::map<Key, Queue> queues_;
};

}  // namespace causeway::pod
