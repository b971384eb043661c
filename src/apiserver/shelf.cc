#include "apiserver/shelf.h"

#include <algorithm>

namespace causeway::apiserver {

ObjectPtr Shelf::find(const Key& key) const {
  auto it = current_.find(key);
  return it == current_.end() ? nullptr : it->second;
}

std::vector<ObjectPtr> Shelf::at(Revision revision, const Key& start) const {
  // What each object was before its first change after `revision`: the oldest such change is met last and wins.
  Objects undone;
  for (auto it = events_.rbegin(); it != events_.rend() && it->object->revision > revision; ++it)
    if (it->object->key >= start) undone.insert_or_assign(it->object->key, it->previous);

  std::vector<ObjectPtr> objects;
  auto now = current_.lower_bound(start);
  auto then = undone.begin();
  while (now != current_.end() || then != undone.end()) {
    if (then == undone.end() || (now != current_.end() && now->first < then->first)) {
      objects.push_back(now++->second);
      continue;
    }
    if (now != current_.end() && now->first == then->first) ++now;
    if (then->second) objects.push_back(then->second);
    ++then;
  }
  return objects;
}

uint64_t Shelf::position_after(Revision revision) const {
  auto it = std::upper_bound(events_.begin(), events_.end(), revision,
                             [](Revision revision, const Event& event) { return revision < event.object->revision; });
  return first_position_ + static_cast<uint64_t>(it - events_.begin());
}

const Event* Shelf::event(uint64_t position) const {
  if (position < first_position_ || position >= end_position()) return nullptr;
  return &events_[position - first_position_];
}

void Shelf::apply(Event event) {
  if (event.deleted)
    current_.erase(event.object->key);
  else
    current_.insert_or_assign(event.object->key, event.object);
  events_.push_back(std::move(event));
}

void Shelf::forget(Revision revision) {
  while (!events_.empty() && events_.front().object->revision <= revision) {
    events_.pop_front();
    ++first_position_;
  }
}

Shelf::Subscription::Subscription(Shelf& shelf, Loop& loop) : shelf_(shelf), bell_(loop) {
  self_ = shelf_.subscriptions_.insert(shelf_.subscriptions_.end(), this);
}

Shelf::Subscription::~Subscription() { shelf_.subscriptions_.erase(self_); }

Task<Status> Shelf::Subscription::wait() {
  CO_TRY(co_await bell_.next());
  co_return ok();
}

void Shelf::Subscription::ring() {
  // Once however often it is pulled: who waits finds all changes by its position.
  if (bell_.size() == 0) bell_.push(0);
}

void Shelf::ring() {
  for (Subscription* subscription : subscriptions_) subscription->ring();
}

}  // namespace causeway::apiserver
