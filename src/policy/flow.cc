#include "policy/flow.h"

#include <algorithm>
#include <charconv>
#include <set>

namespace causeway::policy {

const Ip* Party::address(Family family) const {
  for (const Ip& ip : addresses)
    if (ip.family() == family) return &ip;
  return nullptr;
}

Party party_of(const cluster::Pod& pod) {
  Party out{.name = to_string(pod.key), .pod = &pod};
  for (const Ip& ip : pod.addresses)
    if (!out.address(ip.family())) out.addresses.push_back(ip);
  return out;
}

std::vector<Ip> dns_address(const cluster::Model& model, std::string_view text) {
  const auto ip = Ip::parse(text);
  const cluster::Service* dns = model.service({"kube-system", "kube-dns"});
  if (!ip || !dns || std::ranges::find(dns->cluster_ips, *ip) == dns->cluster_ips.end()) return {};
  return {*ip};
}

Result<Party> find_party(const cluster::Model& model, std::string_view text, const std::vector<Ip>& dns) {
  if (text.empty()) return fail(Errc::Invalid, "no Pod and no address is named");
  if (auto ip = Ip::parse(text)) {
    for (const auto& [key, service] : model.services())
      if (std::ranges::find(dns, *ip) == dns.end() &&
          std::ranges::find(service->cluster_ips, *ip) != service->cluster_ips.end())
        return fail(Errc::Invalid,
                    "{} is the address of Service {}: policies judge the endpoint that a connection gets; ask for one "
                    "of its Pods",
                    text, key);
    return Party{.name = std::string(text), .addresses = {*ip}};
  }
  const auto slash = text.find('/');
  const PodKey key = slash == text.npos
                         ? PodKey{"default", std::string(text)}
                         : PodKey{std::string(text.substr(0, slash)), std::string(text.substr(slash + 1))};
  auto pod = model.pods().find(key);
  if (pod == model.pods().end()) {
    std::string near;
    size_t count = 0;
    for (const auto& [other, object] : model.pods())
      if ((other.ns == key.ns || other.name == key.name) && ++count <= 5)
        near += (near.empty() ? "" : ", ") + to_string(other);
    return fail(Errc::NotFound, "there is no Pod {}{}", key,
                near.empty()
                    ? ""
                    : fmt::format("; there is {}{}", near, count > 5 ? fmt::format(" and {} more", count - 5) : ""));
  }
  if (pod->second.finished) return fail(Errc::Invalid, "Pod {} has ended", key);
  if (pod->second.addresses.empty()) return fail(Errc::Invalid, "Pod {} has no address yet", key);
  return party_of(pod->second);
}

std::string to_string(const Port& port) {
  return port.protocol ? fmt::format("{}/{}", port.port, *port.protocol) : "icmp";
}

Result<Port> parse_port(std::string_view text, const Party& to) {
  Port out;
  if (text == "icmp") return Port{.protocol = std::nullopt};
  std::string_view number = text;
  bool said = false;
  if (auto slash = text.find('/'); slash != text.npos) {
    number = text.substr(0, slash);
    std::string protocol(text.substr(slash + 1));
    std::ranges::transform(protocol, protocol.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
    said = true;
    if (protocol == "tcp")
      out.protocol = Protocol::Tcp;
    else if (protocol == "udp")
      out.protocol = Protocol::Udp;
    else if (protocol == "sctp")
      out.protocol = Protocol::Sctp;
    else
      return fail(Errc::Invalid, "\"{}\" is no protocol: tcp, udp or sctp", text.substr(slash + 1));
  }
  unsigned value = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  if (error == std::errc() && end == number.data() + number.size()) {
    if (value < 1 || value > 65535) return fail(Errc::Invalid, "{} is no port: 1-65535", number);
    out.port = static_cast<uint16_t>(value);
    return out;
  }
  if (number.empty() || (number[0] >= '0' && number[0] <= '9') || error == std::errc::result_out_of_range)
    return fail(Errc::Invalid, "\"{}\" is no port: 1-65535, or a name that the Pod has", number);
  std::string known;
  if (to.pod)
    for (const NamedPort& port : to.pod->ports) {
      if (port.name == number && (!said || port.protocol == *out.protocol)) return Port{port.protocol, port.port};
      known += fmt::format("{}{}/{}", known.empty() ? "" : ", ", port.name, port.protocol);
    }
  return fail(Errc::NotFound, "{} has no port named \"{}\"{}", to.name, number,
              known.empty() ? "" : "; it has " + known);
}

FlowVerdict judge_flow(const cluster::Model& model, const Tables& tables, const Party& from, const Party& to,
                       Family family, const Port& port) {
  FlowVerdict out;
  const Ip &source = *from.address(family), &target = *to.address(family);
  if ((from.pod && from.pod == to.pod) || source == target) {
    out.exempt = Exempt::Itself;
    return out;
  }
  if (to.judged()) {
    // The node's own processes and the Pods of its network reach the node's Pods (probes). Planes tell by where a
    // packet comes from; here only the address can say so.
    const cluster::Node* node = model.node(to.pod->node);
    if ((from.pod && from.pod->host_network && !to.pod->node.empty() && from.pod->node == to.pod->node) ||
        (!from.pod && node && std::ranges::find(node->addresses, source) != node->addresses.end())) {
      out.exempt = Exempt::OwnNode;
      return out;
    }
  }
  if (from.judged()) out.egress = judge(tables, from.pod->key, Direction::Egress, {target, port.protocol, port.port});
  if (to.judged()) out.ingress = judge(tables, to.pod->key, Direction::Ingress, {source, port.protocol, port.port});
  return out;
}

std::vector<Family> shared_families(const Party& from, const Party& to) {
  std::vector<Family> out;
  for (Family family : {Family::V4, Family::V6})
    if (from.address(family) && to.address(family)) out.push_back(family);
  return out;
}

bool Openings::everything() const {
  return portless && ranges.size() == 3 &&
         std::ranges::all_of(ranges, [](const PortRange& range) { return range.first == 0 && range.last == 65535; });
}

std::string to_string(const Openings& openings) {
  if (openings.everything()) return "all";
  if (openings.nothing()) return "-";
  std::string text;
  for (const PortRange& range : openings.ranges)
    text += (text.empty() ? "" : " ") +
            to_string(cluster::PolicyPort{.protocol = range.protocol, .first = range.first, .last = range.last});
  if (openings.portless) text += text.empty() ? "icmp" : " icmp";
  return text;
}

Openings openings(const cluster::Model& model, const Tables& tables, const Party& from, const Party& to,
                  Family family) {
  std::map<Protocol, std::set<uint32_t>> edges;
  for (Protocol protocol : {Protocol::Tcp, Protocol::Udp, Protocol::Sctp}) edges[protocol].insert(0);
  const auto cut = [&](const Party& party, Direction direction) {
    if (!party.judged()) return;
    auto subject = tables.subjects.find(party.pod->key);
    if (subject == tables.subjects.end()) return;
    auto set = tables.sets.find(direction == Direction::Ingress ? subject->second.ingress : subject->second.egress);
    if (set == tables.sets.end()) return;
    auto ranges = tables.ports.find(set->second.ports);
    if (ranges == tables.ports.end()) return;
    for (const PortRange& range : ranges->second) {
      edges[range.protocol].insert(range.first);
      edges[range.protocol].insert(uint32_t{range.last} + 1);
    }
  };
  cut(from, Direction::Egress);
  cut(to, Direction::Ingress);
  Openings out{.portless = judge_flow(model, tables, from, to, family, {.protocol = std::nullopt}).allowed()};
  for (const auto& [protocol, ports] : edges)
    for (auto edge = ports.begin(); edge != ports.end() && *edge <= 65535; ++edge) {
      const auto first = static_cast<uint16_t>(*edge);
      if (!judge_flow(model, tables, from, to, family, {protocol, first}).allowed()) continue;
      const auto last = static_cast<uint16_t>(std::next(edge) == ports.end() ? 65535 : *std::next(edge) - 1);
      if (!out.ranges.empty() && out.ranges.back().protocol == protocol && out.ranges.back().last + 1 == first)
        out.ranges.back().last = last;
      else
        out.ranges.push_back({protocol, first, last, 0});
    }
  return out;
}

Openings without(const Openings& a, const Openings& b) {
  Openings out{.portless = a.portless && !b.portless};
  for (const PortRange& range : a.ranges) {
    uint32_t next = range.first;
    for (const PortRange& other : b.ranges) {
      if (other.protocol != range.protocol || other.last < next || other.first > range.last) continue;
      if (other.first > next)
        out.ranges.push_back({range.protocol, static_cast<uint16_t>(next), static_cast<uint16_t>(other.first - 1), 0});
      next = uint32_t{other.last} + 1;
    }
    if (next <= range.last) out.ranges.push_back({range.protocol, static_cast<uint16_t>(next), range.last, 0});
  }
  return out;
}

}  // namespace causeway::policy
