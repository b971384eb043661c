#include "pod/record.h"

#include <algorithm>
#include <charconv>

namespace causeway::pod {
namespace {

constexpr std::string_view kAliasTag = "causeway";

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

std::string alias_of(const Record& record) {
  std::string addresses;
  for (const auto& ip : record.addresses) addresses += (addresses.empty() ? "" : ",") + to_string(ip);
  return fmt::format("{} {} {} {}:{} {} {}", kAliasTag, record.key.container, record.key.ifname, record.netns.device,
                     record.netns.inode, record.generation, addresses);
}

std::optional<Record> parse_alias(std::string_view alias) {
  const auto words = split(alias, ' ');
  if (words.size() != 6 || words[0] != kAliasTag || words[1].empty() || words[2].empty()) return std::nullopt;
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
  return record;
}

}  // namespace causeway::pod
