// An ordered set of small things, mostly pointers, in chunks of up to kMost: some 11 bytes for a pointer where a node
// of std::set takes 48. Changes invalidate iterators; what elements point to stays where it is. Less may compare an
// element with whatever it is looked for by.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

namespace causeway {

template <class T, class Less>
class SortedChunks {
  using Chunk = std::vector<T>;

 public:
  static constexpr size_t kMost = 128;

  class iterator {
   public:
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using reference = const T&;
    using pointer = const T*;
    using iterator_category = std::forward_iterator_tag;

    iterator() = default;
    reference operator*() const { return (*of_)[chunk_][at_]; }
    pointer operator->() const { return &**this; }
    iterator& operator++() {
      if (++at_ == (*of_)[chunk_].size()) ++chunk_, at_ = 0;
      return *this;
    }
    iterator operator++(int) { return std::exchange(*this, std::next(*this)); }
    friend bool operator==(const iterator& a, const iterator& b) { return a.chunk_ == b.chunk_ && a.at_ == b.at_; }

   private:
    friend SortedChunks;
    iterator(const std::vector<Chunk>& of, size_t chunk, size_t at) : of_(&of), chunk_(chunk), at_(at) {
      if (chunk_ < of.size() && at_ == of[chunk_].size()) ++chunk_, at_ = 0;
    }
    const std::vector<Chunk>* of_ = nullptr;
    size_t chunk_ = 0, at_ = 0;
  };
  using const_iterator = iterator;

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // How many it lies in: what it costs, kMost elements each.
  size_t chunks() const { return chunks_.size(); }
  iterator begin() const { return {chunks_, 0, 0}; }
  iterator end() const { return {chunks_, chunks_.size(), 0}; }
  void clear() {
    chunks_.clear();
    size_ = 0;
  }

  // The first that is not less than `key`; of those that equal a part of an element, the first of them.
  template <class Key>
  iterator lower_bound(const Key& key) const {
    if (chunks_.empty()) return end();
    const size_t chunk = chunk_of(key);
    return {chunks_, chunk, place_in(chunk, key)};
  }
  template <class Key>
  iterator find(const Key& key) const {
    const iterator at = lower_bound(key);
    return at == end() || Less{}(key, *at) ? end() : at;
  }
  template <class Key>
  bool contains(const Key& key) const {
    return find(key) != end();
  }

  // Where it is, and whether it is new: an equal one stays.
  std::pair<iterator, bool> insert(T item) {
    if (chunks_.empty()) chunks_.emplace_back();
    size_t chunk = chunk_of(item), at = place_in(chunk, item);
    if (at < chunks_[chunk].size() && !Less{}(item, chunks_[chunk][at])) return {{chunks_, chunk, at}, false};
    if (chunks_[chunk].size() == kMost) make_room(chunk, at);
    chunks_[chunk].insert(chunks_[chunk].begin() + static_cast<std::ptrdiff_t>(at), std::move(item));
    ++size_;
    return {{chunks_, chunk, at}, true};
  }
  // The greatest; there is one.
  const T& back() const { return chunks_.back().back(); }
  // Greater than all there are: in constant time.
  void append(T item) {
    if (chunks_.empty() || chunks_.back().size() == kMost) chunks_.emplace_back().reserve(kMost);
    chunks_.back().push_back(std::move(item));
    ++size_;
  }
  // The one behind it.
  iterator erase(iterator it) {
    Chunk& chunk = chunks_[it.chunk_];
    chunk.erase(chunk.begin() + static_cast<std::ptrdiff_t>(it.at_));
    --size_;
    const auto next = chunks_.begin() + static_cast<std::ptrdiff_t>(it.chunk_) + 1;
    if (chunk.empty()) {
      chunks_.erase(next - 1);
    } else if (next != chunks_.end() && chunk.size() + next->size() <= kMost / 2) {
      std::ranges::move(*next, std::back_inserter(chunk));
      chunks_.erase(next);
    }
    return {chunks_, it.chunk_, it.at_};
  }
  template <class Predicate>
  void erase_if(Predicate predicate) {
    size_ = 0;
    for (Chunk& chunk : chunks_) {
      std::erase_if(chunk, predicate);
      size_ += chunk.size();
    }
    std::erase_if(chunks_, [](const Chunk& chunk) { return chunk.empty(); });
  }
  template <class Key>
    requires(!std::same_as<Key, iterator>)
  bool erase(const Key& key) {
    const iterator at = find(key);
    if (at == end()) return false;
    erase(at);
    return true;
  }

 private:
  // The first one whose last element is not less; the last one where all are.
  template <class Key>
  size_t chunk_of(const Key& key) const {
    const auto at = std::partition_point(chunks_.begin(), chunks_.end(), [&](const Chunk& chunk) {
      return !chunk.empty() && Less{}(chunk.back(), key);
    });
    return static_cast<size_t>(at - chunks_.begin()) - (at == chunks_.end());
  }
  template <class Key>
  size_t place_in(size_t chunk, const Key& key) const {
    const Chunk& in = chunks_[chunk];
    const auto at =
        std::lower_bound(in.begin(), in.end(), key, [](const T& item, const Key& k) { return Less{}(item, k); });
    return static_cast<size_t>(at - in.begin());
  }

  // Of a full one, for what shall come to the place `at` in it: both may be others then.
  void make_room(size_t& chunk, size_t& at) {
    Chunk& full = chunks_[chunk];
    // What comes in order between others would leave half a chunk behind at each split: it moves on to there first.
    if (chunk && chunks_[chunk - 1].size() <= kMost - kMost / 8) {
      Chunk& before = chunks_[chunk - 1];
      const size_t moved = (kMost - before.size()) / 2;
      const auto rest = full.begin() + static_cast<std::ptrdiff_t>(moved);
      before.reserve(kMost);
      before.insert(before.end(), std::make_move_iterator(full.begin()), std::make_move_iterator(rest));
      full.erase(full.begin(), rest);
      if (at > moved)
        at -= moved;
      else
        at += before.size() - moved, --chunk;
      return;
    }
    // What comes in order behind all fills one chunk after the other.
    const bool last = chunk + 1 == chunks_.size() && at == kMost;
    const size_t keep = last ? kMost : kMost / 2;
    const auto rest = full.begin() + static_cast<std::ptrdiff_t>(keep);
    Chunk half;
    half.reserve(kMost);
    half.assign(std::make_move_iterator(rest), std::make_move_iterator(full.end()));
    full.erase(rest, full.end());
    chunks_.insert(chunks_.begin() + static_cast<std::ptrdiff_t>(chunk) + 1, std::move(half));
    if (at > keep || last) ++chunk, at -= keep;
  }

  std::vector<Chunk> chunks_;  // none is empty, but for the moment of an insert
  size_t size_ = 0;
};

}  // namespace causeway
