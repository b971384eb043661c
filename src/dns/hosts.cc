#include "dns/hosts.h"

#include <algorithm>
#include <sstream>

namespace causeway::dns {

namespace {
std::string key_of(NameView name) {
  std::string key(reinterpret_cast<const char*>(name.data()), name.size());
  for (char& c : key) c = static_cast<char>(lower(static_cast<uint8_t>(c)));
  return key;
}
}  // namespace

WireName reverse_name(const Ip& ip) {
  std::string text;
  const auto bytes = ip.bytes();
  for (size_t i = bytes.size(); i-- > 0;)
    text += ip.is_v4() ? fmt::format("{}.", bytes[i]) : fmt::format("{:x}.{:x}.", bytes[i] & 15, bytes[i] >> 4);
  return *WireName::parse(text + (ip.is_v4() ? "in-addr.arpa." : "ip6.arpa."));
}

std::shared_ptr<const Hosts> Hosts::parse(const HostsDirective& directive, std::string_view file) {
  auto hosts = std::make_shared<Hosts>();
  hosts->ttl_ = directive.ttl;
  std::vector<WireName> zones;
  for (const ZoneText& zone : directive.zones)
    if (auto name = WireName::parse(zone)) zones.push_back(*name);
  const auto ours = [&](NameView name) {
    return std::ranges::any_of(zones, [&](const WireName& zone) { return name.within(zone); });
  };
  const auto add = [&](const Ip& ip, std::string_view text) {
    auto name = WireName::parse(text);
    if (!name) return;
    name->to_lower();
    if (ours(*name)) {
      auto& addresses = hosts->by_name_[key_of(*name)];
      if (std::ranges::find(addresses, ip) == addresses.end()) addresses.push_back(ip), ++hosts->entries_;
    }
    const WireName reverse = reverse_name(ip);
    if (directive.reverse && ours(reverse)) hosts->by_address_[key_of(reverse)].push_back(*name);
  };
  std::istringstream lines{std::string(file)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::string address, name;
    words >> address;
    const auto ip = Ip::parse(address.substr(0, address.find('%')));
    while (ip && words >> name) add(*ip, name);
  }
  for (const auto& line : directive.lines)
    for (const ZoneText& name : line.names) add(line.ip, name);
  return hosts;
}

Hosts::Found Hosts::find(NameView name, Type type) const {
  Found found;
  const std::string key = key_of(name);
  if (const auto entry = by_name_.find(key); entry != by_name_.end()) {
    found.known = true;
    for (const Ip& ip : entry->second)
      if (type == (ip.is_v4() ? Type::A : Type::AAAA) || type == Type::ANY)
        found.records.push_back({.owner = name,
                                 .type = ip.is_v4() ? Type::A : Type::AAAA,
                                 .ttl = ttl_,
                                 .data = Bytes(ip.bytes().begin(), ip.bytes().end())});
  }
  if (const auto entry = by_address_.find(key); entry != by_address_.end()) {
    found.known = true;
    for (const WireName& target : entry->second)
      if (type == Type::PTR || type == Type::ANY)
        found.records.push_back({.owner = name,
                                 .type = Type::PTR,
                                 .ttl = ttl_,
                                 .data = Bytes(target.bytes().begin(), target.bytes().end())});
  }
  return found;
}

}  // namespace causeway::dns
