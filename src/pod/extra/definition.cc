#include "pod/extra/definition.h"

#include <algorithm>
#include <boost/json.hpp>

#include "pod/extra/ranges.h"

namespace causeway::pod {
namespace {

namespace json = boost::json;

constexpr int64_t kMinMtu = 68, kMaxMtu = 65535;

std::string shown(const json::value& value) { return json::serialize(value).substr(0, 200); }

Result<std::string> text_of(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  if (!value || value->is_null()) return std::string();
  if (!value->is_string()) return fail(Errc::Invalid, "{} must be a string, not {}", key, shown(*value));
  return std::string(value->as_string());
}

bool is_false(const json::value& value) {
  return value.is_null() || (value.is_bool() && !value.as_bool()) || (value.is_string() && value.as_string().empty()) ||
         (value.is_object() && value.as_object().empty()) || (value.is_array() && value.as_array().empty()) ||
         (value.is_int64() && value.as_int64() == 0);
}

// Every key that changes what the Pod gets must be one that we honour.
Status refuse_others(const json::object& object, std::string_view where,
                     std::initializer_list<std::string_view> known) {
  for (const auto& [key, value] : object)
    if (std::ranges::find(known, std::string_view(key)) == known.end() && !is_false(value))
      return fail(Errc::Unsupported, "{}: key {} is not supported: {}", where, std::string_view(key), shown(value));
  return ok();
}

Status check_route(const Cidr& destination, const ClusterSpace& cluster) {
  if (destination.prefix() == 0)
    return fail(Errc::Unsupported, "ipam.routes: {} would lead all traffic past the cluster's own network",
                destination);
  if (const std::string what = cluster.by_route ? cluster.by_route(destination) : ""; !what.empty())
    return fail(Errc::Unsupported, "ipam.routes: {} would lead traffic past the cluster's own network: it overlaps {}",
                destination, what);
  return ok();
}

// The kernel leads the whole subnet of an address to its interface.
Status check_subnet(const Cidr& subnet, std::string_view key, const ClusterSpace& cluster) {
  if (subnet.prefix() == 0)
    return fail(Errc::Unsupported, "{}: {} would lead all traffic past the cluster's own network", key, subnet);
  if (const std::string what = cluster.by_subnet ? cluster.by_subnet(subnet) : ""; !what.empty())
    return fail(Errc::Unsupported, "{}: {} would lead traffic past the cluster's own network: it overlaps {}", key,
                subnet, what);
  return ok();
}

Status parse_routes(const json::object& ipam, const ClusterSpace& cluster, ExtraInterface& out) {
  const auto* list = ipam.if_contains("routes");
  if (!list || list->is_null()) return ok();
  if (!list->is_array()) return fail(Errc::Invalid, "ipam.routes must be a list, not {}", shown(*list));
  for (const auto& item : list->as_array()) {
    const auto* route = item.if_object();
    if (!route) return fail(Errc::Invalid, "ipam.routes: {} must be an object", shown(item));
    TRY(refuse_others(*route, "ipam.routes", {"dst", "gw"}));
    ExtraRoute one{.destination = TRY(Cidr::parse(TRY(text_of(*route, "dst"))), "ipam.routes")};
    TRY(check_route(one.destination, cluster));
    if (const auto gw = TRY(text_of(*route, "gw")); !gw.empty()) {
      one.gateway = TRY(Ip::parse(gw), "ipam.routes");
      if (one.gateway->family() != one.destination.family())
        return fail(Errc::Invalid, "ipam.routes: {} via {} mixes families", one.destination, *one.gateway);
    }
    out.routes.push_back(one);
  }
  return ok();
}

Status parse_static(const json::object& ipam, ExtraInterface& out) {
  TRY(refuse_others(ipam, "ipam static", {"type", "addresses", "routes"}));
  const auto* list = ipam.if_contains("addresses");
  if (!list || !list->is_array()) return ok();  // those of the annotation
  for (const auto& item : list->as_array()) {
    const auto* object = item.if_object();
    if (!object) return fail(Errc::Invalid, "ipam.addresses: {} must be an object", shown(item));
    TRY(refuse_others(*object, "ipam.addresses", {"address", "gateway"}));
    const auto text = TRY(text_of(*object, "address"));
    out.addresses.push_back(TRY(parse_interface_address(text), "ipam.addresses"));
    if (const auto gateway = TRY(text_of(*object, "gateway")); !gateway.empty())
      TRY(Ip::parse(gateway), "ipam.addresses");
  }
  return ok();
}

Result<Range> parse_range(const json::object& object, std::string_view where) {
  Range range{.subnet = TRY(Cidr::parse(TRY(text_of(object, "subnet"))), "{} subnet", where)};
  const auto bound = [&](std::string_view key) -> Result<std::optional<Ip>> {
    const auto text = TRY(text_of(object, key));
    if (text.empty()) return std::nullopt;
    const Ip ip = TRY(Ip::parse(text), "{} {}", where, key);
    if (!range.subnet.contains(ip))
      return fail(Errc::Invalid, "{}: {} {} is outside of {}", where, key, ip, range.subnet);
    return ip;
  };
  range.start = TRY(bound("rangeStart"));
  range.end = TRY(bound("rangeEnd"));
  range.gateway = TRY(bound("gateway"));
  return range;
}

// One address of each set of ranges, as host-local does; a set is given by `ranges`, or the plugin's older single one.
Status parse_host_local(const json::object& ipam, const std::set<Ip>& taken, const ClusterSpace& cluster,
                        ExtraInterface& out) {
  TRY(refuse_others(ipam, "ipam host-local",
                    {"type", "ranges", "subnet", "rangeStart", "rangeEnd", "gateway", "routes", "dataDir"}));
  std::vector<std::vector<Range>> sets;
  if (ipam.if_contains("subnet")) sets.push_back({TRY(parse_range(ipam, "ipam"))});
  if (const auto* list = ipam.if_contains("ranges"); list && list->is_array())
    for (const auto& item : list->as_array()) {
      const auto* ranges = item.if_array();
      if (!ranges) return fail(Errc::Invalid, "ipam.ranges: {} must be a list", shown(item));
      auto& set = sets.emplace_back();
      for (const auto& range : *ranges) {
        const auto* object = range.if_object();
        if (!object) return fail(Errc::Invalid, "ipam.ranges: {} must be an object", shown(range));
        TRY(refuse_others(*object, "ipam.ranges", {"subnet", "rangeStart", "rangeEnd", "gateway"}));
        set.push_back(TRY(parse_range(*object, "ipam.ranges")));
      }
    }
  if (sets.empty()) return fail(Errc::Invalid, "ipam host-local has no subnet and no ranges");
  for (const auto& set : sets)
    for (const Range& range : set) TRY(check_subnet(range.subnet, "ipam subnet", cluster));
  // Nodes may stand in the same subnet: nobody gets their addresses.
  const auto is_taken = [&](const Ip& ip) {
    return taken.contains(ip) || (cluster.by_subnet && !cluster.by_subnet(host_cidr(ip)).empty());
  };
  for (const auto& set : sets) out.addresses.push_back(TRY(choose(set, is_taken)));
  return ok();
}

Status parse_ipam(const json::object& plugin, const Selection& selection, const std::set<Ip>& taken,
                  const ClusterSpace& cluster, ExtraInterface& out) {
  const auto* value = plugin.if_contains("ipam");
  const bool none = !value || is_false(*value);
  if (!none) {
    const auto* ipam = value->if_object();
    if (!ipam) return fail(Errc::Invalid, "ipam must be an object, not {}", shown(*value));
    const auto type = TRY(text_of(*ipam, "type"));
    TRY(parse_routes(*ipam, cluster, out));
    if (type == "static")
      TRY(parse_static(*ipam, out));
    else if (type == "host-local" && selection.ips.empty())
      TRY(parse_host_local(*ipam, taken, cluster, out));
    else if (type != "host-local")
      return fail(Errc::Unsupported, "ipam type \"{}\" is not supported: static and host-local are", type);
  }
  if (!selection.ips.empty()) {
    if (none) return fail(Errc::Invalid, "ips are asked for, and the definition has no ipam");
    out.addresses = selection.ips;
  }
  for (const auto& address : out.addresses) {
    const std::string_view key = selection.ips.empty() ? "ipam.addresses" : "ips";
    TRY(check_subnet(host_cidr(address.ip), key, cluster));
    TRY(check_subnet(Cidr(address.ip, address.prefix), key, cluster));
  }
  for (const auto& address : out.addresses)
    if (taken.contains(address.ip))
      return fail(Errc::Denied, "address {} belongs to another Pod of this node", address.ip);
  return ok();
}

Result<netlink::MacvlanMode> parse_mode(const std::string& text) {
  using netlink::MacvlanMode;
  if (text.empty()) return MacvlanMode::Bridge;
  for (const auto mode : {MacvlanMode::Private, MacvlanMode::Vepa, MacvlanMode::Bridge, MacvlanMode::Passthru})
    if (text == to_string(mode)) return mode;
  return fail(Errc::Invalid, "mode \"{}\" must be bridge, private, vepa or passthru", text);
}

Status parse_macvlan(const json::object& plugin, ExtraInterface& out) {
  TRY(refuse_others(plugin, "macvlan",
                    {"cniVersion", "name", "type", "capabilities", "master", "mode", "mtu", "ipam", "mac"}));
  out.device = TRY(text_of(plugin, "master"));
  out.mode = TRY(parse_mode(TRY(text_of(plugin, "mode"))));
  if (const auto* mtu = plugin.if_contains("mtu"); mtu && !is_false(*mtu)) {
    const auto* number = mtu->if_int64();
    if (!number || *number < kMinMtu || *number > kMaxMtu)
      return fail(Errc::Invalid, "mtu {} must be a number of bytes from {} to {}", shown(*mtu), kMinMtu, kMaxMtu);
    out.mtu = uint32_t(*number);
  }
  return ok();
}

Status parse_device(const json::object& plugin, ExtraInterface& out) {
  TRY(refuse_others(plugin, "host-device", {"cniVersion", "name", "type", "capabilities", "device", "ipam"}));
  out.kind = ExtraKind::Device;
  out.device = TRY(text_of(plugin, "device"));
  if (out.device.empty()) return fail(Errc::Invalid, "host-device names no device");
  return ok();
}

// The only plugin of a list, or the configuration of one.
Result<json::object> plugin_of(std::string_view config) {
  boost::system::error_code error;
  auto value = json::parse(json::string_view(config.data(), config.size()), error);
  if (error || !value.is_object()) return fail(Errc::Invalid, "spec.config is no JSON object: {}", error.message());
  auto& object = value.as_object();
  const auto* list = object.if_contains("plugins");
  if (!list) return std::move(object);
  if (!list->is_array() || list->as_array().size() != 1 || !list->as_array().front().is_object())
    return fail(Errc::Unsupported, "spec.config lists several plugins; one is supported");
  return json::object(list->as_array().front().as_object());
}

}  // namespace

Result<ExtraInterface> parse_definition(std::string_view config, const Selection& selection, const std::set<Ip>& taken,
                                        const ClusterSpace& cluster) {
  const std::string network = selection.ns + "/" + selection.name;
  const auto read = [&]() -> Result<ExtraInterface> {
    const auto plugin = TRY(plugin_of(config));
    ExtraInterface out{.network = network, .ifname = selection.ifname, .mac = selection.mac};
    const auto type = TRY(text_of(plugin, "type"));
    if (type == "macvlan")
      TRY(parse_macvlan(plugin, out));
    else if (type == "host-device")
      TRY(parse_device(plugin, out));
    else
      return fail(Errc::Unsupported, "type \"{}\" is not supported: macvlan and host-device are", type);
    if (out.device.size() > 15 || out.device.find_first_of("/;, ") != std::string::npos)
      return fail(Errc::Invalid, "\"{}\" is no name of a device", out.device);
    TRY(parse_ipam(plugin, selection, taken, cluster, out));
    if (!out.mac && !out.addresses.empty() && out.kind == ExtraKind::Macvlan)
      out.mac = extra_mac(out.addresses.front().ip);
    return out;
  };
  return TRY(read(), "NetworkAttachmentDefinition {}", network);
}

}  // namespace causeway::pod
