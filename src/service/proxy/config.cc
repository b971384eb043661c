// The one file that reads YAML here: yaml-cpp throws, and its exceptions end in this file.
#include "service/proxy/config.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <thread>

#include "base/file.h"

namespace causeway::service::proxy {

namespace {

constexpr size_t kLongest = 1 << 20;
constexpr uint16_t kHealthPort = 10256, kMetricsPort = 10249;

struct Reading {
  Config& config;
  unsigned cores;
  std::optional<long> max_per_core, min_entries;
};
// The value of one field, never null.
using Read = Status (*)(const YAML::Node& value, Reading& into);

Result<long> number(const YAML::Node& value) {
  const std::string& text = value.Scalar();
  long out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size() || out < 0)
    return fail(Errc::Invalid, "\"{}\" is no number of zero or more", text);
  return out;
}

Result<bool> flag(const YAML::Node& value) {
  if (value.Scalar() == "true") return true;
  if (value.Scalar() == "false") return false;
  return fail(Errc::Invalid, "\"{}\" is neither true nor false", value.Scalar());
}

Status read_mode(const YAML::Node& value, Reading& into) {
  const std::string mode = value.Scalar();
  if (mode == "kernelspace") return fail(Errc::Unsupported, "kernelspace is for Windows nodes");
  if (mode != "iptables" && mode != "ipvs" && mode != "nftables" && !mode.empty())
    return fail(Errc::Invalid, "\"{}\" is none of iptables, ipvs, nftables", mode);
  if (!mode.empty()) into.config.mode = mode;
  return ok();
}

Status read_bind_address(const YAML::Node& value, Reading&) {
  if (value.Scalar().empty() || TRY(Ip::parse(value.Scalar())).is_unspecified()) return ok();
  return fail(Errc::Unsupported, "the node's primary address is the first of its Node object, not {}; leave it out",
              value.Scalar());
}

Status read_node_port_addresses(const YAML::Node& value, Reading& into) {
  if (!value.IsSequence()) return fail(Errc::Invalid, "a list is meant");
  if (value.size() == 0) return ok();
  into.config.node_ports_on_primary = value.size() == 1 && value[0].Scalar() == "primary";
  if (*into.config.node_ports_on_primary) return ok();
  for (const auto& entry : value) {
    if (entry.Scalar() == "primary") return fail(Errc::Invalid, "primary and CIDRs exclude each other");
    into.config.node_port_addresses.push_back(TRY(Cidr::parse(entry.Scalar())));
  }
  return ok();
}

Status read_cluster_cidrs(const YAML::Node& value, Reading& into) {
  std::string_view text = value.Scalar();
  while (!text.empty()) {
    const size_t comma = text.find(',');
    into.config.cluster_cidrs.push_back(TRY(Cidr::parse(text.substr(0, comma))));
    text = comma == text.npos ? "" : text.substr(comma + 1);
  }
  return ok();
}

// Gates are true or false by name; those that say nothing to us are named.
Status read_gates(const YAML::Node& value, Reading& into) {
  if (!value.IsMap()) return fail(Errc::Invalid, "a map is meant");
  for (const auto& gate : value) {
    if (gate.first.Scalar() == "AllowServiceExternalIPs")
      into.config.external_ips = TRY(flag(gate.second));
    else
      into.config.ignored.push_back("featureGates." + gate.first.Scalar() + ": there is no such gate here");
  }
  return ok();
}

template <auto Member>
Status read_flag(const YAML::Node& value, Reading& into) {
  into.config.*Member = TRY(flag(value));
  return ok();
}
template <auto Member>
Status read_text(const YAML::Node& value, Reading& into) {
  if (!value.Scalar().empty()) into.config.*Member = value.Scalar();
  return ok();
}
template <auto Member, uint16_t kPort>
Status read_address(const YAML::Node& value, Reading& into) {
  if (!value.Scalar().empty()) into.config.*Member = TRY(parse_bind_address(value.Scalar(), kPort));
  return ok();
}
// Zero leaves the kernel's value.
template <const char* kSysctl>
Status read_timeout(const YAML::Node& value, Reading& into) {
  const Duration time = TRY(parse_go_duration(value.Scalar()));
  if (time < 0s) return fail(Errc::Invalid, "\"{}\" is negative", value.Scalar());
  if (time > 0s) into.config.sysctls[kSysctl] = std::to_string(time / 1s);
  return ok();
}
constexpr char kEstablished[] = "net/netfilter/nf_conntrack_tcp_timeout_established";
constexpr char kCloseWait[] = "net/netfilter/nf_conntrack_tcp_timeout_close_wait";
constexpr char kUdp[] = "net/netfilter/nf_conntrack_udp_timeout";
constexpr char kUdpStream[] = "net/netfilter/nf_conntrack_udp_timeout_stream";

Status read_liberal(const YAML::Node& value, Reading& into) {
  if (TRY(flag(value))) into.config.sysctls["net/netfilter/nf_conntrack_tcp_be_liberal"] = "1";
  return ok();
}
Status read_strict_arp(const YAML::Node& value, Reading& into) {
  if (!TRY(flag(value))) return ok();
  into.config.sysctls["net/ipv4/conf/all/arp_ignore"] = "1";
  into.config.sysctls["net/ipv4/conf/all/arp_announce"] = "2";
  return ok();
}
Status read_per_core(const YAML::Node& value, Reading& into) {
  into.max_per_core = TRY(number(value));
  return ok();
}
Status read_min(const YAML::Node& value, Reading& into) {
  into.min_entries = TRY(number(value));
  return ok();
}
Status read_sync_period(const YAML::Node& value, Reading& into) {
  const Duration time = TRY(parse_go_duration(value.Scalar()));
  if (time < 0s) return fail(Errc::Invalid, "\"{}\" is negative", value.Scalar());
  if (time > 0s) into.config.sync_period = std::max(time, into.config.sync_period.value_or(0s));
  return ok();
}

const std::map<std::string_view, Read> kHonoured{
    {"clientConnection.kubeconfig", read_text<&Config::kubeconfig>},
    {"hostnameOverride", read_text<&Config::node>},
    {"bindAddress", read_bind_address},
    {"healthzBindAddress", read_address<&Config::health, kHealthPort>},
    {"metricsBindAddress", read_address<&Config::metrics, kMetricsPort>},
    {"bindAddressHardFail", read_flag<&Config::bind_hard>},
    {"mode", read_mode},
    {"iptables.masqueradeAll", read_flag<&Config::masquerade_all>},
    {"nftables.masqueradeAll", read_flag<&Config::masquerade_all>},
    {"iptables.localhostNodePorts", read_flag<&Config::localhost_node_ports>},
    {"iptables.syncPeriod", read_sync_period},
    {"nftables.syncPeriod", read_sync_period},
    {"ipvs.syncPeriod", read_sync_period},
    {"ipvs.scheduler", read_text<&Config::scheduler>},
    {"ipvs.strictARP", read_strict_arp},
    {"clusterCIDR", read_cluster_cidrs},
    {"nodePortAddresses", read_node_port_addresses},
    {"conntrack.maxPerCore", read_per_core},
    {"conntrack.min", read_min},
    {"conntrack.tcpEstablishedTimeout", read_timeout<kEstablished>},
    {"conntrack.tcpCloseWaitTimeout", read_timeout<kCloseWait>},
    {"conntrack.tcpBeLiberal", read_liberal},
    {"conntrack.udpTimeout", read_timeout<kUdp>},
    {"conntrack.udpStreamTimeout", read_timeout<kUdpStream>},
    {"featureGates", read_gates},
};

// Known to kube-proxy, and why it means nothing here.
const std::map<std::string_view, std::string_view> kIgnored{
    {"clientConnection.acceptContentTypes", "JSON is spoken"},
    {"clientConnection.contentType", "JSON is spoken"},
    {"clientConnection.qps", "watches and few writes need no limit"},
    {"clientConnection.burst", "watches and few writes need no limit"},
    {"configSyncPeriod", "a watch that ends is begun again"},
    {"detectLocalMode", "the Pods of this node are known by their attachments"},
    {"detectLocal", "the Pods of this node are known by their attachments"},
    {"enableProfiling", "there is no profiler inside; use perf"},
    {"showHiddenMetricsForVersion", "no metric is hidden"},
    {"logging", "--verbose says more"},
    {"iptables.masqueradeBit", "the mark is the one of the mark mask"},
    {"nftables.masqueradeBit", "the mark is the one of the mark mask"},
    {"iptables.minSyncPeriod", "work is proportional to the change: it is applied at once"},
    {"nftables.minSyncPeriod", "work is proportional to the change: it is applied at once"},
    {"ipvs.minSyncPeriod", "work is proportional to the change: it is applied at once"},
    {"ipvs.excludeCIDRs", "only services of our own are ever removed"},
    {"ipvs.tcpTimeout", "the kernel's timeouts stay; ipvsadm --set changes them"},
    {"ipvs.tcpFinTimeout", "the kernel's timeouts stay; ipvsadm --set changes them"},
    {"ipvs.udpTimeout", "the kernel's timeouts stay; ipvsadm --set changes them"},
    {"oomScoreAdj", "the Pod's or unit's to say"},
    {"portRange", "kube-proxy does not use it either"},
    {"winkernel", "for Windows nodes"},
    {"windowsRunAsService", "for Windows nodes"},
};

bool is_group(std::string_view name) {
  return name == "clientConnection" || name == "iptables" || name == "ipvs" || name == "nftables" ||
         name == "conntrack";
}

Status read_field(const std::string& name, const YAML::Node& value, Reading& into) {
  if (value.IsNull()) return ok();
  if (is_group(name)) {
    if (!value.IsMap()) return fail(Errc::Invalid, "{}: a map is meant", name);
    for (const auto& field : value) TRY(read_field(name + "." + field.first.Scalar(), field.second, into));
    return ok();
  }
  if (auto known = kHonoured.find(name); known != kHonoured.end()) {
    const bool list_or_map = name == "nodePortAddresses" || name == "featureGates";
    if (!list_or_map && !value.IsScalar()) return fail(Errc::Invalid, "{}: one value is meant", name);
    TRY(known->second(value, into), "{}", name);
    return ok();
  }
  const bool empty = value.IsScalar() ? value.Scalar().empty() || value.Scalar() == "0s" : value.size() == 0;
  if (empty) return ok();
  const auto why = kIgnored.find(name);
  into.config.ignored.push_back(
      fmt::format("{}: {}", name, why == kIgnored.end() ? "kube-proxy 1.36 has no such field" : why->second));
  return ok();
}

// kube-proxy's sum: so many for each core, but not fewer than the minimum, nor more than 2^20 by cores.
void settle_conntrack(Reading& reading) {
  if (!reading.max_per_core && !reading.min_entries) return;
  const long per_core = reading.max_per_core.value_or(32768), least = reading.min_entries.value_or(131072);
  if (per_core == 0) return;  // the kernel's value stays
  const long entries = std::max(std::min(per_core * reading.cores, 1L << 20), least);
  reading.config.sysctls["net/netfilter/nf_conntrack_max"] = std::to_string(entries);
}

Result<Config> read(const YAML::Node& root, unsigned cores) {
  if (!root.IsMap()) return fail(Errc::Invalid, "it is no map");
  const auto text = [&](const char* name) { return root[name] ? root[name].as<std::string>("") : std::string(); };
  if (text("kind") != "KubeProxyConfiguration")
    return fail(Errc::Invalid, "kind: \"{}\" is not KubeProxyConfiguration", text("kind"));
  if (text("apiVersion") != "kubeproxy.config.k8s.io/v1alpha1")
    return fail(Errc::Invalid, "apiVersion: \"{}\" is not kubeproxy.config.k8s.io/v1alpha1", text("apiVersion"));
  Config config;
  Reading reading{config, cores, {}, {}};
  for (const auto& field : root)
    if (const std::string name = field.first.Scalar(); name != "kind" && name != "apiVersion")
      TRY(read_field(name, field.second, reading));
  settle_conntrack(reading);
  return config;
}

}  // namespace

