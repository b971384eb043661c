#include "pod/cni_request.h"

#include <algorithm>
#include <cctype>
#include <climits>
#include <cstring>

#include "kube/api/names.h"
#include "pod/cni_json.h"

namespace causeway::pod {
namespace {

constexpr size_t kMaxContainer = 128;  // bytes: with it the link's alias still fits 255
constexpr size_t kMaxPodUid = 128;     // bytes; Kubernetes' own have 36

// For a message: at most 64 bytes in quotes, one line of printable ASCII.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text.substr(0, 64)) out += c >= ' ' && c <= '~' ? c : '?';
  return out + (text.size() > 64 ? "...\"" : "\"");
}

// What the kernel takes as a name (dev_valid_name) and the specification repeats.
bool is_ifname(std::string_view text) {
  if (text.empty() || text.size() > 15 || text == "." || text == "..") return false;
  for (const char c : text)
    if (c == '/' || c == ':' || std::isspace(uint8_t(c)) || uint8_t(c) <= ' ' || c == 0x7f) return false;
  return true;
}

// The alternatives of a comma-separated CNI_ARGS value.
CniResult<std::vector<Ip>> parse_ips_argument(std::string_view text) {
  std::vector<Ip> ips;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    auto ip = parse_asked_ip(text.substr(0, comma), "CNI_ARGS: IP");
    if (!ip) return std::unexpected(environment_error(ip.error().message));
    ips.push_back(*ip);
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
  if (auto good = check_asked_ips(ips, "CNI_ARGS: IP"); !good)
    return std::unexpected(environment_error(good.error().message));
  return ips;
}

// The Pod's name and namespace become parts of API paths and of field selectors: nothing else than the API's own rules
// allow may get there. Empty: not told, as where no Kubernetes asks.
CniResult<void> check_pod(const Args& args) {
  const auto refuse = [](std::string_view key, const std::string& value, const std::string& why) {
    return std::unexpected(environment_error(fmt::format("CNI_ARGS: {} {}: {}", key, quoted(value), why)));
  };
  if (!args.pod.ns.empty())
    if (const auto wrong = kube::check_dns1123_label(args.pod.ns); !wrong.empty())
      return refuse("K8S_POD_NAMESPACE", args.pod.ns, wrong);
  if (!args.pod.name.empty())
    if (const auto wrong = kube::check_dns1123_subdomain(args.pod.name); !wrong.empty())
      return refuse("K8S_POD_NAME", args.pod.name, wrong);
  const auto fits = [](char c) { return c > ' ' && c <= '~' && c != ',' && c != '=' && c != '/'; };
  if (args.pod_uid.size() > kMaxPodUid || !std::ranges::all_of(args.pod_uid, fits))
    return refuse(
        "K8S_POD_UID", args.pod_uid,
        fmt::format("must have at most {} printable characters, without blanks, ',', '=' and '/'", kMaxPodUid));
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

bool has(CniVersion version, Command command) {
  switch (command) {
    case Command::Add:
    case Command::Del:
    case Command::Version: return true;
    case Command::Check: return version >= CniVersion::V0_4;
    case Command::Gc:
    case Command::Status: return version >= CniVersion::V1_1;
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
  if (!command || command->empty()) return std::unexpected(environment_error("CNI_COMMAND is not set"));
  if (*command == "ADD") return Command::Add;
  if (*command == "DEL") return Command::Del;
  if (*command == "CHECK") return Command::Check;
  if (*command == "GC") return Command::Gc;
  if (*command == "STATUS") return Command::Status;
  if (*command == "VERSION") return Command::Version;
  return std::unexpected(environment_error(
      fmt::format("CNI_COMMAND {} is none of ADD, CHECK, DEL, GC, STATUS and VERSION", command->substr(0, 32))));
}

CniResult<Key> parse_key(std::string_view container, std::string_view ifname) {
  if (container.empty()) return std::unexpected(environment_error("CNI_CONTAINERID is not set"));
  if (container.size() > kMaxContainer)
    return std::unexpected(environment_error(
        fmt::format("CNI_CONTAINERID has {} bytes, at most {} are supported", container.size(), kMaxContainer)));
  if (!is_identifier(container))
    return std::unexpected(environment_error(
        fmt::format("CNI_CONTAINERID {} must begin with a letter or digit and go on with these, _ . or -", container)));
  if (ifname.empty()) return std::unexpected(environment_error("CNI_IFNAME is not set"));
  if (!is_ifname(ifname))
    return std::unexpected(environment_error(
        fmt::format("CNI_IFNAME {} must have 1 to 15 bytes, without blanks, / and :", ifname.substr(0, 64))));
  // The kernel would number "eth%d" itself, and has other things under these names in net.ipv4.conf.
  if (ifname == "all" || ifname == "default" || ifname.find('%') != std::string_view::npos)
    return std::unexpected(environment_error(
        fmt::format("CNI_IFNAME {} cannot be an interface's: \"all\", \"default\" and names with % mean something else "
                    "to the kernel",
                    ifname)));
  return Key{std::string(container), std::string(ifname)};
}

CniResult<Key> parse_key(const RawRequest& request) {
  return parse_key(request.field[wire::kContainer].value_or(""), request.field[wire::kIfname].value_or(""));
}

CniResult<std::string> parse_netns(const RawRequest& request) {
  const std::string path = request.field[wire::kNetns].value_or("");
  if (path.empty()) return std::unexpected(environment_error("CNI_NETNS is not set"));
  const auto refuse = [&](std::string_view why) {
    return std::unexpected(
        environment_error(fmt::format("CNI_NETNS {} {}", path.size() > 200 ? path.substr(0, 200) + "..." : path, why)));
  };
  if (path.size() >= PATH_MAX) return refuse("is longer than a path can be");
  if (path.front() != '/') return refuse("must be an absolute path");
  // A journal line and a log line hold it, and it is opened again when the agent looks whether the Pod lives.
  for (const char c : path)
    if (uint8_t(c) < ' ' || c == 0x7f) return refuse("has a control character");
  if ((path + "/").find("/../") != std::string::npos) return refuse("must not lead upwards (..)");
  return path;
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
      return std::unexpected(environment_error(fmt::format("CNI_ARGS: {} is no KEY=VALUE", quoted(pair))));
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
    else if (key == "IP" || key == "MAC") {
      if (value.empty()) continue;
      if (key == "IP") {
        auto ips = parse_ips_argument(value);
        if (!ips) return std::unexpected(std::move(ips.error()));
        args.ips = std::move(*ips);
      } else {
        auto mac = parse_asked_mac(value, "CNI_ARGS: MAC");
        if (!mac) return std::unexpected(environment_error(mac.error().message));
        args.mac = *mac;
      }
    } else if (key != "K8S_POD_INFRA_CONTAINER_ID")
      unknown = key;
  }
  if (!unknown.empty() && !ignore_unknown)
    return std::unexpected(
        environment_error(fmt::format("CNI_ARGS: unknown key {} (without IgnoreUnknown=1)", quoted(unknown))));
  if (auto good = check_pod(args); !good) return std::unexpected(std::move(good.error()));
  return args;
}

}  // namespace causeway::pod
