#include "pod/cni_request.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cctype>
#include <cstring>

namespace causeway::pod {
namespace {

namespace json = boost::json;

constexpr uint32_t kMinMtu = 576;  // RFC 791: every IPv4 host takes this much
constexpr uint32_t kMaxMtu = 65535;
constexpr size_t kMaxContainer = 128;  // bytes: with it the link's alias still fits 255
constexpr size_t kMaxName = 255;

CniError environment(std::string message) { return {CniCode::InvalidEnvironment, std::move(message), {}}; }
CniError config(std::string message, std::string details = {}) {
  return {CniCode::InvalidConfig, std::move(message), std::move(details)};
}

// ^[a-zA-Z0-9][a-zA-Z0-9_.-]*$: network names and container ids (SPEC.md, "Parameters" and "Network configuration").
bool is_identifier(std::string_view text) {
  if (text.empty() || !std::isalnum(uint8_t(text.front()))) return false;
  for (const char c : text)
    if (!std::isalnum(uint8_t(c)) && c != '_' && c != '.' && c != '-') return false;
  return true;
}

// What the kernel takes as a name (dev_valid_name) and the specification repeats.
bool is_ifname(std::string_view text) {
  if (text.empty() || text.size() > 15 || text == "." || text == "..") return false;
  for (const char c : text)
    if (c == '/' || c == ':' || std::isspace(uint8_t(c)) || uint8_t(c) < ' ' || c == 0x7f) return false;
  return true;
}

std::string shortened(const json::value& value) {
  std::string text = json::serialize(value);
  if (text.size() > 200) text = text.substr(0, 200) + "...";
  return text;
}

std::unexpected<CniError> unsupported(std::string_view key, const json::value& value, std::string details) {
  return std::unexpected(CniError{CniCode::UnsupportedField,
                                  fmt::format("unsupported field {}: {}", key, shortened(value)), std::move(details)});
}

CniResult<CniVersion> parse_version(const json::value& value) {
  if (!value.is_string())
    return std::unexpected(config(fmt::format("cniVersion must be a string, not {}", shortened(value))));
  const std::string_view text(value.as_string());
  if (text.empty()) return CniVersion::V0_1;
  for (const CniVersion version : kCniVersions)
    if (text == to_string(version)) return version;
  return std::unexpected(CniError{CniCode::IncompatibleVersion, fmt::format("cniVersion {} is not supported", text),
                                  "supported are 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0 and 1.1.0"});
}

// An empty object, array, string or null, as tools write "nothing".
bool is_nothing(const json::value& value) {
  return value.is_null() || (value.is_object() && value.as_object().empty()) ||
         (value.is_array() && value.as_array().empty()) || (value.is_string() && value.as_string().empty());
}

// A member by its name, whatever the case of its letters: containerd writes "HostPort", and the plugins of the CNI
// project, which ignore case as Go's encoding/json does, take it. The exact name wins.
const json::value* member(const json::object& object, std::string_view name) {
  if (const auto* exact = object.if_contains(name)) return exact;
  const auto same = [](char a, char b) { return std::tolower(uint8_t(a)) == std::tolower(uint8_t(b)); };
  for (const auto& [key, value] : object)
    if (std::ranges::equal(std::string_view(key), name, same)) return &value;
  return nullptr;
}

// A port of 1..65535. 0 where it may be left out.
CniResult<uint16_t> parse_port(const json::object& mapping, std::string_view key, const std::string& where) {
  const auto* value = member(mapping, key);
  const auto* number = value ? value->if_int64() : nullptr;
  if (!number || *number < 0 || *number > UINT16_MAX)
    return std::unexpected(config(fmt::format("{}.{} {} must be a port from 1 to 65535", where, key,
                                              value ? shortened(*value) : "is missing and")));
  return uint16_t(*number);
}

CniResult<std::optional<cluster::HostPort>> parse_mapping(const json::value& value, const std::string& where) {
  const auto* mapping = value.if_object();
  if (!mapping) return std::unexpected(config(fmt::format("{} must be an object, not {}", where, shortened(value))));
  const auto host_port = parse_port(*mapping, "hostPort", where);
  if (!host_port) return std::unexpected(host_port.error());
  const auto container_port = parse_port(*mapping, "containerPort", where);
  if (!container_port) return std::unexpected(container_port.error());
  if (*host_port == 0) return std::nullopt;  // as in a Pod's spec: no port of the node is wanted
  if (*container_port == 0) return std::unexpected(config(where + ".containerPort 0 must be a port from 1 to 65535"));
  cluster::HostPort port{.port = *host_port, .container_port = *container_port};
  if (const auto* protocol = member(*mapping, "protocol"); protocol && !is_nothing(*protocol)) {
    std::string name = protocol->is_string() ? std::string(protocol->as_string()) : std::string();
    for (char& c : name) c = char(std::tolower(uint8_t(c)));
    const auto known = parse_protocol(name);
    if (!known)
      return std::unexpected(
          config(fmt::format("{}.protocol {} must be tcp, udp or sctp", where, shortened(*protocol))));
    port.protocol = *known;
  }
  if (const auto* host_ip = member(*mapping, "hostIP"); host_ip && !is_nothing(*host_ip)) {
    const auto ip = host_ip->is_string() ? Ip::parse(host_ip->as_string()) : Result<Ip>(fail(Errc::Invalid, "no text"));
    if (!ip || ip->is_multicast())
      return std::unexpected(
          config(fmt::format("{}.hostIP {} must be an address of the node", where, shortened(*host_ip)),
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
  if (!list) return std::unexpected(config(fmt::format("{} must be a list, not {}", kKey, shortened(value))));
  for (size_t i = 0; i < list->size(); ++i) {
    auto port = parse_mapping((*list)[i], fmt::format("{}[{}]", kKey, i));
    if (!port) return std::unexpected(std::move(port.error()));
    if (!*port) continue;
    bool again = false;
    for (const auto& other : ports) {
      if (other.protocol != (*port)->protocol || other.port != (*port)->port || !same_place(other, **port)) continue;
      if (other.container_port != (*port)->container_port)
        return std::unexpected(
            config(fmt::format("{}: port {}/{} leads to two ports of the Pod, {} and {}", kKey, other.port,
                               other.protocol, other.container_port, (*port)->container_port)));
      again = again || other == **port;
    }
    if (!again) ports.push_back(**port);
  }
  return ports;
}

CniResult<void> check_field(NetworkConfig& out, std::string_view key, const json::value& value) {
  if (key == "cniVersion") {
    auto version = parse_version(value);
    if (!version) return std::unexpected(std::move(version.error()));
    out.version = *version;
  } else if (key == "name") {
    if (!value.is_string() || !is_identifier(value.as_string()) || value.as_string().size() > kMaxName)
      return std::unexpected(config(
          fmt::format("name {} must begin with a letter or digit and go on with these, _ . or -", shortened(value))));
    out.name = value.as_string();
  } else if (key == "type") {
    if (!value.is_string() || value.as_string().empty())
      return std::unexpected(config(fmt::format("type must be the plugin's name, not {}", shortened(value))));
  } else if (key == "mtu") {
    const auto* number = value.if_int64();
    if (!number || *number < 0 || *number > kMaxMtu || (*number > 0 && *number < kMinMtu))
      return std::unexpected(config(fmt::format("mtu {} must be 0 (the fabric's) or a number of bytes from {} to {}",
                                                shortened(value), kMinMtu, kMaxMtu)));
    if (*number > 0) out.mtu = uint32_t(*number);
  } else if (key == "agentSocket") {
    if (!value.is_string() || !value.as_string().starts_with("/") || value.as_string().size() > 107)
      return std::unexpected(
          config(fmt::format("agentSocket {} must be an absolute path of at most 107 bytes", shortened(value))));
  } else if (key == "ipam") {
    if (!is_nothing(value))
      return unsupported(key, value, "causeway gives out the addresses of the node's Pod CIDRs itself; leave ipam out");
  } else if (key == "prevResult") {
    if (!value.is_null())
      return unsupported(key, value,
                         "causeway makes the Pod's interface itself and must be the first plugin of its list");
  } else if (key == "dns" || key == "args" || key == "capabilities" || key == "runtimeConfig") {
    // The Pod's DNS configuration is kubelet's; capabilities that we do not declare bring nothing that binds us.
    if (const auto* runtime = value.if_object(); runtime && key == "runtimeConfig")
      if (const auto* mappings = runtime->if_contains("portMappings")) {
        auto ports = parse_port_mappings(*mappings);
        if (!ports) return std::unexpected(std::move(ports.error()));
        out.host_ports = std::move(*ports);
      }
    if (!value.is_object() && !value.is_null())
      return std::unexpected(config(fmt::format("{} must be an object, not {}", key, shortened(value))));
  } else if (key.find('/') == std::string_view::npos) {  // "cni.dev/...": the runtime library's own
    return unsupported(key, value,
                       "a misspelt key would be ignored in silence, so keys that we do not know are refused");
  }
  return {};
}

}  // namespace

CniError to_cni(Error error, std::string message) {
  CniCode code = CniCode::Failed;
  switch (error.code()) {
    case Errc::Exhausted: code = CniCode::Exhausted; break;
    case Errc::Unavailable:
    case Errc::Timeout:
    case Errc::Cancelled:
    case Errc::Conflict: code = CniCode::TryAgainLater; break;
    case Errc::Io: code = CniCode::IoFailure; break;
    case Errc::Invalid:
    case Errc::NotFound:
    case Errc::AlreadyExists:
    case Errc::Gone:
    case Errc::Denied:
    case Errc::Truncated:
    case Errc::Unsupported:
    case Errc::Internal: break;
  }
  return {code, std::move(message), error.message()};
}

std::string_view to_string(CniVersion version) {
  switch (version) {
    case CniVersion::V0_1: return "0.1.0";
    case CniVersion::V0_2: return "0.2.0";
    case CniVersion::V0_3_0: return "0.3.0";
    case CniVersion::V0_3_1: return "0.3.1";
    case CniVersion::V0_4: return "0.4.0";
    case CniVersion::V1_0: return "1.0.0";
    case CniVersion::V1_1: return "1.1.0";
  }
  __builtin_unreachable();
}

Result<RawRequest> parse_message(std::string_view bytes) {
  wire::Request header;
  if (bytes.size() < sizeof header) return fail(Errc::Truncated, "a request of {} bytes", bytes.size());
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.magic != wire::kMagic)
    return fail(Errc::Invalid, "a request of another version: agent and causeway-cni must be of one release");
  bytes.remove_prefix(sizeof header);
  RawRequest request;
  for (int i = 0; i < wire::kFields; ++i) {
    if (header.length[i] > bytes.size()) return fail(Errc::Truncated, "field {} of a request is cut off", i);
    if (header.present >> i & 1) request.field[i].emplace(bytes.substr(0, header.length[i]));
    bytes.remove_prefix(header.length[i]);
  }
  if (!bytes.empty()) return fail(Errc::Invalid, "{} bytes behind a request", bytes.size());
  return request;
}

CniResult<Command> parse_command(const RawRequest& request) {
  const auto& command = request.field[wire::kCommand];
  if (!command || command->empty()) return std::unexpected(environment("CNI_COMMAND is not set"));
  if (*command == "ADD") return Command::Add;
  if (*command == "DEL") return Command::Del;
  if (*command == "VERSION") return Command::Version;
  if (*command == "STATUS") return Command::Status;
  return std::unexpected(environment(fmt::format("CNI_COMMAND {} is none of ADD, DEL, STATUS and VERSION", *command)));
}

CniResult<Key> parse_key(const RawRequest& request) {
  const auto& container = request.field[wire::kContainer];
  const auto& ifname = request.field[wire::kIfname];
  if (!container || container->empty()) return std::unexpected(environment("CNI_CONTAINERID is not set"));
  if (!is_identifier(*container))
    return std::unexpected(environment(fmt::format(
        "CNI_CONTAINERID {} must begin with a letter or digit and go on with these, _ . or -", *container)));
  if (container->size() > kMaxContainer)
    return std::unexpected(environment(
        fmt::format("CNI_CONTAINERID has {} bytes, at most {} are supported", container->size(), kMaxContainer)));
  if (!ifname || ifname->empty()) return std::unexpected(environment("CNI_IFNAME is not set"));
  if (!is_ifname(*ifname))
    return std::unexpected(
        environment(fmt::format("CNI_IFNAME {} must have 1 to 15 bytes, without blanks, / and :", *ifname)));
  return Key{*container, *ifname};
}

CniResult<Args> parse_args(std::string_view text) {
  Args args;
  bool ignore_unknown = false;
  std::string unknown;
  while (!text.empty()) {
    const size_t end = text.find(';');
    const auto pair = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (pair.empty()) continue;
    const size_t equal = pair.find('=');
    if (equal == std::string_view::npos)
      return std::unexpected(environment(fmt::format("CNI_ARGS: \"{}\" is no KEY=VALUE", pair)));
    const auto key = pair.substr(0, equal);
    const auto value = pair.substr(equal + 1);
    if (key == "IgnoreUnknown")
      ignore_unknown = value == "1" || value == "true" || value == "True" || value == "TRUE";
    else if (key == "K8S_POD_NAMESPACE")
      args.pod.ns = value;
    else if (key == "K8S_POD_NAME")
      args.pod.name = value;
    else if (key == "K8S_POD_UID")
      args.pod_uid = value;
    else if (key != "K8S_POD_INFRA_CONTAINER_ID")
      unknown = key;
  }
  if (!unknown.empty() && !ignore_unknown)
    return std::unexpected(environment(fmt::format("CNI_ARGS: unknown key {} (without IgnoreUnknown=1)", unknown)));
  return args;
}

CniResult<NetworkConfig> parse_config(std::string_view text) {
  boost::system::error_code error;
  const auto value = json::parse(json::string_view(text.data(), text.size()), error);
  if (error)
    return std::unexpected(CniError{CniCode::DecodeFailure, "the network configuration is no JSON", error.message()});
  const auto* object = value.if_object();
  if (!object)
    return std::unexpected(CniError{CniCode::DecodeFailure, "the network configuration is no JSON object", {}});
  NetworkConfig out;
  for (const auto& entry : *object)
    if (auto good = check_field(out, std::string_view(entry.key().data(), entry.key().size()), entry.value()); !good)
      return std::unexpected(std::move(good.error()));
  if (out.name.empty()) return std::unexpected(config("name is missing"));
  return out;
}

CniVersion version_of(std::string_view text) {
  boost::system::error_code error;
  const auto value = json::parse(json::string_view(text.data(), text.size()), error);
  if (error || !value.is_object()) return CniVersion::V1_1;
  const auto* field = value.as_object().if_contains("cniVersion");
  if (!field) return CniVersion::V0_1;
  return parse_version(*field).value_or(CniVersion::V1_1);
}

}  // namespace causeway::pod
