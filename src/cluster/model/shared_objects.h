// Objects that the model shares with who remembers their old values: each with its key in it, in order of the keys.
#pragma once

#include <memory>

#include "base/sorted_chunks.h"

namespace causeway::cluster {

template <class Value>
class SharedObjects {
  using Shared = std::shared_ptr<const Value>;
  struct Less {
    bool operator()(const Shared& a, const Shared& b) const { return a->key < b->key; }
    bool operator()(const Shared& a, const auto& key) const { return a->key < key; }
    bool operator()(const auto& key, const Shared& b) const { return key < b->key; }
  };
  using Objects = SortedChunks<Shared, Less>;

 public:
  using key_type = std::remove_const_t<decltype(Value::key)>;

  // (key, object), as of a map.
  class const_iterator {
   public:
    explicit const_iterator(typename Objects::iterator at) : at_(at) {}
    std::pair<const key_type&, const Shared&> operator*() const { return {(*at_)->key, *at_}; }
    const_iterator& operator++() {
      ++at_;
      return *this;
    }
    friend bool operator==(const const_iterator&, const const_iterator&) = default;

   private:
    typename Objects::iterator at_;
  };

  size_t size() const { return objects_.size(); }
  bool empty() const { return objects_.empty(); }
  const_iterator begin() const { return const_iterator(objects_.begin()); }
  const_iterator end() const { return const_iterator(objects_.end()); }
  bool contains(const key_type& key) const { return objects_.contains(key); }
  // nullptr: there is none.
  Shared get(const key_type& key) const {
    const auto at = objects_.find(key);
    return at == objects_.end() ? nullptr : *at;
  }
  const Value* find(const key_type& key) const {
    const auto at = objects_.find(key);
    return at == objects_.end() ? nullptr : at->get();
  }
  // nullptr takes it away.
  void set(const key_type& key, Shared value) {
    objects_.erase(key);
    if (value) objects_.insert(std::move(value));
  }

 private:
  Objects objects_;
};

}  // namespace causeway::cluster
