// A map in order whose entries stay where they are, in half of the overhead of std::map's nodes: for tables of tens of
// thousands of rows. As std::map it is read and written; but a change invalidates iterators, pointers to entries stay.
#pragma once

#include <memory>
#include <stdexcept>

#include "base/sorted_chunks.h"

namespace causeway {

template <class K, class V>
class StableMap {
 public:
  using key_type = K;
  using mapped_type = V;
  using value_type = std::pair<const K, V>;

 private:
  using Owned = std::unique_ptr<value_type>;
  struct Less {
    static const K& key(const Owned& entry) { return entry->first; }
    static const K& key(const K& key) { return key; }
    bool operator()(const auto& a, const auto& b) const { return key(a) < key(b); }
  };
  using Entries = SortedChunks<Owned, Less>;

  template <class Value>
  class Iterator {
   public:
    using value_type = std::remove_const_t<Value>;
    using difference_type = std::ptrdiff_t;
    using reference = Value&;
    using pointer = Value*;
    using iterator_category = std::forward_iterator_tag;

    Iterator() = default;
    explicit Iterator(typename Entries::iterator at) : at_(at) {}
    operator Iterator<const Value>() const { return Iterator<const Value>(at_); }
    reference operator*() const { return **at_; }
    pointer operator->() const { return at_->get(); }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    Iterator operator++(int) { return std::exchange(*this, std::next(*this)); }
    friend bool operator==(const Iterator&, const Iterator&) = default;

   private:
    friend StableMap;
    typename Entries::iterator at_;
  };

 public:
  using iterator = Iterator<value_type>;
  using const_iterator = Iterator<const value_type>;

  size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }
  iterator begin() { return iterator(entries_.begin()); }
  iterator end() { return iterator(entries_.end()); }
  const_iterator begin() const { return const_iterator(entries_.begin()); }
  const_iterator end() const { return const_iterator(entries_.end()); }
  iterator find(const K& key) { return iterator(entries_.find(key)); }
  const_iterator find(const K& key) const { return const_iterator(entries_.find(key)); }
  iterator lower_bound(const K& key) { return iterator(entries_.lower_bound(key)); }
  const_iterator lower_bound(const K& key) const { return const_iterator(entries_.lower_bound(key)); }
  bool contains(const K& key) const { return entries_.contains(key); }

  template <class... Arguments>
  std::pair<iterator, bool> try_emplace(const K& key, Arguments&&... arguments) {
    if (auto found = find(key); found != end()) return {found, false};
    auto entry = std::make_unique<value_type>(std::piecewise_construct, std::forward_as_tuple(key),
                                              std::forward_as_tuple(std::forward<Arguments>(arguments)...));
    return {iterator(entries_.insert(std::move(entry)).first), true};
  }
  iterator erase(iterator at) { return iterator(entries_.erase(at.at_)); }
  size_t erase(const K& key) { return entries_.erase(key); }
  void clear() { entries_.clear(); }

 private:
  Entries entries_;
};

}  // namespace causeway
