// Domain names in wire form (RFC 1035 section 3.1): labels, each behind its length, up to and including the root.
// Never joined text: a label may hold a dot. Letters compare without case (RFC 4343), all other octets as they are;
// a length is below 'A', so whole names compare, hash and lower octet by octet.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/format.h"
#include "base/result.h"

namespace causeway::dns {

inline constexpr size_t kMostName = 255;    // octets of a name, the root's among them
inline constexpr size_t kMostLabel = 63;    // octets of one label
inline constexpr size_t kMostLabels = 127;  // of one name, without the root

inline uint8_t lower(uint8_t octet) { return octet - 'A' < 26u ? octet | 0x20 : octet; }
// Without case; both of the same size or not.
bool same_letters(std::span<const uint8_t> a, std::span<const uint8_t> b);
// Of lower-cased octets. `seed`: whoever fills a table with names from strangers takes a random one.
uint64_t hash_letters(std::span<const uint8_t> octets, uint64_t seed = 0);

// A name that lies in somebody's memory, uncompressed and known to be well-formed. The default is the root.
class NameView {
 public:
  constexpr NameView() = default;
  // `wire` begins with a well-formed name; octets behind its root are not looked at.
  static NameView trusted(const uint8_t* wire);
  // The name at the beginning of `wire`; nullopt: no root within its bounds, a label above 63 octets (a compression
  // pointer among them), more than 255 octets.
  static std::optional<NameView> parse(std::span<const uint8_t> wire);

  std::span<const uint8_t> bytes() const { return {wire_, size_}; }
  const uint8_t* data() const { return wire_; }
  size_t size() const { return size_; }  // octets, the root's among them
  bool is_root() const { return size_ == 1; }
  size_t labels() const;  // without the root
  // The leftmost label; "" of the root.
  std::string_view first() const { return {reinterpret_cast<const char*>(wire_) + 1, *wire_}; }
  // Without its leftmost label; the root's is the root.
  NameView parent() const {
    return is_root() ? *this : NameView(wire_ + 1 + *wire_, static_cast<uint8_t>(size_ - 1 - *wire_));
  }
  // Is `zone` or below it.
  bool within(NameView zone) const;

 private:
  friend class WireName;
  constexpr NameView(const uint8_t* wire, uint8_t size) : wire_(wire), size_(size) {}
  static constexpr uint8_t kRoot = 0;

  const uint8_t* wire_ = &kRoot;
  uint8_t size_ = 1;
};
// Without case; of a WireName, too.
inline bool operator==(NameView a, NameView b) { return same_letters(a.bytes(), b.bytes()); }
inline uint64_t hash(NameView name, uint64_t seed = 0) { return hash_letters(name.bytes(), seed); }
// "web.default.svc.cluster.local."; dots and backslashes inside a label as "\.", other octets as "\065" (RFC 1035
// section 5.1). The root is ".".
std::string to_string(NameView name);

// A name with room of its own, 256 octets, wherever it lies.
class WireName {
 public:
  WireName() { wire_[0] = 0; }  // the root
  WireName(NameView name) : size_(static_cast<uint8_t>(name.size())) {
    std::memcpy(wire_.data(), name.data(), name.size());
  }
  // As to_string() prints it; the last dot may be missing. Refuses empty labels, labels above 63 octets, names above
  // 255 octets, and escapes that are none.
  static Result<WireName> parse(std::string_view text);

  operator NameView() const { return {wire_.data(), size_}; }
  NameView view() const { return *this; }
  size_t size() const { return size_; }
  std::span<const uint8_t> bytes() const { return {wire_.data(), size_}; }
  // Puts a label, or the labels of a name, in front of the root at the end. False, and nothing is changed: there is no
  // room, or the label is empty or above 63 octets.
  bool append(std::string_view label);
  bool append(NameView name);
  void to_lower() { std::transform(wire_.begin(), wire_.begin() + size_, wire_.begin(), lower); }

 private:
  std::array<uint8_t, kMostName + 1> wire_;  // only size_ octets of it mean anything
  uint8_t size_ = 1;
};
inline std::string to_string(const WireName& name) { return to_string(name.view()); }

// Reads a name that may be compressed (RFC 1035 section 4.1.4), from `at` in a message. A pointer may only lead to
// before the name's own beginning, and every further one further back, so that no walk is without end. Returns the
// octets that it takes at `at`; 0: it is malformed. `out` may be null.
// `first`: where names may begin; in front of it is the header.
size_t read_name(std::span<const uint8_t> message, size_t at, WireName* out, size_t first = 12);

}  // namespace causeway::dns
