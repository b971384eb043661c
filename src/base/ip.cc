#include "base/ip.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace causeway {

std::string_view to_string(Family family) { return family == Family::V4 ? "IPv4" : "IPv6"; }

Ip Ip::v4(uint32_t host_order) {
  Ip ip;
  for (int i = 0; i < 4; ++i) ip.bytes_[i] = uint8_t(host_order >> (24 - 8 * i));
  return ip;
}

Ip Ip::v4(std::span<const uint8_t, 4> bytes) {
  Ip ip;
  std::ranges::copy(bytes, ip.bytes_.begin());
  return ip;
}

Ip Ip::v6(std::span<const uint8_t, 16> bytes) {
  Ip ip;
  ip.family_ = Family::V6;
  std::ranges::copy(bytes, ip.bytes_.begin());
  return ip;
}

Result<Ip> Ip::parse(std::string_view text) {
  const std::string copy(text);
  Ip ip;
  if (copy.find(':') == std::string::npos) {
    if (inet_pton(AF_INET, copy.c_str(), ip.bytes_.data()) == 1) return ip;
  } else if (inet_pton(AF_INET6, copy.c_str(), ip.bytes_.data()) == 1) {
    static constexpr std::array<uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (std::equal(kMapped.begin(), kMapped.end(), ip.bytes_.begin()))
      return fail(Errc::Invalid, "'{}': an IPv4-mapped IPv6 address is not accepted", text);
    ip.family_ = Family::V6;
    return ip;
  }
  return fail(Errc::Invalid, "'{}' is not an IP address", text);
}

uint32_t Ip::v4_host_order() const {
  return uint32_t(bytes_[0]) << 24 | uint32_t(bytes_[1]) << 16 | uint32_t(bytes_[2]) << 8 | bytes_[3];
}

bool Ip::is_unspecified() const {
  return std::ranges::all_of(bytes(), [](uint8_t byte) { return byte == 0; });
}
bool Ip::is_loopback() const {
  if (is_v4()) return bytes_[0] == 127;
  return std::all_of(bytes_.begin(), bytes_.end() - 1, [](uint8_t byte) { return byte == 0; }) && bytes_[15] == 1;
}
bool Ip::is_link_local() const {
  return is_v4() ? bytes_[0] == 169 && bytes_[1] == 254 : bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80;
}
bool Ip::is_multicast() const { return is_v4() ? (bytes_[0] & 0xf0) == 0xe0 : bytes_[0] == 0xff; }

Ip Ip::plus(uint64_t offset) const {
  Ip result = *this;
  uint64_t carry = offset;
  for (int i = bits() / 8 - 1; i >= 0 && carry != 0; --i) {
    const uint64_t sum = result.bytes_[i] + (carry & 0xff);
    result.bytes_[i] = uint8_t(sum);
    carry = (carry >> 8) + (sum >> 8);
  }
  return result;
}

std::string to_string(const Ip& ip) {
  char text[INET6_ADDRSTRLEN];
  inet_ntop(ip.is_v4() ? AF_INET : AF_INET6, ip.bytes().data(), text, sizeof text);
  return text;
}

Cidr::Cidr(Ip address, int prefix) : prefix_(prefix) {
  std::array<uint8_t, 16> bytes{};
  std::ranges::copy(address.bytes(), bytes.begin());
  for (int bit = prefix; bit < address.bits(); ++bit) bytes[bit / 8] &= uint8_t(~(0x80 >> (bit % 8)));
  address_ = address.is_v4() ? Ip::v4(std::span<const uint8_t, 4>(bytes.data(), 4)) : Ip::v6(bytes);
}

Result<Cidr> Cidr::parse(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return fail(Errc::Invalid, "'{}' is not a CIDR: no '/'", text);
  auto address = Ip::parse(text.substr(0, slash));
  const auto digits = text.substr(slash + 1);
  int prefix = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), prefix);
  if (!address || error != std::errc{} || end != digits.data() + digits.size() || prefix < 0 ||
      prefix > address->bits() || (digits.size() > 1 && digits[0] == '0'))
    return fail(Errc::Invalid, "'{}' is not a CIDR such as 10.0.0.0/8 or fd00::/64", text);
  Cidr cidr(*address, prefix);
  if (cidr.address() != *address)
    return fail(Errc::Invalid, "'{}' has bits set behind its prefix; '{}' is meant", text, to_string(cidr));
  return cidr;
}

bool Cidr::contains(const Ip& ip) const { return ip.family() == family() && Cidr(ip, prefix_).address_ == address_; }
bool Cidr::contains(const Cidr& other) const { return other.prefix_ >= prefix_ && contains(other.address_); }
bool Cidr::overlaps(const Cidr& other) const { return contains(other) || other.contains(*this); }
uint64_t Cidr::size() const {
  const int host_bits = address_.bits() - prefix_;
  return host_bits >= 63 ? uint64_t{1} << 63 : uint64_t{1} << host_bits;
}

std::string to_string(const Cidr& cidr) { return to_string(cidr.address()) + "/" + std::to_string(cidr.prefix()); }
Cidr host_cidr(const Ip& ip) { return Cidr(ip, ip.bits()); }

Result<Mac> Mac::parse(std::string_view text) {
  Mac mac;
  if (text.size() != 17) return fail(Errc::Invalid, "'{}' is not a MAC address", text);
  for (size_t i = 0; i < 6; ++i) {
    const char* at = text.data() + 3 * i;
    const auto [end, error] = std::from_chars(at, at + 2, mac.bytes[i], 16);
    if (error != std::errc{} || end != at + 2 || (i < 5 && at[2] != ':'))
      return fail(Errc::Invalid, "'{}' is not a MAC address", text);
  }
  return mac;
}

std::string to_string(const Mac& mac) {
  const auto& b = mac.bytes;
  return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", b[0], b[1], b[2], b[3], b[4], b[5]);
}

std::string to_string(const Endpoint& endpoint) {
  return fmt::format(fmt::runtime(endpoint.ip.is_v4() ? "{}:{}" : "[{}]:{}"), to_string(endpoint.ip), endpoint.port);
}

}  // namespace causeway

size_t std::hash<causeway::Ip>::operator()(const causeway::Ip& ip) const noexcept {
  const auto bytes = ip.bytes();
  return std::hash<std::string_view>{}({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}
