// One table between compiler and kernel: the rows that shall be, whose they are, and which of them the kernel may hold
// differently (dirty). Work is proportional to what changed. There may be 100,000 rows on every node: they take little
// beside themselves, and what is dirty for a moment leaves no holes in the heap.
#pragma once

#include <map>
#include <memory_resource>
#include <set>
#include <vector>

#include "base/stable_map.h"

namespace causeway::cluster {

template <class Owner, class K, class V>
class Rows {
 public:
  class Row {
   public:
    V value;
    const Owner& owner() const { return owner_; }

   private:
    friend Rows;
    Owner owner_;
    std::pair<const K, Row>* next_ = nullptr;  // of the same owner
  };

  Rows() = default;
  Rows(const Rows&) = delete;  // rows know where others are
  Rows& operator=(const Rows&) = delete;

  // Replaces all rows of the owner. A row that is another's becomes the owner's.
  void replace(const Owner& owner, std::map<K, V> now) {
    Entry* old = nullptr;
    if (const auto of = of_.find(owner); of != of_.end()) {
      old = *of;
      of_.erase(of);
    }
    Entry* first = nullptr;
    while (old) {
      Entry* next = old->second.next_;
      if (now.contains(old->first)) {
        old->second.next_ = std::exchange(first, old);
      } else {
        dirty_.insert(old->first);
        rows_.erase(old->first);
      }
      old = next;
    }
    for (auto& [key, value] : now) {
      auto [row, fresh] = rows_.try_emplace(key);
      if (fresh || !(row->second.value == value)) dirty_.insert(key);
      if (fresh || !(row->second.owner_ == owner)) {
        if (!fresh) unlink(*row);
        row->second.owner_ = owner;
        row->second.next_ = std::exchange(first, &*row);
      }
      row->second.value = std::move(value);
    }
    if (first) of_.insert(first);
  }

  // After looking at the kernel: dirty is what differs, in either direction.
  // `same(row value, actual value)`: the kernel's form of a row has no names.
  template <class Actual, class Same>
  void compare(const std::map<K, Actual>& actual, Same same) {
    clean();
    auto is = actual.begin();
    for (const auto& [key, row] : rows_) {
      for (; is != actual.end() && is->first < key; ++is) dirty_.insert(dirty_.end(), is->first);
      const bool there = is != actual.end() && !(key < is->first);
      if (!there || !same(row.value, is->second)) dirty_.insert(dirty_.end(), key);
      if (there) ++is;
    }
    for (; is != actual.end(); ++is) dirty_.insert(dirty_.end(), is->first);
  }

  const Row* find(const K& key) const {
    auto it = rows_.find(key);
    return it == rows_.end() ? nullptr : &it->second;
  }
  const StableMap<K, Row>& rows() const { return rows_; }
  const std::pmr::set<K>& dirty() const { return dirty_; }
  void clean(const K& key) {
    dirty_.erase(key);
    if (dirty_.empty()) room_.release();
  }
  void clean() {
    dirty_.clear();
    room_.release();
  }

  std::map<K, V> values() const {
    std::map<K, V> out;
    for (const auto& [key, row] : rows_) out.emplace_hint(out.end(), key, row.value);
    return out;
  }

 private:
  using Entry = std::pair<const K, Row>;
  struct ByOwner {
    static const Owner& of(const Entry* row) { return row->second.owner_; }
    static const Owner& of(const Owner& owner) { return owner; }
    bool operator()(const auto& a, const auto& b) const { return of(a) < of(b); }
  };

  void unlink(Entry& row) {
    const auto of = of_.find(row.second.owner_);
    Entry* const first = *of;
    if (first == &row) {
      of_.erase(of);
      if (row.second.next_) of_.insert(row.second.next_);
      return;
    }
    Entry* at = first;
    while (at->second.next_ != &row) at = at->second.next_;
    at->second.next_ = row.second.next_;
  }

  StableMap<K, Row> rows_;
  SortedChunks<Entry*, ByOwner> of_;             // the first of each owner's rows
  std::pmr::unsynchronized_pool_resource room_;  // of dirty_
  std::pmr::set<K> dirty_{&room_};
};

}  // namespace causeway::cluster
