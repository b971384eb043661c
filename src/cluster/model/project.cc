#include "cluster/model/project.h"

#include <algorithm>
#include <charconv>

namespace causeway::cluster {

namespace {

// "010.000.0.1" -> "10.0.0.1"
std::string without_leading_zeros(std::string_view text) {
  std::string out;
  bool number_begins = true;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool next_is_digit = i + 1 < text.size() && text[i + 1] >= '0' && text[i + 1] <= '9';
    if (number_begins && text[i] == '0' && next_is_digit) continue;
    number_begins = text[i] == '.';
    out += text[i];
  }
  return out;
}

// As EndpointSlices look a name up: the first container's, sidecars last.
void name_ports(const std::vector<kube::Container>& containers, bool only_sidecars, std::vector<NamedPort>& out) {
  for (const kube::Container& container : containers) {
    if (only_sidecars && container.restart_policy != "Always") continue;
    for (const kube::ContainerPort& port : container.ports) {
      if (port.name.empty() || port.container_port < 1 || port.container_port > 65535) continue;
      NamedPort named{port.name, Protocol::Tcp, static_cast<uint16_t>(port.container_port)};
      if (port.protocol == "UDP") named.protocol = Protocol::Udp;
      if (port.protocol == "SCTP") named.protocol = Protocol::Sctp;
      if (std::ranges::none_of(out, [&](const NamedPort& known) {
            return known.name == named.name && known.protocol == named.protocol;
          }))
        out.push_back(std::move(named));
    }
  }
}

}  // namespace

Result<Ip> parse_stored_ip(std::string_view text) {
  auto strict = Ip::parse(text);
  if (strict) return strict;
  std::string_view v4 = text;
  if (auto colon = text.rfind(':'); colon != text.npos) {
    if (!text.starts_with("::ffff:") && !text.starts_with("::FFFF:")) return strict;
    v4 = text.substr(colon + 1);
  }
  auto loose = Ip::parse(without_leading_zeros(v4));
  return loose ? loose : strict;
}

Result<Cidr> parse_stored_cidr(std::string_view text) {
  auto strict = Cidr::parse(text);
  if (strict) return strict;
  const auto slash = text.rfind('/');
  if (slash == text.npos) return strict;
  const std::string length = without_leading_zeros(text.substr(slash + 1));
  int prefix = -1;
  const auto [end, error] = std::from_chars(length.data(), length.data() + length.size(), prefix);
  auto ip = parse_stored_ip(text.substr(0, slash));
  const bool mapped = ip && ip->is_v4() && text.find(':') != text.npos;
  const int longest = !ip ? -1 : mapped ? 128 : ip->bits();
  if (error != std::errc() || end != length.data() + length.size() || prefix < 0 || prefix > longest) return strict;
  if (!mapped) return Cidr(*ip, prefix);
  if (prefix >= 96) return Cidr(*ip, prefix - 96);
  std::array<uint8_t, 16> bytes{};
  bytes[10] = bytes[11] = 0xff;
  std::ranges::copy(ip->bytes(), bytes.begin() + 12);
  return Cidr(Ip::v6(bytes), prefix);
}

Node project(const kube::Node& node) {
  Node out{.name = node.metadata.name};
  // KEP-3836: the autoscaler taints the Node before it takes the machine.
  out.leaving = node.metadata.deletion_timestamp.has_value() ||
                std::ranges::any_of(node.spec.taints, [](const kube::Taint& taint) {
                  return taint.key == "ToBeDeletedByClusterAutoscaler";
                });
  if (node.metadata.creation_timestamp)
    out.created =
        std::chrono::duration_cast<std::chrono::seconds>(node.metadata.creation_timestamp->time_since_epoch()).count();
  out.labels = {node.metadata.labels.begin(), node.metadata.labels.end()};
  for (const kube::NodeAddress& address : node.status.addresses) {
    if (address.type != "InternalIP") {
      // Hostname and the DNS types are mostly names; an address is one of whatever type it is said to be.
      if (auto ip = parse_stored_ip(address.address); ip && std::ranges::find(out.others, *ip) == out.others.end())
        out.others.push_back(*ip);
      continue;
    }
    if (auto ip = parse_stored_ip(address.address); ip && std::ranges::find(out.addresses, *ip) == out.addresses.end())
      out.addresses.push_back(*ip);
    else if (!ip)
      out.problem = fmt::format("status.addresses: {}", ip.error().message());
  }
  if (auto zone = node.metadata.labels.find("topology.kubernetes.io/zone"); zone != node.metadata.labels.end())
    out.zone = zone->second;
  if (auto load = node.metadata.annotations.find(std::string(kNodeLoad)); load != node.metadata.annotations.end()) {
    const std::string& text = load->second;
    unsigned value = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), value).ptr == text.data() + text.size())
      out.load = static_cast<uint16_t>(std::min(value, 1000u));
  }
  std::vector<std::string> cidrs = node.spec.pod_cidrs;
  if (cidrs.empty() && !node.spec.pod_cidr.empty()) cidrs.push_back(node.spec.pod_cidr);
  for (const std::string& text : cidrs) {
    if (auto cidr = parse_stored_cidr(text))
      out.pod_cidrs.push_back(*cidr);
    else
      out.problem = fmt::format("spec.podCIDRs: {}", cidr.error().message());
  }
  return out;
}

Pod project(const kube::Pod& pod) {
  Pod out{.key = {pod.metadata.ns, pod.metadata.name},
          .uid = pod.metadata.uid,
          .node = pod.spec.node_name,
          .host_network = pod.spec.host_network,
          .finished = kube::is_finished(pod),
          .labels = {pod.metadata.labels.begin(), pod.metadata.labels.end()}};
  for (const kube::IpEntry& entry : pod.status.pod_ips)
    if (auto ip = parse_stored_ip(entry.ip)) out.addresses.push_back(*ip);
  if (out.addresses.empty())
    if (auto ip = parse_stored_ip(pod.status.pod_ip)) out.addresses.push_back(*ip);
  name_ports(pod.spec.containers, false, out.ports);
  name_ports(pod.spec.init_containers, true, out.ports);
  std::ranges::sort(out.ports);
  return out;
}

Result<Reservation> project(const kube::AddressReservation& reservation) {
  const kube::AddressReservationSpec& spec = reservation.spec;
  Reservation out{.address = TRY(parse_stored_ip(spec.address), "AddressReservation {}", reservation.metadata.name),
                  .pod = {spec.pod_namespace, spec.pod_name},
                  .node = spec.node_name,
                  .pod_uid = spec.pod_uid};
  const std::string& version = reservation.metadata.resource_version;
  std::from_chars(version.data(), version.data() + version.size(), out.version);
  return out;
}

Namespace project(const kube::Namespace& ns) {
  return {.name = ns.metadata.name, .labels = {ns.metadata.labels.begin(), ns.metadata.labels.end()}};
}

}  // namespace causeway::cluster