Result<Duration> parse_go_duration(std::string_view text) {
  static constexpr std::pair<std::string_view, Duration> kUnits[] = {{"ns", 1ns}, {"us", 1us}, {"ms", 1ms},
                                                                     {"s", 1s},   {"m", 1min}, {"h", 1h}};
  const std::string whole(text);
  const auto bad = [&] { return fail(Errc::Invalid, "\"{}\" is no duration such as 30s or 1h0m0s", whole); };
  if (text == "0") return Duration(0);
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  if (text.empty()) return bad();
  double sum = 0;
  while (!text.empty()) {
    double amount = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), amount, std::chars_format::fixed);
    if (error != std::errc() || amount < 0) return bad();
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    const std::string_view unit = text.substr(0, text.find_first_of("0123456789."));
    const auto known = std::ranges::find(kUnits, unit, &std::pair<std::string_view, Duration>::first);
    if (known == std::end(kUnits)) return bad();
    sum += amount * static_cast<double>(known->second.count());
    text.remove_prefix(unit.size());
  }
  if (sum > 9e18) return bad();
  return Duration(static_cast<int64_t>(negative ? -sum : sum));
}

Result<Endpoint> parse_bind_address(std::string_view text, uint16_t port) {
  const auto bare = [](std::string_view ip) {
    return ip.starts_with('[') && ip.ends_with(']') ? ip.substr(1, ip.size() - 2) : ip;
  };
  if (auto alone = Ip::parse(bare(text)); alone && port != 0) return Endpoint{*alone, port};
  const auto colon = text.rfind(':');
  const std::string_view address = bare(text.substr(0, colon));
  const std::string_view digits = colon == text.npos ? "" : text.substr(colon + 1);
  unsigned number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  auto ip = Ip::parse(address);
  if (!ip || error != std::errc() || end != digits.data() + digits.size() || number == 0 || number > UINT16_MAX)
    return fail(Errc::Invalid, "\"{}\" is no ADDRESS:PORT", text);
  return Endpoint{*ip, static_cast<uint16_t>(number)};
}

Result<Config> parse_config(const std::string& text, unsigned cores) {
  if (text.size() > kLongest) return fail(Errc::Invalid, "it is longer than {} bytes", kLongest);
  try {
    return read(YAML::Load(text), cores);
  } catch (const std::exception& error) {
    return fail(Errc::Invalid, "{}", error.what());
  }
}

Result<Config> load_config(const std::string& path) {
  const auto text = TRY(read_file(path), "kube-proxy configuration");
  return TRY(parse_config(text, std::max(1u, std::thread::hardware_concurrency())), "kube-proxy configuration {}",
             path);
}

}  // namespace causeway::service::proxy
