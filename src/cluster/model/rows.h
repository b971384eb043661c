// One table between compiler and kernel: the rows that shall be, whose they are, and which of them the kernel may hold
// differently (dirty). Work is proportional to what changed.
#pragma once

#include <map>
#include <set>
#include <vector>

namespace causeway::cluster {

template <class Owner, class K, class V>
class Rows {
 public:
  struct Row {
    V value;
    Owner owner;
  };

  // Replaces all rows of the owner.
  void replace(const Owner& owner, std::map<K, V> now) {
    if (auto old = of_.find(owner); old != of_.end()) {
      for (const K& key : old->second) {
        auto row = rows_.find(key);
        // A row that another owner took over in the same change stays.
        if (row == rows_.end() || row->second.owner != owner || now.contains(key)) continue;
        rows_.erase(row);
        dirty_.insert(key);
      }
      of_.erase(old);
    }
    if (now.empty()) return;
    std::vector<K>& keys = of_[owner];
    for (auto& [key, value] : now) {
      keys.push_back(key);
      auto row = rows_.find(key);
      if (row == rows_.end() || !(row->second.value == value)) dirty_.insert(key);
      rows_.insert_or_assign(key, Row{std::move(value), owner});
    }
  }

  // After looking at the kernel: dirty is what differs, in either direction.
  // `same(row value, actual value)`: the kernel's form of a row has no names.
  template <class Actual, class Same>
  void compare(const std::map<K, Actual>& actual, Same same) {
    dirty_.clear();
    for (const auto& [key, row] : rows_)
      if (auto it = actual.find(key); it == actual.end() || !same(row.value, it->second)) dirty_.insert(key);
    for (const auto& [key, value] : actual)
      if (!rows_.contains(key)) dirty_.insert(key);
  }

  const Row* find(const K& key) const {
    auto it = rows_.find(key);
    return it == rows_.end() ? nullptr : &it->second;
  }
  const std::map<K, Row>& rows() const { return rows_; }
  const std::set<K>& dirty() const { return dirty_; }
  void clean(const K& key) { dirty_.erase(key); }
  void clean() { dirty_.clear(); }

  std::map<K, V> values() const {
    std::map<K, V> out;
    for (const auto& [key, row] : rows_) out.emplace_hint(out.end(), key, row.value);
    return out;
  }

 private:
  std::map<K, Row> rows_;
  std::map<Owner, std::vector<K>> of_;
  std::set<K> dirty_;
};

}  // namespace causeway::cluster
