#include "pod/extra/ranges.h"

#include <algorithm>
#include <charconv>

namespace causeway::pod {
namespace {

Ip last_of(const Cidr& cidr) {
  std::array<uint8_t, 16> bytes{};
  const auto address = cidr.address().bytes();
  std::ranges::copy(address, bytes.begin());
  for (int bit = cidr.prefix(); bit < cidr.address().bits(); ++bit) bytes[size_t(bit / 8)] |= uint8_t(0x80 >> bit % 8);
  if (cidr.address().is_v6()) return Ip::v6(bytes);
  return Ip::v4(std::span<const uint8_t, 4>(bytes.data(), 4));
}

}  // namespace

Result<ExtraAddress> choose(const std::vector<Range>& ranges, const std::function<bool(const Ip&)>& is_taken) {
  std::string names;
  size_t taken = 0;
  for (const auto& range : ranges) {
    names += (names.empty() ? "" : ", ") + to_string(range.subnet);
    const Ip network = range.subnet.address(), broadcast = last_of(range.subnet);
    const Ip gateway = range.gateway.value_or(network.plus(1));
    const Ip end = range.end.value_or(broadcast);
    // Each that is skipped is taken, the gateway or at an end: this ends after as many steps.
    for (Ip ip = range.start.value_or(network.plus(1)); ip <= end; ip = ip.plus(1)) {
      const bool ends = ip == network || (ip == broadcast && ip.is_v4());
      if (!ends && ip != gateway && !is_taken(ip)) return ExtraAddress{ip, range.subnet.prefix()};
      taken += !ends && ip != gateway;
      if (ip == broadcast) break;
    }
  }
  return fail(Errc::Exhausted, "no address of {} is free: {} are held by Pods of this node", names, taken);
}

Result<ExtraAddress> parse_interface_address(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return fail(Errc::Invalid, "\"{}\" has no prefix length", text);
  ExtraAddress address{.ip = TRY(Ip::parse(text.substr(0, slash)))};
  const auto digits = text.substr(slash + 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), address.prefix);
  if (error != std::errc() || end != digits.data() + digits.size() || address.prefix < 0 ||
      address.prefix > address.ip.bits())
    return fail(Errc::Invalid, "\"{}\" has no prefix length", text);
  return address;
}

Mac extra_mac(const Ip& ip) {
  Mac mac{{0x0a, 0x58}};
  const auto bytes = ip.bytes();
  std::copy(bytes.end() - 4, bytes.end(), mac.bytes.begin() + 2);
  return mac;
}

}  // namespace causeway::pod
