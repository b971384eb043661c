#include "pod/address_wish.h"

#include <algorithm>

namespace causeway::pod {
namespace {

std::unexpected<CniError> refuse(std::string message) { return refuse(CniCode::InvalidConfig, std::move(message)); }

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

CniResult<std::vector<Ip>> parse_addresses(std::string_view text) {
  std::vector<Ip> all;
  for (std::string_view rest = text;;) {
    const size_t comma = rest.find(',');
    const std::string_view word = trim(rest.substr(0, comma));
    const auto ip = Ip::parse(word);
    if (!ip) return refuse(fmt::format("annotation {}: \"{}\" is no address", kPodAddresses, word));
    if (ip->is_unspecified() || ip->is_loopback() || ip->is_multicast() || ip->is_link_local())
      return refuse(fmt::format("annotation {}: {} is no address that a Pod can have", kPodAddresses, *ip));
    if (std::ranges::find(all, ip->family(), &Ip::family) != all.end())
      return refuse(fmt::format("annotation {}: two addresses of one family", kPodAddresses));
    all.push_back(*ip);
    if (comma == std::string_view::npos) return all;
    rest.remove_prefix(comma + 1);
  }
}

}  // namespace

CniResult<AddressWish> address_wish(const cluster::Labels& annotations, const std::vector<Ip>& asked) {
  AddressWish wish{.addresses = asked};
  if (const auto text = annotations.find(std::string(kPodAddresses)); text != annotations.end()) {
    auto own = parse_addresses(text->second);
    if (!own) return std::unexpected(std::move(own.error()));
    for (const Ip& ip : *own) {
      const auto other = std::ranges::find(asked, ip.family(), &Ip::family);
      if (other != asked.end() && *other != ip)
        return refuse(fmt::format("annotation {} asks for {}, the runtime for {}", kPodAddresses, ip, *other));
      if (other == asked.end()) wish.addresses.push_back(ip);
    }
  }
  if (const auto text = annotations.find(std::string(kKeepAddresses)); text != annotations.end()) {
    if (text->second != "true" && text->second != "false")
      return refuse(
          fmt::format("annotation {}: \"{}\" is neither \"true\" nor \"false\"", kKeepAddresses, text->second));
    wish.keep = text->second == "true";
  }
  return wish;
}

}  // namespace causeway::pod
