// Attributes of a message or a nest, by type, with every length checked before it is used.
#pragma once

#include <libmnl/libmnl.h>

#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace causeway::nftables {

// The payload of an attribute; empty for a null pointer.
inline std::string_view payload(const nlattr* attribute) {
  if (!attribute) return {};
  return {static_cast<const char*>(mnl_attr_get_payload(attribute)), mnl_attr_get_payload_len(attribute)};
}

// Calls `each` for the attributes that are whole.
template <class Each>
void each_attribute(std::string_view bytes, Each each) {
  while (bytes.size() >= sizeof(nlattr)) {
    const auto* attribute = reinterpret_cast<const nlattr*>(bytes.data());
    if (attribute->nla_len < sizeof(nlattr) || attribute->nla_len > bytes.size()) return;
    each(attribute);
    bytes.remove_prefix(std::min<size_t>(MNL_ALIGN(attribute->nla_len), bytes.size()));
  }
}

// Of types below N; the last of each type counts.
template <size_t N>
class Attributes {
 public:
  explicit Attributes(std::string_view bytes) {
    each_attribute(bytes, [&](const nlattr* attribute) {
      if (mnl_attr_get_type(attribute) < N) found_[mnl_attr_get_type(attribute)] = attribute;
    });
  }

  bool has(size_t type) const { return found_[type] != nullptr; }
  std::string_view bytes(size_t type) const { return payload(found_[type]); }
  // Up to the first 0.
  std::string text(size_t type) const {
    const auto all = bytes(type);
    return std::string(all.substr(0, all.find('\0')));
  }
  // Network order on the wire; 0 when it is missing or of another size.
  uint32_t u32(size_t type) const { return number<uint32_t, 4>(type); }
  uint64_t u64(size_t type) const { return number<uint64_t, 8>(type); }
  uint16_t u16(size_t type) const { return number<uint16_t, 2>(type); }
  uint8_t u8(size_t type) const { return bytes(type).empty() ? uint8_t{0} : uint8_t(bytes(type).front()); }

 private:
  template <class T, size_t Size>
  T number(size_t type) const {
    const auto all = bytes(type);
    if (all.size() != Size) return 0;
    T value = 0;
    for (const char c : all) value = T(value << 8 | uint8_t(c));
    return value;
  }
  std::array<const nlattr*, N> found_{};
};

// What is behind the headers of a message of nfnetlink.
std::string_view body_of(const nlmsghdr* message);

}  // namespace causeway::nftables
