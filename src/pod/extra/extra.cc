#include "pod/extra/extra.h"

#include "pod/extra/ranges.h"

namespace causeway::pod {
namespace {

constexpr std::string_view kMovedTag = "causeway-moved";

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::string addresses_text(const ExtraInterface& extra) {
  std::string text;
  for (const auto& address : extra.addresses)
    text += fmt::format("{}{}/{}", text.empty() ? "" : "+", address.ip, address.prefix);
  return text;
}

}  // namespace

std::string_view to_string(ExtraKind kind) {
  switch (kind) {
    case ExtraKind::Macvlan: return "macvlan";
    case ExtraKind::Device: return "device";
  }
  __builtin_unreachable();
}

// Names of interfaces and networks have no ';' (extra/networks.h sees to it).
std::string to_word(const ExtraInterface& extra) {
  return fmt::format("{};{};{};{};{}", extra.kind, extra.ifname, extra.network, extra.device, addresses_text(extra));
}

Result<ExtraInterface> parse_extra(std::string_view word) {
  const auto parts = split(word, ';');
  if (parts.size() != 5 || parts[1].empty() || parts[2].empty())
    return fail(Errc::Invalid, "extra interface \"{}\"", word);
  ExtraInterface extra{
      .network = std::string(parts[2]), .ifname = std::string(parts[1]), .device = std::string(parts[3])};
  if (parts[0] == to_string(ExtraKind::Device))
    extra.kind = ExtraKind::Device;
  else if (parts[0] != to_string(ExtraKind::Macvlan))
    return fail(Errc::Invalid, "extra interface of kind \"{}\"", parts[0]);
  if (extra.kind == ExtraKind::Device && extra.device.empty())
    return fail(Errc::Invalid, "extra interface \"{}\"", word);
  if (parts[4].empty()) return extra;
  for (const auto text : split(parts[4], '+')) extra.addresses.push_back(TRY(parse_interface_address(text)));
  return extra;
}

std::string to_string(const ExtraInterface& extra) {
  std::string text = fmt::format("{} on {} {} {}", extra.ifname, extra.network, extra.kind, extra.device);
  if (extra.kind == ExtraKind::Macvlan) text += fmt::format(" {}", extra.mode);
  if (extra.mtu) text += fmt::format(" mtu {}", extra.mtu);
  if (extra.mac) text += fmt::format(" mac {}", *extra.mac);
  for (const auto& address : extra.addresses) text += fmt::format(" {}/{}", address.ip, address.prefix);
  for (const auto& route : extra.routes) {
    text += fmt::format(" route {}", route.destination);
    if (route.gateway) text += fmt::format(" via {}", *route.gateway);
  }
  return text;
}

std::string moved_alias(std::string_view container, std::string_view device) {
  return fmt::format("{} {} {}", kMovedTag, container, device);
}

std::optional<MovedAlias> parse_moved_alias(std::string_view alias) {
  const auto words = split(alias, ' ');
  if (words.size() != 3 || words[0] != kMovedTag || words[1].empty() || words[2].empty()) return std::nullopt;
  return MovedAlias{std::string(words[1]), std::string(words[2])};
}

}  // namespace causeway::pod
