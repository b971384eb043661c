#include "pod/record.h"

#include <algorithm>
#include <charconv>

#include "pod/record_words.h"

namespace causeway::pod {
namespace {

constexpr std::string_view kAliasTag = "causeway";
constexpr size_t kMaxAlias = 255;  // IFALIASZ - 1

// FNV-1a. Not for secrets: a collision of two live attachments (2^-48 each pair) makes the second ADD fail, no more.
uint64_t hash(std::string_view text) {
  uint64_t value = 0xcbf29ce484222325;
  for (const char c : text) value = (value ^ uint8_t(c)) * 0x100000001b3;
  return value;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

bool parse_number(std::string_view text, uint64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

std::optional<cluster::Protocol> parse_protocol(std::string_view name) {
  using cluster::Protocol;
  for (const Protocol protocol : {Protocol::Tcp, Protocol::Udp, Protocol::Sctp})
    if (name == to_string(protocol)) return protocol;
  return std::nullopt;
}

std::string_view to_string(Role role) {
  switch (role) {
    case Role::Main: return "main";
    case Role::Chained: return "chained";
    case Role::Ipam: return "ipam";
  }
  __builtin_unreachable();
}

std::optional<Role> parse_role(std::string_view text) {
  for (const Role role : {Role::Main, Role::Chained, Role::Ipam})
    if (text == to_string(role)) return role;
  return std::nullopt;
}

Key ipam_key(const Key& key) { return {key.container, key.ifname + "/ipam"}; }
bool is_ipam_key(const Key& key) { return key.ifname.ends_with("/ipam"); }
Key attachment_key(const Key& key) {
  return is_ipam_key(key) ? Key{key.container, key.ifname.substr(0, key.ifname.size() - 5)} : key;
}

std::string host_ifname(const Key& key) {
  const uint64_t value = hash(key.container + "/" + key.ifname);
  return fmt::format("cw{:012x}", (value ^ value >> 48) & 0xffff'ffff'ffff);
}

Mac mac_of(const Ip& ip) {
  Mac mac{{0x0a, 0x58}};
  const auto bytes = ip.bytes();
  std::copy(bytes.end() - 4, bytes.end(), mac.bytes.begin() + 2);
  return mac;
}

Mac mac_of(const Record& record) {
  if (record.tuning.mac) return *record.tuning.mac;
  return record.addresses.empty() ? Mac{} : mac_of(record.addresses.front());
}

std::string host_ports_text(const std::vector<cluster::HostPort>& ports) {
  std::string text;
  for (const auto& port : ports) text += (text.empty() ? "" : ",") + to_string(port);
  return text;
}

std::optional<std::vector<cluster::HostPort>> parse_host_ports(std::string_view text) {
  std::vector<cluster::HostPort> ports;
  for (const auto word : split(text, ',')) {
    const size_t colon = word.find(':'), slash = word.find('/'), at = word.find('@');
    if (colon == std::string_view::npos || slash == std::string_view::npos || slash < colon || at < slash)
      return std::nullopt;
    uint64_t port = 0, container_port = 0;
    if (!parse_number(word.substr(0, colon), port) ||
        !parse_number(word.substr(colon + 1, slash - colon - 1), container_port) || port == 0 || port > UINT16_MAX ||
        container_port == 0 || container_port > UINT16_MAX)
      return std::nullopt;
    cluster::HostPort one{.port = uint16_t(port), .container_port = uint16_t(container_port)};
    const auto name = word.substr(slash + 1, at == std::string_view::npos ? at : at - slash - 1);
    const auto protocol = parse_protocol(name);
    if (!protocol) return std::nullopt;
    one.protocol = *protocol;
    if (at != std::string_view::npos) {
      const auto ip = Ip::parse(word.substr(at + 1));
      if (!ip) return std::nullopt;
      one.host_ip = *ip;
    }
    ports.push_back(one);
  }
  return ports;
}

std::string alias_of(const Record& record) {
  std::string addresses;
  for (const auto& ip : record.addresses) addresses += (addresses.empty() ? "" : ",") + to_string(ip);
  std::string alias = fmt::format("{} {} {} {}:{} {} {}", kAliasTag, record.key.container, record.key.ifname,
                                  record.netns.device, record.netns.inode, record.generation, addresses);
  if (const auto ports = host_ports_text(record.host_ports);
      !ports.empty() && alias.size() + 1 + ports.size() <= kMaxAlias)
    alias += " " + ports;
  for (const auto& word : words_of(record))
    if (alias.size() + 1 + word.size() <= kMaxAlias) alias += " " + word;
  return alias;
}

std::optional<Record> parse_alias(std::string_view alias) {
  const auto words = split(alias, ' ');
  if (words.size() < 6 || words[0] != kAliasTag || words[1].empty() || words[2].empty()) return std::nullopt;
  Record record{.key = {std::string(words[1]), std::string(words[2])}, .state = State::Committed};
  const auto netns = split(words[3], ':');
  if (netns.size() != 2 || !parse_number(netns[0], record.netns.device) || !parse_number(netns[1], record.netns.inode))
    return std::nullopt;
  if (!parse_number(words[4], record.generation)) return std::nullopt;
  for (const auto text : split(words[5], ',')) {
    auto ip = Ip::parse(text);
    if (!ip) return std::nullopt;
    record.addresses.push_back(*ip);
  }
  for (size_t i = 6; i < words.size(); ++i) {
    if (is_word(words[i])) {
      if (!take_word(record, words[i])) return std::nullopt;
      continue;
    }
    auto ports = parse_host_ports(words[i]);
    if (i != 6 || !ports) return std::nullopt;
    record.host_ports = std::move(*ports);
  }
  return record;
}

}  // namespace causeway::pod
