// The network configuration: one key after the other, each checked, each unknown one refused by its name.
#include <algorithm>
#include <cctype>

#include "pod/cni_folder.h"
#include "pod/cni_json.h"
#include "pod/mtu_wish.h"

namespace causeway::pod {
namespace {

constexpr uint32_t kMaxMtu = 65535;
constexpr size_t kMaxName = 255;

CniResult<CniVersion> parse_version(const json::value& value) {
  if (!value.is_string())
    return std::unexpected(config_error(fmt::format("cniVersion must be a string, not {}", shortened(value))));
  const std::string_view text = text_of(value.as_string());
  if (text.empty()) return CniVersion::V0_1;
  for (const CniVersion version : kCniVersions)
    if (text == to_string(version)) return version;
  return std::unexpected(CniError{CniCode::IncompatibleVersion,
                                  fmt::format("cniVersion {} is not supported", text.substr(0, 64)),
                                  "supported are 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0 and 1.1.0"});
}

CniResult<void> parse_name(NetworkConfig& out, const json::value& value) {
  if (value.is_string() && value.as_string().size() > kMaxName)
    return std::unexpected(
        config_error(fmt::format("name has {} bytes, at most {} are supported", value.as_string().size(), kMaxName)));
  if (!value.is_string() || !is_identifier(text_of(value.as_string())))
    return std::unexpected(config_error(
        fmt::format("name {} must begin with a letter or digit and go on with these, _ . or -", shortened(value))));
  out.name = text_of(value.as_string());
  return {};
}

CniResult<void> parse_mtu(NetworkConfig& out, const json::value& value) {
  const auto* number = value.if_int64();
  if (!number || *number < 0 || *number > kMaxMtu || (*number > 0 && *number < kMinMtu))
    return std::unexpected(config_error(fmt::format(
        "mtu {} must be 0 (the fabric's) or a number of bytes from {} to {}", shortened(value), kMinMtu, kMaxMtu)));
  if (*number > 0) out.mtu = uint32_t(*number);
  return {};
}

// What the CNI project's plugin `tuning` takes under the same name.
CniResult<void> parse_sysctl(NetworkConfig& out, const json::value& value) {
  const auto* map = value.if_object();
  if (!map) return std::unexpected(config_error(fmt::format("sysctl must be an object, not {}", shortened(value))));
  for (const auto& [name, text] : *map) {
    if (!text.is_string())
      return std::unexpected(
          config_error(fmt::format("sysctl.{} must be a string, not {}", text_of(name), shortened(text))));
    out.tuning.sysctls.emplace(text_of(name), text_of(text.as_string()));
  }
  return {};
}

// args.cni: what is asked for in the configuration itself (CONVENTIONS.md). Everything else in args is for others.
CniResult<void> parse_cni_args(NetworkConfig& out, const json::object& cni) {
  if (const auto* ips = cni.if_contains("ips"); ips && !is_nothing(*ips)) {
    const auto* list = ips->if_array();
    if (!list)
      return std::unexpected(config_error(fmt::format("args.cni.ips must be a list, not {}", shortened(*ips))));
    for (const auto& item : *list) {
      if (!item.is_string())
        return std::unexpected(config_error(fmt::format("args.cni.ips must hold addresses, not {}", shortened(item))));
      auto ip = parse_asked_ip(text_of(item.as_string()), "args.cni.ips");
      if (!ip) return std::unexpected(std::move(ip.error()));
      out.ips.push_back(*ip);
    }
    if (auto good = check_asked_ips(out.ips, "args.cni.ips"); !good) return good;
  }
  if (const auto* mac = cni.if_contains("mac"); mac && !is_nothing(*mac)) {
    if (!mac->is_string())
      return std::unexpected(config_error(fmt::format("args.cni.mac must be a string, not {}", shortened(*mac))));
    auto parsed = parse_asked_mac(text_of(mac->as_string()), "args.cni.mac");
    if (!parsed) return std::unexpected(std::move(parsed.error()));
    out.tuning.mac = *parsed;
  }
  return {};
}

// [{"containerID": ..., "ifname": ...}]. What cannot be one of ours is in nobody's way.
CniResult<void> parse_valid_attachments(NetworkConfig& out, std::string_view key, const json::value& value) {
  auto& all = out.valid_attachments.emplace(std::move(out.valid_attachments).value_or(std::set<Key>{}));
  if (value.is_null()) return {};  // as Go writes an empty list
  const auto* list = value.if_array();
  if (!list) return std::unexpected(config_error(fmt::format("{} must be a list, not {}", key, shortened(value))));
  for (size_t i = 0; i < list->size(); ++i) {
    const auto* item = (*list)[i].if_object();
    const auto* container = item ? item->if_contains("containerID") : nullptr;
    const auto* ifname = item ? item->if_contains("ifname") : nullptr;
    if (!container || !ifname || !container->is_string() || !ifname->is_string())
      return std::unexpected(config_error(fmt::format("{}[{}] must have the strings containerID and ifname, not be {}",
                                                      key, i, shortened((*list)[i]))));
    if (auto good = parse_key(text_of(container->as_string()), text_of(ifname->as_string()))) all.insert(*good);
  }
  return {};
}

bool names_us(const json::value& ipam) {
  const auto* object = ipam.if_object();
  const auto* type = object ? object->if_contains("type") : nullptr;
  return type && type->is_string() && text_of(type->as_string()) == kPluginName;
}

// As another plugin's `ipam` we are told its whole configuration; what concerns us is the object with our name.
CniResult<void> check_ipam(const json::value& ipam) {
  for (const auto& entry : ipam.as_object())
    if (const auto key = text_of(entry.key()); key != "type" && key != "agentSocket")
      return unsupported("ipam." + std::string(key), entry.value(),
                         "addresses come from the node's Pod CIDRs, with a route to everywhere");
  return {};
}

CniResult<void> check_socket(const json::value& value, std::string_view key) {
  if (!value.is_string() || !value.as_string().starts_with("/") || value.as_string().size() > 107)
    return std::unexpected(
        config_error(fmt::format("{} {} must be an absolute path of at most 107 bytes", key, shortened(value))));
  return {};
}

CniResult<void> parse_dns(NetworkConfig& out, const json::value& value) {
  if (!value.is_object() && !value.is_null())
    return std::unexpected(config_error(fmt::format("dns must be an object, not {}", shortened(value))));
  if (!is_nothing(value)) out.dns = json::serialize(value);
  return {};
}

bool is_bandwidth_key(std::string_view key) {
  return key == "ingressRate" || key == "ingressBurst" || key == "egressRate" || key == "egressBurst";
}

CniResult<void> parse_field(NetworkConfig& out, Command command, std::string_view key, const json::value& value) {
  const auto object = [&](auto then) -> CniResult<void> {
    if (value.is_null()) return {};
    if (!value.is_object())
      return std::unexpected(config_error(fmt::format("{} must be an object, not {}", key, shortened(value))));
    return then(value.as_object());
  };
  if (key == "name") return parse_name(out, value);
  if (key == "cni.dev/valid-attachments" || key == "cni.dev/attachments")
    return parse_valid_attachments(out, key, value);
  if (key == "prevResult") {
    if (value.is_null()) return {};
    auto previous = parse_prev_result(value);
    if (!previous) return std::unexpected(std::move(previous.error()));
    out.previous = std::move(*previous);
    if (command == Command::Add && out.role == Role::Main) out.role = Role::Chained;
    return {};
  }
  if (key == "runtimeConfig")
    return object([&](const json::object& runtime) { return parse_runtime_config(out, runtime); });
  if (key == "args")
    return object([&](const json::object& args) -> CniResult<void> {
      const auto* cni = args.if_contains("cni");
      return cni && cni->is_object() ? parse_cni_args(out, cni->as_object()) : CniResult<void>();
    });
  if (out.role == Role::Ipam) return {};  // what follows is the other plugin's
  if (key == "type") {
    if (!value.is_string() || value.as_string().empty())
      return std::unexpected(config_error(fmt::format("type must be the plugin's name, not {}", shortened(value))));
    return {};
  }
  if (key == "mtu") return parse_mtu(out, value);
  if (key == "sysctl") return parse_sysctl(out, value);
  if (key == "dns") return parse_dns(out, value);
  if (key == "agentSocket") return check_socket(value, key);
  if (key == "capabilities") return object([](const json::object& all) { return check_capabilities(all); });
  if (key == "ipam") {
    if (is_nothing(value)) return {};
    return unsupported(key, value, "causeway gives out the addresses of the node's Pod CIDRs itself; leave ipam out");
  }
  if (is_bandwidth_key(key)) return {};                    // together, in parse_config
  if (key.find('/') != std::string_view::npos) return {};  // "cni.dev/...": the runtime library's own
  return unsupported(key, value, "a misspelt key would be ignored in silence, so keys that we do not know are refused");
}

// What the other keys are read by: version, and whether we are asked for addresses alone.
CniResult<void> parse_head(NetworkConfig& out, Command command, const json::object& object) {
  if (const auto* version = object.if_contains("cniVersion")) {
    auto parsed = parse_version(*version);
    if (!parsed) return std::unexpected(std::move(parsed.error()));
    out.version = *parsed;
  }
  if (!has(out.version, command))
    return std::unexpected(CniError{CniCode::IncompatibleVersion,
                                    fmt::format("cniVersion {} does not have this CNI_COMMAND", to_string(out.version)),
                                    "CHECK began with 0.4.0, GC and STATUS with 1.1.0"});
  const auto* type = object.if_contains("type");
  const bool our_type = type && type->is_string() && text_of(type->as_string()) == kPluginName;
  if (const auto* ipam = object.if_contains("ipam"); ipam && !our_type && names_us(*ipam)) {
    out.role = Role::Ipam;
    if (const auto* socket = ipam->as_object().if_contains("agentSocket"))
      if (auto good = check_socket(*socket, "ipam.agentSocket"); !good) return good;
    return check_ipam(*ipam);
  }
  return {};
}

}  // namespace

std::string shortened(const json::value& value) {
  std::string text = json::serialize(value);
  if (text.size() > 200) text = text.substr(0, 200) + "...";
  return text;
}

std::unexpected<CniError> unsupported(std::string_view key, const json::value& value, std::string details) {
  return std::unexpected(CniError{CniCode::UnsupportedField,
                                  fmt::format("unsupported field {}: {}", key, shortened(value)), std::move(details)});
}

bool is_identifier(std::string_view text) {
  if (text.empty() || !std::isalnum(uint8_t(text.front()))) return false;
  for (const char c : text)
    if (!std::isalnum(uint8_t(c)) && c != '_' && c != '.' && c != '-') return false;
  return true;
}

bool is_nothing(const json::value& value) {
  return value.is_null() || (value.is_object() && value.as_object().empty()) ||
         (value.is_array() && value.as_array().empty()) || (value.is_string() && value.as_string().empty());
}

const json::value* member(const json::object& object, std::string_view name) {
  if (const auto* exact = object.if_contains(json::string_view(name.data(), name.size()))) return exact;
  const auto same = [](char a, char b) { return std::tolower(uint8_t(a)) == std::tolower(uint8_t(b)); };
  for (const auto& [key, value] : object)
    if (std::ranges::equal(text_of(key), name, same)) return &value;
  return nullptr;
}

CniResult<Ip> parse_asked_ip(std::string_view text, const std::string& where) {
  const auto refuse = [&](std::string_view why) {
    return std::unexpected(config_error(fmt::format("{}: \"{}\" {}", where, text.substr(0, 64), why)));
  };
  const size_t slash = text.find('/');
  const auto ip = Ip::parse(text.substr(0, slash));
  if (!ip) return refuse("is no address");
  if (slash != std::string_view::npos) {
    const auto digits = text.substr(slash + 1);
    int prefix = -1;
    if (digits.size() <= 3 && !digits.empty() &&
        std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; }))
      prefix = std::stoi(std::string(digits));
    if (prefix < 0 || prefix > ip->bits()) return refuse("has no right prefix length");
  }
  if (ip->is_unspecified() || ip->is_multicast() || ip->is_loopback() || ip->is_link_local())
    return refuse("is no address that a Pod can have");
  return *ip;
}

