// An immutable text whose copies share one allocation: the names that thousands of rows carry (namespaces, Services,
// nodes, ports). 8 bytes; copies may be on other threads.
#pragma once

#include <fmt/format.h>

#include <atomic>
#include <compare>
#include <concepts>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "base/sorted_chunks.h"

namespace causeway {

class Name;
namespace detail {
template <class T>
concept OtherText = std::convertible_to<T, std::string_view> && !std::same_as<T, Name>;
}

class Name {
 public:
  Name() = default;  // ""
  Name(std::string_view text);
  Name(const std::string& text) : Name(std::string_view(text)) {}
  Name(const char* text) : Name(std::string_view(text)) {}
  Name(const Name& other) noexcept : text_(other.text_) {
    if (text_) text_->copies.fetch_add(1, std::memory_order_relaxed);
  }
  Name(Name&& other) noexcept : text_(std::exchange(other.text_, nullptr)) {}
  Name& operator=(Name other) noexcept {
    std::swap(text_, other.text_);
    return *this;
  }
  ~Name() { release(); }

  bool empty() const { return !text_; }
  std::string_view view() const { return text_ ? std::string_view(text_->chars, text_->size) : std::string_view(); }
  operator std::string_view() const { return view(); }
  operator std::string() const { return std::string(view()); }
  // Nobody else holds this allocation.
  bool alone() const { return text_ && text_->copies.load(std::memory_order_relaxed) == 1; }

  friend bool operator==(const Name& a, const Name& b) { return a.text_ == b.text_ || a.view() == b.view(); }
  friend std::strong_ordering operator<=>(const Name& a, const Name& b) {
    return a.text_ == b.text_ ? std::strong_ordering::equal : a.view() <=> b.view();
  }
  template <detail::OtherText T>
  friend bool operator==(const Name& a, const T& b) {
    return a.view() == std::string_view(b);
  }
  friend std::string operator+(const Name& a, const Name& b) { return std::string(a.view()) += b.view(); }
  template <detail::OtherText T>
  friend std::string operator+(const Name& a, const T& b) {
    return std::string(a.view()) += b;
  }
  template <detail::OtherText T>
  friend std::string operator+(const T& a, const Name& b) {
    return std::string(a) += b.view();
  }

 private:
  struct Text {
    std::atomic<uint32_t> copies;
    uint32_t size;
    char chars[];
  };
  void release() noexcept;

  Text* text_ = nullptr;
};

// Gives equal names one allocation. Forgets names that nobody else holds, now and then.
class Names {
 public:
  Name one(const Name& name);

 private:
  SortedChunks<Name, std::less<>> known_;
  size_t sweep_at_ = 1024;
};

}  // namespace causeway

template <>
struct fmt::formatter<causeway::Name> : fmt::formatter<std::string_view> {
  template <class Context>
  auto format(const causeway::Name& name, Context& context) const {
    return fmt::formatter<std::string_view>::format(name.view(), context);
  }
};
