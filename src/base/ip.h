// Network values: addresses, prefixes, MACs. Plain, comparable, hashable, printed in the canonical form of
// RFC 5952. Parsing refuses leading zeros and IPv4-mapped IPv6, as Kubernetes 1.36 does (KEP-4858).
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/format.h"
#include "base/result.h"

namespace causeway {

enum class Family : uint8_t { V4 = 4, V6 = 6 };
std::string_view to_string(Family family);

class Ip {
 public:
  Ip() = default;  // 0.0.0.0
  static Ip v4(uint32_t host_order);
  static Ip v4(std::span<const uint8_t, 4> bytes);
  static Ip v6(std::span<const uint8_t, 16> bytes);
  static Result<Ip> parse(std::string_view text);

  Family family() const { return family_; }
  bool is_v4() const { return family_ == Family::V4; }
  bool is_v6() const { return family_ == Family::V6; }
  // Network byte order; 4 or 16 bytes.
  std::span<const uint8_t> bytes() const { return {bytes_.data(), is_v4() ? size_t{4} : size_t{16}}; }
  uint32_t v4_host_order() const;  // only for V4
  int bits() const { return is_v4() ? 32 : 128; }
  bool is_unspecified() const;
  bool is_loopback() const;
  bool is_link_local() const;
  bool is_multicast() const;
  // The address `offset` above this one (carry over all bytes, wraps at the family's end).
  Ip plus(uint64_t offset) const;

  auto operator<=>(const Ip&) const = default;

 private:
  Family family_ = Family::V4;
  std::array<uint8_t, 16> bytes_{};
};
std::string to_string(const Ip& ip);

// A prefix whose host bits are zero.
class Cidr {
 public:
  Cidr() = default;
  // Clears the host bits.
  Cidr(Ip address, int prefix);
  // Refuses host bits: "10.0.0.1/24" is an error that names the right form.
  static Result<Cidr> parse(std::string_view text);

  const Ip& address() const { return address_; }
  int prefix() const { return prefix_; }
  Family family() const { return address_.family(); }
  bool contains(const Ip& ip) const;
  bool contains(const Cidr& other) const;
  bool overlaps(const Cidr& other) const;
  // Number of addresses, saturated at 2^63.
  uint64_t size() const;

  auto operator<=>(const Cidr&) const = default;

 private:
  Ip address_;
  int prefix_ = 0;
};
std::string to_string(const Cidr& cidr);
// The prefix that holds only this address.
Cidr host_cidr(const Ip& ip);

struct Mac {
  std::array<uint8_t, 6> bytes{};
  static Result<Mac> parse(std::string_view text);
  auto operator<=>(const Mac&) const = default;
};
std::string to_string(const Mac& mac);

// An interface index of one network namespace; 0 is none.
enum class IfIndex : uint32_t {};
inline std::string to_string(IfIndex index) { return std::to_string(static_cast<uint32_t>(index)); }

struct Endpoint {
  Ip ip;
  uint16_t port = 0;
  auto operator<=>(const Endpoint&) const = default;
};
std::string to_string(const Endpoint& endpoint);  // 10.0.0.1:80, [2001:db8::1]:80

}  // namespace causeway

template <>
struct std::hash<causeway::Ip> {
  size_t operator()(const causeway::Ip& ip) const noexcept;
};