CniResult<void> check_asked_ips(const std::vector<Ip>& ips, const std::string& where) {
  for (size_t i = 0; i < ips.size(); ++i)
    for (size_t j = i + 1; j < ips.size(); ++j)
      if (ips[i].family() == ips[j].family())
        return std::unexpected(config_error(
            fmt::format("{}: {} and {} are of one family, and a Pod has one address of each", where, ips[i], ips[j])));
  return {};
}

CniResult<Mac> parse_asked_mac(std::string_view text, const std::string& where) {
  const auto mac = Mac::parse(text);
  if (!mac || (mac->bytes[0] & 1) != 0 || *mac == Mac{})
    return std::unexpected(
        config_error(fmt::format("{}: \"{}\" is no MAC address of one interface", where, text.substr(0, 64))));
  return *mac;
}

CniResult<NetworkConfig> parse_config(std::string_view text, Command command) {
  boost::system::error_code error;
  const auto value = json::parse(json::string_view(text.data(), text.size()), error);
  if (error)
    return std::unexpected(CniError{CniCode::DecodeFailure, "the network configuration is no JSON", error.message()});
  const auto* object = value.if_object();
  if (!object)
    return std::unexpected(CniError{CniCode::DecodeFailure, "the network configuration is no JSON object", {}});
  NetworkConfig out;
  if (auto good = parse_head(out, command, *object); !good) return std::unexpected(std::move(good.error()));
  if (out.role != Role::Ipam)
    if (auto good = parse_bandwidth_keys(out, *object, ""); !good) return std::unexpected(std::move(good.error()));
  // What the runtime passes goes before what the configuration says: args first, runtimeConfig over it.
  for (const bool runtime : {false, true})
    for (const auto& entry : *object) {
      const auto key = text_of(entry.key());
      if (key == "cniVersion" || (key == "runtimeConfig") != runtime) continue;
      if (auto good = parse_field(out, command, key, entry.value()); !good)
        return std::unexpected(std::move(good.error()));
    }
  if (out.name.empty()) return std::unexpected(config_error("name is missing"));
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
