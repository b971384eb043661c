// A vector of 8 bytes, for objects that there are tens of thousands of and whose lists are short or empty: no room for
// an empty one, sizes beside the elements. What a std::vector is to everybody else.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace causeway {

template <class T>
class CompactVector {
 public:
  using value_type = T;
  using size_type = size_t;
  using reference = T&;
  using const_reference = const T&;
  using iterator = T*;
  using const_iterator = const T*;

  CompactVector() = default;
  CompactVector(std::initializer_list<T> items) { append(items.begin(), items.end()); }
  template <std::forward_iterator It>
  CompactVector(It first, It last) {
    append(first, last);
  }
  CompactVector(std::vector<T> items) {
    append(std::make_move_iterator(items.begin()), std::make_move_iterator(items.end()));
  }
  CompactVector(const CompactVector& other) { append(other.begin(), other.end()); }
  CompactVector(CompactVector&& other) noexcept : head_(std::exchange(other.head_, nullptr)) {}
  CompactVector& operator=(CompactVector other) noexcept {
    std::swap(head_, other.head_);
    return *this;
  }
  ~CompactVector() { release(head_); }

  size_t size() const { return head_ ? head_->size : 0; }
  bool empty() const { return size() == 0; }
  T* data() { return head_ ? items(head_) : nullptr; }
  const T* data() const { return head_ ? items(head_) : nullptr; }
  T* begin() { return data(); }
  T* end() { return data() + size(); }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size(); }
  T& operator[](size_t at) { return data()[at]; }
  const T& operator[](size_t at) const { return data()[at]; }
  T& front() { return *begin(); }
  const T& front() const { return *begin(); }
  T& back() { return end()[-1]; }
  const T& back() const { return end()[-1]; }

  // Room for so many, no more.
  void reserve(size_t room) {
    if (room > capacity()) move_to(room);
  }
  void shrink_to_fit() {
    if (size() < capacity()) move_to(size());
  }
  template <class... Arguments>
  T& emplace_back(Arguments&&... arguments) {
    T item(std::forward<Arguments>(arguments)...);  // may be made of one of ours
    if (size() == capacity()) move_to(size() < 2 ? size() + 1 : 2 * size());
    return *new (items(head_) + head_->size++) T(std::move(item));
  }
  void push_back(T item) { emplace_back(std::move(item)); }
  T* insert(const T* before, T item) {
    const size_t at = static_cast<size_t>(before - begin());
    push_back(std::move(item));
    std::rotate(begin() + at, end() - 1, end());
    return begin() + at;
  }
  T* erase(const T* first, const T* last) {
    T* to = begin() + (first - begin());
    T* const kept = std::move(begin() + (last - begin()), end(), to);
    while (end() != kept) pop_back();
    return to;
  }
  T* erase(const T* at) { return erase(at, at + 1); }
  void pop_back() {
    std::destroy_at(end() - 1);
    --head_->size;
  }
  void clear() { release(std::exchange(head_, nullptr)); }

  friend bool operator==(const CompactVector& a, const CompactVector& b) { return std::ranges::equal(a, b); }

 private:
  struct alignas(8) Head {
    uint32_t size, capacity;
  };
  static_assert(alignof(T) <= alignof(Head));
  static T* items(Head* head) { return reinterpret_cast<T*>(head + 1); }

  size_t capacity() const { return head_ ? head_->capacity : 0; }

  template <class It>
  void append(It first, It last) {
    reserve(static_cast<size_t>(std::distance(first, last)));
    for (; first != last; ++first) new (items(head_) + head_->size++) T(*first);
  }
  void move_to(size_t room) {
    Head* now = nullptr;
    if (room) {
      // NOLINTNEXTLINE(bugprone-sizeof-expression): of pointers, too
      now = new (::operator new(sizeof(Head) + room * sizeof(T))) Head{0, static_cast<uint32_t>(room)};
      for (T& item : *this) new (items(now) + now->size++) T(std::move(item));
    }
    release(std::exchange(head_, now));
  }
  static void release(Head* head) {
    if (!head) return;
    std::destroy_n(items(head), head->size);
    ::operator delete(head);
  }

  Head* head_ = nullptr;
};

}  // namespace causeway
