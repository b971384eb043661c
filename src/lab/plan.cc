#include "lab/plan.h"

#include <algorithm>

namespace causeway::lab {
namespace {

Cidr cidr(std::string_view text) { return *Cidr::parse(text); }

// The underlay. 203.0.113.0/24 and 2001:db8::/32 are documentation ranges (RFC 5737, RFC 3849): they stand for the
// world.
struct Subnet {
  const char* v4;
  const char* v6;
};
constexpr Subnet kControl{"172.30.0.0/24", "fd30::/64"};
constexpr Subnet kNodesA{"172.30.1.0/24", "fd30:0:0:1::/64"};
constexpr Subnet kNodesB{"172.30.2.0/24", "fd30:0:0:2::/64"};
constexpr Subnet kOutside{"203.0.113.0/24", "2001:db8:113::/64"};

bool wants(const Spec& spec, Family family) {
  return spec.ip_family == "dual" || spec.ip_family == (family == Family::V4 ? "ipv4" : "ipv6");
}

std::vector<Family> families(const Spec& spec) {
  std::vector<Family> out;
  for (const Family family : {Family::V4, Family::V6})
    if (wants(spec, family)) out.push_back(family);
  return out;
}

std::pair<Ip, int> address_in(const Subnet& subnet, Family family, uint64_t host) {
  const Cidr range = cidr(family == Family::V4 ? subnet.v4 : subnet.v6);
  return {range.address().plus(host), range.prefix()};
}

std::vector<std::pair<Ip, int>> addresses_in(const Spec& spec, const Subnet& subnet, uint64_t host) {
  std::vector<std::pair<Ip, int>> out;
  for (const Family family : families(spec)) out.push_back(address_in(subnet, family, host));
  return out;
}

Wire wire(const Spec& spec, const Subnet& subnet, uint64_t host, std::string space, std::string port,
          std::string bridge) {
  Wire out{std::move(space), "eth0", std::move(port), std::move(bridge), addresses_in(spec, subnet, host), {}};
  for (const auto& [gateway, prefix] : addresses_in(spec, subnet, 1)) out.gateways.push_back(gateway);
  return out;
}

Result<std::vector<Cidr>> ranges(const Spec& spec, const std::vector<std::string>& given, std::string_view option,
                                 std::string_view v4, std::string_view v6) {
  std::vector<Cidr> out;
  for (const auto& text : given) {
    const Cidr range = TRY(Cidr::parse(text), "{}", option);
    if (!wants(spec, range.family()))
      return fail(Errc::Invalid, "{} {}: the lab has --ip-family {}", option, text, spec.ip_family);
    out.push_back(range);
  }
  if (given.empty())
    for (const Family family : families(spec)) out.push_back(cidr(family == Family::V4 ? v4 : v6));
  if (out.size() != families(spec).size() || (out.size() == 2 && out[0].family() == out[1].family()))
    return fail(Errc::Invalid, "{} must name one range for each family of --ip-family {}", option, spec.ip_family);
  return out;
}

Status check_overlaps(const std::vector<std::pair<std::string, Cidr>>& named) {
  for (size_t i = 0; i < named.size(); ++i)
    for (size_t j = i + 1; j < named.size(); ++j)
      if (named[i].second.overlaps(named[j].second))
        return fail(Errc::Invalid, "{} {} overlaps {} {}: choose ranges that do not share an address", named[i].first,
                    named[i].second, named[j].first, named[j].second);
  return ok();
}

// Ranges whose addresses no host may have, or only on one link: packets to them go nowhere.
struct Reserved {
  const char* range;
  const char* what;
};
constexpr Reserved kReserved[] = {
    {"0.0.0.0/8", "this network (RFC 1122)"},  {"127.0.0.0/8", "loopback (RFC 1122)"},
    {"169.254.0.0/16", "one link (RFC 3927)"}, {"224.0.0.0/4", "multicast (RFC 5771)"},
    {"240.0.0.0/4", "reserved (RFC 1112)"},    {"::/8", "loopback and IPv4 in IPv6 (RFC 4291)"},
    {"fe80::/10", "one link (RFC 4291)"},      {"ff00::/8", "multicast (RFC 4291)"},
};

Status check_usable(std::string_view option, const Cidr& range) {
  for (const auto& [reserved, what] : kReserved)
    if (range.overlaps(cidr(reserved)))
      return fail(Errc::Invalid, "{} {} overlaps {}, which is for {}: give private addresses, such as {}", option,
                  range, reserved, what, range.family() == Family::V4 ? "10.244.0.0/16" : "fd10:244::/56");
  return ok();
}

// As everywhere in Kubernetes (kubeadm, kubelet's clusterDNS).
constexpr uint64_t kDnsHost = 10;

// What the API server asks for: some for the reserved part of the range, and some to give.
Status check_service_range(const Cidr& range, bool dns) {
  if (range.size() < 8) return fail(Errc::Invalid, "--service-cidr {} is too small: at least 8 addresses", range);
  if (dns && range.size() <= kDnsHost + 1)
    return fail(
        Errc::Invalid,
        "--service-cidr {} has no tenth address, which is cluster DNS's: give 16 addresses or more, or --no-dns",
        range);
  return ok();
}

Status check_capacity(const Spec& spec, const std::vector<Cidr>& pods) {
  for (const Cidr& range : pods) {
    const bool v4 = range.family() == Family::V4;
    const int mask = v4 ? spec.node_mask_v4 : spec.node_mask_v6;
    const std::string_view option = v4 ? "--node-cidr-mask-size-ipv4" : "--node-cidr-mask-size-ipv6";
    // The limits of kube-controller-manager's node IPAM (at most 16 bits between the two).
    const int most = v4 ? 30 : 126;
    if (range.prefix() > most)
      return fail(Errc::Invalid, "--pod-cidr {} is too small to give nodes blocks of it: give a /{} or larger", range,
                  most);
    if (mask < range.prefix() || mask > most || mask - range.prefix() > 16)
      return fail(Errc::Invalid, "{} {} does not cut --pod-cidr {} into blocks: give {} to {}", option, mask, range,
                  range.prefix(), std::min(most, range.prefix() + 16));
    const uint64_t blocks = uint64_t{1} << (mask - range.prefix());
    if (blocks < static_cast<uint64_t>(spec.nodes))
      return fail(Errc::Exhausted, "--pod-cidr {} has {} block{} of /{}, and {} nodes need one each", range, blocks,
                  blocks == 1 ? "" : "s", mask, spec.nodes);
  }
  return ok();
}

Status check_name(const Spec& spec) {
  const bool good = !spec.name.empty() && spec.name.size() <= 20 && spec.name.front() != '-' &&
                    spec.name.back() != '-' && std::ranges::all_of(spec.name, [](char c) {
                      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
                    });
  if (!good)
    return fail(Errc::Invalid, "--name \"{}\": use 1 to 20 of a-z, 0-9 and -, with no - at either end", spec.name);
  return ok();
}

}  // namespace

Result<Plan> plan(const Spec& spec) {
  TRY(check_name(spec));
  if (spec.nodes < 1 || spec.nodes > 50) return fail(Errc::Invalid, "--nodes {}: give 1 to 50", spec.nodes);
  if (spec.ip_family != "ipv4" && spec.ip_family != "ipv6" && spec.ip_family != "dual")
    return fail(Errc::Invalid, "--ip-family {}: give ipv4, ipv6 or dual", spec.ip_family);
  if (spec.fabric != "auto" && spec.fabric != "vxlan" && spec.fabric != "host-gw")
    return fail(Errc::Invalid, "--fabric {}: give auto, vxlan or host-gw", spec.fabric);
  if (spec.plane != "bpf" && spec.plane != "netfilter")
    return fail(Errc::Invalid, "--plane {}: give bpf or netfilter", spec.plane);
  if (spec.attach != "auto" && spec.attach != "tcx" && spec.attach != "clsact")
    return fail(Errc::Invalid, "--attach {}: give auto, tcx or clsact", spec.attach);
  for (const std::string& flag : spec.agent_flags)
    if (!flag.starts_with("--") || flag.find('\n') != flag.npos)
      return fail(Errc::Invalid, "--agent-flag {}: give --NAME=VALUE or --NAME, as `causeway agent --help` has them",
                  flag);
  if (spec.attach != "auto" && spec.plane == "netfilter")
    return fail(Errc::Invalid, "--attach {}: plane netfilter attaches no programs", spec.attach);
  if (spec.fabric == "host-gw" && spec.nodes > 2)
    return fail(Errc::Invalid,
                "--fabric host-gw reaches only nodes on one link, and node-3 is behind a router: give auto or vxlan, "
                "or --nodes 2");

  Plan out{.spec = spec};
  out.pod_cidrs = TRY(ranges(spec, spec.pod_cidrs, "--pod-cidr", "10.244.0.0/16", "fd10:244::/56"));
  out.service_cidrs = TRY(ranges(spec, spec.service_cidrs, "--service-cidr", "10.96.0.0/16", "fd10:96::/112"));
  std::vector<std::pair<std::string, Cidr>> named;
  for (const auto& range : out.pod_cidrs) named.emplace_back("--pod-cidr", range);
  for (const auto& range : out.service_cidrs) named.emplace_back("--service-cidr", range);
  for (const Subnet& subnet : {kControl, kNodesA, kNodesB, kOutside})
    for (const Family family : families(spec))
      named.emplace_back("the lab's own network", cidr(family == Family::V4 ? subnet.v4 : subnet.v6));
  for (const auto& [option, range] : named) TRY(check_usable(option, range));
  for (const auto& range : out.service_cidrs) TRY(check_service_range(range, spec.dns));
  TRY(check_overlaps(named));
  TRY(check_capacity(spec, out.pod_cidrs));

  out.router = {{"subnet-a", true, addresses_in(spec, kNodesA, 1)},
                {"subnet-b", true, addresses_in(spec, kNodesB, 1)},
                {"control", false, addresses_in(spec, kControl, 1)},
                {"outside", false, addresses_in(spec, kOutside, 1)}};
  out.control = wire(spec, kControl, 2, "control", "control", "");
  out.outside = wire(spec, kOutside, 2, "outside", "outside", "");
  for (const auto& [address, prefix] : out.control.addresses) out.control_addresses.push_back(address);
  for (const auto& [address, prefix] : out.outside.addresses) out.outside_addresses.push_back(address);
  if (spec.dns)
    for (const auto& range : out.service_cidrs) out.dns_addresses.push_back(range.address().plus(kDnsHost));
  for (int i = 1; i <= spec.nodes; ++i) {
    NodePlan node{.name = fmt::format("node-{}", i)};
    const bool on_b = i % 3 == 0;
    node.wire = wire(spec, on_b ? kNodesB : kNodesA, 10 + static_cast<uint64_t>(i), node.name, node.name,
                     on_b ? "subnet-b" : "subnet-a");
    for (const auto& [address, prefix] : node.wire.addresses) node.addresses.push_back(address);
    out.nodes.push_back(std::move(node));
  }
  return out;
}

namespace {
std::string list(const std::vector<std::pair<Ip, int>>& addresses) {
  std::string out;
  for (const auto& [address, prefix] : addresses) out += fmt::format(" {}/{}", address, prefix);
  return out;
}
std::string line(const Wire& wire) {
  std::string out = fmt::format("{}: {}{} by {}", wire.space, wire.device, list(wire.addresses),
                                wire.bridge.empty() ? wire.port : wire.bridge);
  for (const Ip& gateway : wire.gateways) out += fmt::format(" default via {}", gateway);
  return out + "\n";
}
}  // namespace

std::string render(const Plan& plan) {
  std::string out;
  for (const auto& port : plan.router)
    out += fmt::format("router: {}{}{}\n", port.device, port.bridge ? " (bridge)" : "", list(port.addresses));
  out += line(plan.control) + line(plan.outside);
  for (const auto& node : plan.nodes) out += line(node.wire);
  for (const auto& range : plan.pod_cidrs) out += fmt::format("pods: {}\n", range);
  for (const auto& range : plan.service_cidrs) out += fmt::format("services: {}\n", range);
  for (const Ip& ip : plan.dns_addresses) out += fmt::format("dns: {}\n", ip);
  return out;
}

std::string encode(const Spec& spec) {
  std::string out = fmt::format(
      "name={}\nnodes={}\nip-family={}\nplane={}\nfabric={}\nattach={}\nnode-mask-v4={}\nnode-mask-v6={}\n", spec.name,
      spec.nodes, spec.ip_family, spec.plane, spec.fabric, spec.attach, spec.node_mask_v4, spec.node_mask_v6);
  for (const auto& range : spec.pod_cidrs) out += fmt::format("pod-cidr={}\n", range);
  for (const auto& range : spec.service_cidrs) out += fmt::format("service-cidr={}\n", range);
  for (const auto& flag : spec.agent_flags) out += fmt::format("agent-flag={}\n", flag);
  if (!spec.dns) out += "dns=no\n";
  return out;
}

Result<Spec> decode_spec(std::string_view text) {
  Spec out;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos)
      return fail(Errc::Invalid, "the lab's registration has the line \"{}\"", line);
    const std::string_view key = line.substr(0, equals);
    const std::string value(line.substr(equals + 1));
    if (key == "name")
      out.name = value;
    else if (key == "nodes")
      out.nodes = std::atoi(value.c_str());
    else if (key == "ip-family")
      out.ip_family = value;
    else if (key == "fabric")
      out.fabric = value;
    else if (key == "plane")
      out.plane = value;
    else if (key == "attach")
      out.attach = value;
    else if (key == "node-mask-v4")
      out.node_mask_v4 = std::atoi(value.c_str());
    else if (key == "node-mask-v6")
      out.node_mask_v6 = std::atoi(value.c_str());
    else if (key == "pod-cidr")
      out.pod_cidrs.push_back(value);
    else if (key == "service-cidr")
      out.service_cidrs.push_back(value);
    else if (key == "agent-flag")
      out.agent_flags.push_back(value);
    else if (key == "dns")
      out.dns = value != "no";
  }
  return out;
}

}  // namespace causeway::lab
