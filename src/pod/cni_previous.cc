// prevResult: the result of the plugin before us, in any version's shape.
#include <charconv>

#include "pod/cni_json.h"

namespace causeway::pod {
namespace {

std::unexpected<CniError> bad(const std::string& where, std::string_view what, const json::value& value) {
  return std::unexpected(config_error(fmt::format("prevResult.{} must be {}, not {}", where, what, shortened(value))));
}

// "": not there.
CniResult<std::string> parse_text(const json::object& object, std::string_view key, const std::string& where) {
  const auto* value = object.if_contains(json::string_view(key.data(), key.size()));
  if (!value || value->is_null()) return std::string();
  if (!value->is_string()) return bad(where + "." + std::string(key), "a string", *value);
  return std::string(text_of(value->as_string()));
}

CniResult<std::optional<Ip>> parse_ip(const json::object& object, std::string_view key, const std::string& where) {
  auto text = parse_text(object, key, where);
  if (!text) return std::unexpected(std::move(text.error()));
  if (text->empty()) return std::nullopt;
  const auto ip = Ip::parse(*text);
  if (!ip) return bad(where + "." + std::string(key), "an address", json::value(*text));
  return *ip;
}

// "10.0.0.5/24": with its host bits, which addresses have, and which some plugins leave in their routes.
std::optional<std::pair<Ip, int>> parse_prefix(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto ip = Ip::parse(text.substr(0, slash));
  const auto digits = text.substr(slash + 1);
  int prefix = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), prefix);
  if (!ip || error != std::errc() || end != digits.data() + digits.size() || prefix < 0 || prefix > ip->bits())
    return std::nullopt;
  return std::pair(*ip, prefix);
}

CniResult<PrevResult::Interface> parse_interface(const json::value& value, const std::string& where) {
  const auto* object = value.if_object();
  if (!object) return bad(where, "an object", value);
  PrevResult::Interface out;
  auto name = parse_text(*object, "name", where);
  auto mac = parse_text(*object, "mac", where);
  auto sandbox = parse_text(*object, "sandbox", where);
  if (!name) return std::unexpected(std::move(name.error()));
  if (!mac) return std::unexpected(std::move(mac.error()));
  if (!sandbox) return std::unexpected(std::move(sandbox.error()));
  out.name = std::move(*name);
  out.sandbox = std::move(*sandbox);
  if (!mac->empty()) {
    // An InfiniBand address has 20 bytes; those are nothing that we compare.
    if (auto parsed = Mac::parse(*mac)) out.mac = *parsed;
  }
  if (const auto* mtu = object->if_contains("mtu"); mtu && !mtu->is_null()) {
    const auto* number = mtu->if_int64();
    if (!number || *number < 0 || *number > INT32_MAX) return bad(where + ".mtu", "a number of bytes", *mtu);
    out.mtu = uint32_t(*number);
  }
  return out;
}

CniResult<PrevResult::Address> parse_address(const json::object& object, std::string_view key, const std::string& where,
                                             size_t interfaces) {
  auto text = parse_text(object, key, where);
  if (!text) return std::unexpected(std::move(text.error()));
  const auto parsed = parse_prefix(*text);
  if (!parsed) return bad(where + "." + std::string(key), "an address with its prefix", json::value(*text));
  PrevResult::Address out{.ip = parsed->first, .prefix = parsed->second, .gateway = {}, .interface = {}};
  auto gateway = parse_ip(object, "gateway", where);
  if (!gateway) return std::unexpected(std::move(gateway.error()));
  out.gateway = *gateway;
  if (const auto* index = object.if_contains("interface"); index && !index->is_null()) {
    const auto* number = index->if_int64();
    if (!number || *number < 0 || size_t(*number) >= interfaces)
      return bad(where + ".interface", "an index of interfaces", *index);
    out.interface = size_t(*number);
  }
  return out;
}

