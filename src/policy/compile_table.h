// Rows by key, and which of them changed since somebody wrote them elsewhere.
#pragma once

#include <map>

#include "base/sorted_chunks.h"

namespace causeway::policy {

template <class K, class V>
class Table {
 public:
  struct Row {
    K first;
    mutable V second;  // written by put() only
  };
  struct Less {
    bool operator()(const Row& a, const Row& b) const { return a.first < b.first; }
    bool operator()(const Row& a, const K& b) const { return a.first < b; }
    bool operator()(const K& a, const Row& b) const { return a < b.first; }
  };
  // In the order of their keys; (key, row) as of a map. A change invalidates iterators and what they point to.
  struct Rows : SortedChunks<Row, Less> {
    auto lower_bound(const K& key) const { return SortedChunks<Row, Less>::lower_bound(key); }
  };
  using Keys = SortedChunks<K, std::less<>>;

  const Rows& rows() const { return rows_; }
  // The keys whose row changed, came or went since clean().
  const Keys& dirty() const { return dirty_; }
  void clean() { dirty_.clear(); }
  // nullptr: there is none. Until the next change.
  const V* find(const K& key) const {
    const auto at = rows_.find(key);
    return at == rows_.end() ? nullptr : &at->second;
  }
  void put(const K& key, V value) {
    if (rows_.empty() || rows_.back().first < key) {  // many that come in their order
      rows_.append({key, std::move(value)});
      if (dirty_.empty() || dirty_.back() < key)
        dirty_.append(key);
      else
        dirty_.insert(key);
      return;
    }
    const auto at = rows_.find(key);
    if (at == rows_.end()) {
      rows_.insert({key, std::move(value)});
    } else {
      if (at->second == value) return;
      at->second = std::move(value);
    }
    dirty_.insert(key);
  }
  void erase(const K& key) {
    if (rows_.erase(key)) dirty_.insert(key);
  }
  std::map<K, V> values() const {
    std::map<K, V> out;
    for (const auto& [key, value] : rows_) out.emplace_hint(out.end(), key, value);
    return out;
  }

 private:
  Rows rows_;
  Keys dirty_;
};

}  // namespace causeway::policy
