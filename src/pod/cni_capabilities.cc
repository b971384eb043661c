// runtimeConfig: what the runtime passes for one call. A capability is honoured or refused by its name.
#include <algorithm>

#include "pod/cni_json.h"

namespace causeway::pod {
namespace {

constexpr std::string_view kAnnotations = "io.kubernetes.cri.pod-annotations";

// Any case: containerd writes "IngressRate".
bool is_bandwidth_key(std::string_view key) {
  for (const char* known : {"ingressRate", "ingressBurst", "egressRate", "egressBurst"})
    if (member(json::object{{json::string_view(key.data(), key.size()), nullptr}}, known)) return true;
  return false;
}

// What we honour, and what we know and cannot do, with the reason.
struct Capability {
  std::string_view name;
  std::string_view refused;  // "": honoured
};
constexpr Capability kCapabilities[] = {
    {"portMappings", ""},
    {"bandwidth", ""},
    {"ips", ""},
    {"mac", ""},
    {"dns", ""},
    {kAnnotations, ""},
    {"cgroupPath", ""},  // tells us something and asks for nothing
    {"ipRanges", "addresses come from the node's Pod CIDRs; ask for single ones with the capability ips"},
    {"aliases", "names of Pods are the cluster's DNS, made of Services"},
    {"deviceID", "a device is asked for by a NetworkAttachmentDefinition"},
    {"infinibandGUID", "the interface is a veth, no InfiniBand device"},
};

const Capability* find_capability(std::string_view name) {
  const auto found = std::ranges::find(kCapabilities, name, &Capability::name);
  return found == std::end(kCapabilities) ? nullptr : &*found;
}

// A port of 1..65535. 0 where it may be left out.
CniResult<uint16_t> parse_port(const json::object& mapping, std::string_view key, const std::string& where) {
  const auto* value = member(mapping, key);
  const auto* number = value ? value->if_int64() : nullptr;
  if (!number || *number < 0 || *number > UINT16_MAX)
    return std::unexpected(config_error(fmt::format("{}.{} {} must be a port from 1 to 65535", where, key,
                                                    value ? shortened(*value) : "is missing and")));
  return uint16_t(*number);
}

CniResult<std::optional<cluster::HostPort>> parse_mapping(const json::value& value, const std::string& where) {
  const auto* mapping = value.if_object();
  if (!mapping)
    return std::unexpected(config_error(fmt::format("{} must be an object, not {}", where, shortened(value))));
  const auto host_port = parse_port(*mapping, "hostPort", where);
  if (!host_port) return std::unexpected(host_port.error());
  const auto container_port = parse_port(*mapping, "containerPort", where);
  if (!container_port) return std::unexpected(container_port.error());
  if (*host_port == 0) return std::nullopt;  // as in a Pod's spec: no port of the node is wanted
  if (*container_port == 0)
    return std::unexpected(config_error(where + ".containerPort 0 must be a port from 1 to 65535"));
  cluster::HostPort port{.port = *host_port, .container_port = *container_port};
  if (const auto* protocol = member(*mapping, "protocol"); protocol && !is_nothing(*protocol)) {
    std::string name = protocol->is_string() ? std::string(protocol->as_string()) : std::string();
    for (char& c : name) c = char(std::tolower(uint8_t(c)));
    const auto known = parse_protocol(name);
    if (!known)
      return std::unexpected(
          config_error(fmt::format("{}.protocol {} must be tcp, udp or sctp", where, shortened(*protocol))));
    port.protocol = *known;
  }
  if (const auto* host_ip = member(*mapping, "hostIP"); host_ip && !is_nothing(*host_ip)) {
    const auto ip = host_ip->is_string() ? Ip::parse(host_ip->as_string()) : Result<Ip>(fail(Errc::Invalid, "no text"));
    if (!ip || ip->is_multicast())
      return std::unexpected(
          config_error(fmt::format("{}.hostIP {} must be an address of the node", where, shortened(*host_ip)),
                       ip ? "it is a multicast address" : ip.error().message()));
    port.host_ip = *ip;
  }
  return port;
}

// Without an address it is that of 0.0.0.0 and :: too.
bool same_place(const cluster::HostPort& a, const cluster::HostPort& b) {
  const auto is_any = [](const cluster::HostPort& port) { return !port.host_ip || port.host_ip->is_unspecified(); };
  return a.host_ip == b.host_ip || (is_any(a) && is_any(b) && (!a.host_ip || !b.host_ip));
}

// The capability portMappings (CONVENTIONS.md of the CNI specification).
CniResult<std::vector<cluster::HostPort>> parse_port_mappings(const json::value& value) {
  constexpr const char* kKey = "runtimeConfig.portMappings";
  std::vector<cluster::HostPort> ports;
  if (value.is_null()) return ports;
  const auto* list = value.if_array();
  if (!list) return std::unexpected(config_error(fmt::format("{} must be a list, not {}", kKey, shortened(value))));
  for (size_t i = 0; i < list->size(); ++i) {
    auto port = parse_mapping((*list)[i], fmt::format("{}[{}]", kKey, i));
    if (!port) return std::unexpected(std::move(port.error()));
    if (!*port) continue;
    bool again = false;
    for (const auto& other : ports) {
      if (other.protocol != (*port)->protocol || other.port != (*port)->port || !same_place(other, **port)) continue;
      if (other.container_port != (*port)->container_port)
        return std::unexpected(
            config_error(fmt::format("{}: port {}/{} leads to two ports of the Pod, {} and {}", kKey, other.port,
                                     other.protocol, other.container_port, (*port)->container_port)));
      again = again || other == **port;
    }
    if (!again) ports.push_back(**port);
  }
  return ports;
}

CniResult<void> parse_ips(NetworkConfig& out, const json::value& value) {
  constexpr const char* kKey = "runtimeConfig.ips";
  const auto* list = value.if_array();
  if (!list) return std::unexpected(config_error(fmt::format("{} must be a list, not {}", kKey, shortened(value))));
  out.ips.clear();
  for (const auto& item : *list) {
    if (!item.is_string())
      return std::unexpected(config_error(fmt::format("{} must hold addresses, not {}", kKey, shortened(item))));
    auto ip = parse_asked_ip(text_of(item.as_string()), kKey);
    if (!ip) return std::unexpected(std::move(ip.error()));
    out.ips.push_back(*ip);
  }
  return check_asked_ips(out.ips, kKey);
}

CniResult<void> parse_annotations(NetworkConfig& out, const json::value& value) {
  const auto* map = value.if_object();
  if (!map)
    return std::unexpected(
        config_error(fmt::format("runtimeConfig.{} must be an object, not {}", kAnnotations, shortened(value))));
  for (const auto& [name, text] : *map) {
    if (!text.is_string())
      return std::unexpected(config_error(
          fmt::format("runtimeConfig.{}.{} must be a string, not {}", kAnnotations, text_of(name), shortened(text))));
    out.annotations.emplace(text_of(name), text_of(text.as_string()));
  }
  return {};
}

// {servers, searches, options} of the runtime, as the result's {nameservers, search, options}.
CniResult<void> parse_dns(NetworkConfig& out, const json::value& value) {
  constexpr std::pair<std::string_view, std::string_view> kKeys[] = {
      {"servers", "nameservers"}, {"searches", "search"}, {"options", "options"}};
  const auto* dns = value.if_object();
  if (!dns)
    return std::unexpected(config_error(fmt::format("runtimeConfig.dns must be an object, not {}", shortened(value))));
  json::object result;
  for (const auto& [from, to] : kKeys) {
    const auto* list = member(*dns, from);
    if (!list || is_nothing(*list)) continue;
    if (!list->is_array() ||
        !std::ranges::all_of(list->as_array(), [](const json::value& item) { return item.is_string(); }))
      return std::unexpected(
          config_error(fmt::format("runtimeConfig.dns.{} must be a list of strings, not {}", from, shortened(*list))));
    result[json::string_view(to.data(), to.size())] = *list;
  }
  if (!result.empty()) out.dns = json::serialize(result);
  return {};
}

CniResult<void> parse_capability(NetworkConfig& out, std::string_view name, const json::value& value) {
  if (name == "portMappings") {
    auto ports = parse_port_mappings(value);
    if (!ports) return std::unexpected(std::move(ports.error()));
    out.host_ports = std::move(*ports);
    return {};
  }
  if (name == "ips") return parse_ips(out, value);
  if (name == "dns") return parse_dns(out, value);
  if (name == kAnnotations) return parse_annotations(out, value);
  if (name == "bandwidth") {
    const auto* object = value.if_object();
    if (!object)
      return std::unexpected(
          config_error(fmt::format("runtimeConfig.bandwidth must be an object, not {}", shortened(value))));
    for (const auto& [key, limit] : *object)
      if (!is_bandwidth_key(text_of(key)))
        return unsupported("runtimeConfig.bandwidth." + std::string(text_of(key)), limit,
                           "a Pod would run without the limit that a misspelt key was meant to set; known are "
                           "ingressRate, ingressBurst, egressRate and egressBurst");
    return parse_bandwidth_keys(out, *object, "runtimeConfig.bandwidth.");
  }
  if (name == "mac") {
    if (is_nothing(value)) return {};
    auto mac = value.is_string() ? parse_asked_mac(text_of(value.as_string()), "runtimeConfig.mac")
                                 : std::unexpected(config_error("runtimeConfig.mac must be a string"));
    if (!mac) return std::unexpected(std::move(mac.error()));
    out.tuning.mac = *mac;
    return {};
  }
  if (!value.is_string())  // cgroupPath
    return std::unexpected(
        config_error(fmt::format("runtimeConfig.{} must be a string, not {}", name, shortened(value))));
  return {};
}

}  // namespace

CniResult<void> parse_bandwidth_keys(NetworkConfig& out, const json::object& object, const std::string& where) {
  const auto number = [&](std::string_view key) -> CniResult<std::optional<double>> {
    const auto* value = member(object, key);
    if (!value || value->is_null()) return std::nullopt;
    if (!value->is_number())
      return std::unexpected(
          config_error(fmt::format("{}{} must be a number of bits, not {}", where, key, shortened(*value))));
    return value->to_number<double>();
  };
  const auto limit = [&](std::string_view way, std::optional<Limit>& into) -> CniResult<void> {
    auto rate = number(fmt::format("{}Rate", way));
    if (!rate) return std::unexpected(std::move(rate.error()));
    auto burst = number(fmt::format("{}Burst", way));
    if (!burst) return std::unexpected(std::move(burst.error()));
    auto parsed = parse_limit(where + std::string(way), *rate, *burst);
    if (!parsed) return std::unexpected(config_error(parsed.error().message()));
    if (*parsed) into = *parsed;
    return {};
  };
  if (auto good = limit("ingress", out.tuning.bandwidth.ingress); !good) return good;
  return limit("egress", out.tuning.bandwidth.egress);
}

CniResult<void> parse_runtime_config(NetworkConfig& out, const json::object& runtime) {
  for (const auto& entry : runtime) {
    // Any case: the CNI project's own examples write "bandWidth".
    const Capability* capability = nullptr;
    for (const auto& known : kCapabilities)
      if (member(json::object{{entry.key(), nullptr}}, known.name)) capability = &known;
    if (entry.value().is_null() || (is_nothing(entry.value()) && (!capability || !capability->refused.empty())))
      continue;
    const std::string key = "runtimeConfig." + std::string(text_of(entry.key()));
    if (!capability)
      return unsupported(key, entry.value(), "a capability that we do not know cannot be honoured, so it is refused");
    if (!capability->refused.empty()) return unsupported(key, entry.value(), std::string(capability->refused));
    if (auto good = parse_capability(out, capability->name, entry.value()); !good) return good;
  }
  return {};
}

CniResult<void> check_capabilities(const json::object& capabilities) {
  for (const auto& entry : capabilities) {
    const std::string key = "capabilities." + std::string(text_of(entry.key()));
    if (!entry.value().is_bool())
      return std::unexpected(
          config_error(fmt::format("{} must be true or false, not {}", key, shortened(entry.value()))));
    const auto* capability = find_capability(text_of(entry.key()));
    if (!entry.value().as_bool() || (capability && capability->refused.empty())) continue;
    return unsupported(key, entry.value(),
                       capability ? std::string(capability->refused) : "there is none of that name");
  }
  return {};
}

}  // namespace causeway::pod