CniResult<void> parse_routes(PrevResult& out, const json::value& value, const std::string& where) {
  if (value.is_null()) return {};
  const auto* list = value.if_array();
  if (!list) return bad(where, "a list", value);
  for (size_t i = 0; i < list->size(); ++i) {
    const std::string at = fmt::format("{}[{}]", where, i);
    const auto* object = (*list)[i].if_object();
    if (!object) return bad(at, "an object", (*list)[i]);
    auto text = parse_text(*object, "dst", at);
    if (!text) return std::unexpected(std::move(text.error()));
    const auto destination = parse_prefix(*text);
    if (!destination) return bad(at + ".dst", "a range of addresses", json::value(*text));
    auto gateway = parse_ip(*object, "gw", at);
    if (!gateway) return std::unexpected(std::move(gateway.error()));
    out.routes.push_back({Cidr(destination->first, destination->second), *gateway});
  }
  return {};
}

// 0.1.0 and 0.2.0: {"ip4": {"ip", "gateway", "routes"}, "ip6": ...}.
CniResult<void> parse_oldest(PrevResult& out, const json::object& object) {
  for (const char* key : {"ip4", "ip6"}) {
    const auto* value = object.if_contains(key);
    if (!value || value->is_null()) continue;
    if (!value->is_object()) return bad(key, "an object", *value);
    auto address = parse_address(value->as_object(), "ip", key, 0);
    if (!address) return std::unexpected(std::move(address.error()));
    out.addresses.push_back(*address);
    if (const auto* routes = value->as_object().if_contains("routes"))
      if (auto good = parse_routes(out, *routes, std::string(key) + ".routes"); !good) return good;
  }
  return {};
}

template <class Each>
CniResult<void> each_of(const json::object& object, const char* key, Each each) {
  const auto* value = object.if_contains(key);
  if (!value || value->is_null()) return {};
  if (!value->is_array()) return bad(key, "a list", *value);
  for (size_t i = 0; i < value->as_array().size(); ++i)
    if (CniResult<void> good = each(value->as_array()[i], fmt::format("{}[{}]", key, i)); !good) return good;
  return {};
}

}  // namespace

const PrevResult::Interface* PrevResult::in_sandbox(std::string_view ifname) const {
  for (const auto& one : interfaces)
    if (one.name == ifname && !one.sandbox.empty()) return &one;
  return nullptr;
}

std::vector<PrevResult::Address> PrevResult::addresses_of(std::string_view ifname) const {
  std::vector<Address> all;
  for (const auto& address : addresses)
    if (!address.interface ||
        (interfaces[*address.interface].name == ifname && !interfaces[*address.interface].sandbox.empty()))
      all.push_back(address);
  return all;
}

CniResult<PrevResult> parse_prev_result(const json::value& value) {
  const auto* object = value.if_object();
  if (!object)
    return std::unexpected(config_error(fmt::format("prevResult must be an object, not {}", shortened(value))));
  PrevResult out{.json = json::serialize(value)};
  auto good = each_of(*object, "interfaces", [&](const json::value& item, const std::string& where) -> CniResult<void> {
    auto one = parse_interface(item, where);
    if (!one) return std::unexpected(std::move(one.error()));
    out.interfaces.push_back(std::move(*one));
    return {};
  });
  if (!good) return std::unexpected(std::move(good.error()));
  good = each_of(*object, "ips", [&](const json::value& item, const std::string& where) -> CniResult<void> {
    if (!item.is_object()) return bad(where, "an object", item);
    auto one = parse_address(item.as_object(), "address", where, out.interfaces.size());
    if (!one) return std::unexpected(std::move(one.error()));
    out.addresses.push_back(std::move(*one));
    return {};
  });
  if (good) good = parse_oldest(out, *object);
  if (const auto* routes = object->if_contains("routes"); good && routes) good = parse_routes(out, *routes, "routes");
  if (!good) return std::unexpected(std::move(good.error()));
  return out;
}

}  // namespace causeway::pod
