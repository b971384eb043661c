// One table between compiler and kernel: the rows that shall be, whose they are, and which of them the kernel may hold
// differently (dirty). Work is proportional to what changed. There may be 100,000 rows on every node: an owner is kept
// once, and what is dirty for a moment leaves no holes in the heap.
#pragma once

#include <map>
#include <memory_resource>
#include <set>
#include <vector>

namespace causeway::cluster {

template <class Owner, class K, class V>
class Rows {
 public:
  class Row {
   public:
    V value;
    const Owner& owner() const { return *owner_; }

   private:
    friend Rows;
    const Owner* owner_ = nullptr;             // a key of of_
    std::pair<const K, Row>* next_ = nullptr;  // of the same owner
  };

  Rows() = default;
  Rows(const Rows&) = delete;  // rows know where others are
  Rows& operator=(const Rows&) = delete;

  // Replaces all rows of the owner. A row that is another's becomes the owner's.
  void replace(const Owner& owner, std::map<K, V> now) {
    auto of = of_.find(owner);
    Entry* old = of == of_.end() ? nullptr : std::exchange(of->second, nullptr);
    if (!now.empty() && of == of_.end()) of = of_.emplace(owner, nullptr).first;
    while (old) {
      Entry* next = old->second.next_;
      if (now.contains(old->first)) {
        link(*old, of);
      } else {
        dirty_.insert(old->first);
        rows_.erase(rows_.find(old->first));
      }
      old = next;
    }
    if (now.empty()) {
      if (of != of_.end()) of_.erase(of);
      return;
    }
    for (auto& [key, value] : now) {
      auto [row, fresh] = rows_.try_emplace(key);
      if (fresh || !(row->second.value == value)) dirty_.insert(key);
      if (!fresh && row->second.owner_ != &of->first) unlink(*row);
      if (row->second.owner_ != &of->first) link(*row, of);
      row->second.value = std::move(value);
    }
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
  const std::map<K, Row>& rows() const { return rows_; }
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
  using Of = std::map<Owner, Entry*>;  // the first of each owner's rows

  static void link(Entry& row, typename Of::iterator of) {
    row.second.owner_ = &of->first;
    row.second.next_ = std::exchange(of->second, &row);
  }
  void unlink(Entry& row) {
    auto of = of_.find(*row.second.owner_);
    Entry** at = &of->second;
    while (*at != &row) at = &(*at)->second.next_;
    *at = row.second.next_;
    if (!of->second) of_.erase(of);
  }

  std::map<K, Row> rows_;
  Of of_;
  std::pmr::unsynchronized_pool_resource room_;  // of dirty_
  std::pmr::set<K> dirty_{&room_};
};

}  // namespace causeway::cluster
