#include <algorithm>
#include <charconv>

#include "cluster/model/project.h"
#include "kube/api/codec.h"

namespace causeway::cluster {

namespace {

constexpr std::string_view kProxyName = "service.kubernetes.io/service-proxy-name";
constexpr std::string_view kHeadless = "service.kubernetes.io/headless";
constexpr std::string_view kOfService = "kubernetes.io/service-name";
constexpr std::string_view kTriggered = "endpoints.kubernetes.io/last-change-trigger-time";
constexpr uint32_t kAffinitySeconds = 10800, kMostAffinitySeconds = 86400;

// What is wrong with one object: all of it, but not without end.
class Problem {
 public:
  void add(std::string what) {
    if (++count_ <= 4) text_ += (text_.empty() ? "" : "; ") + std::move(what);
  }
  std::string text() && { return count_ <= 4 ? std::move(text_) : fmt::format("{}; and {} more", text_, count_ - 4); }

 private:
  std::string text_;
  size_t count_ = 0;
};

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  return first == text.npos ? "" : text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::string value_of(const kube::StringMap& map, std::string_view key) {
  const auto it = map.find(std::string(key));
  return it == map.end() ? "" : it->second;
}

int64_t seconds(const std::optional<kube::Time>& time) {
  return time ? std::chrono::duration_cast<std::chrono::seconds>(time->time_since_epoch()).count() : 0;
}

std::optional<uint16_t> port_number(int64_t number) {
  return number > 0 && number <= UINT16_MAX ? std::optional(static_cast<uint16_t>(number)) : std::nullopt;
}

std::optional<Protocol> parse_protocol(std::string_view text) {
  if (text.empty() || text == "TCP") return Protocol::Tcp;
  if (text == "UDP") return Protocol::Udp;
  if (text == "SCTP") return Protocol::Sctp;
  return std::nullopt;
}

// Addresses that a packet for a Service can have; the rest is said.
void add_address(CompactVector<Ip>& into, std::string_view field, const std::string& text, Problem& problem) {
  auto ip = parse_stored_ip(text);
  if (!ip)
    problem.add(fmt::format("{}: {}", field, ip.error().message()));
  else if (ip->is_unspecified() || ip->is_loopback() || ip->is_multicast())
    problem.add(fmt::format("{}: {} is no address that others can send to", field, *ip));
  else if (std::ranges::find(into, *ip) == into.end())
    into.push_back(*ip);
}

void add_cluster_ips(Service& out, const kube::ServiceSpec& spec, Problem& problem) {
  std::vector<std::string> texts = spec.cluster_ips;
  if (texts.empty() && !spec.cluster_ip.empty()) texts.push_back(spec.cluster_ip);
  for (const std::string& text : texts) {
    if (text.empty() || text == "None") continue;
    CompactVector<Ip> one;
    add_address(one, "spec.clusterIPs", text, problem);
    if (one.empty()) continue;
    if (out.cluster_ip(one[0].family()))
      problem.add(fmt::format("spec.clusterIPs: {} is a second address of its family", one[0]));
    else
      out.cluster_ips.push_back(one[0]);
  }
}

void add_port(Service& out, const kube::ServicePort& port, Problem& problem) {
  const auto protocol = parse_protocol(port.protocol);
  const auto number = port_number(port.port);
  const std::string name = port.name.empty() ? std::to_string(port.port) : port.name;
  if (!protocol)
    return problem.add(fmt::format("port {}: protocol {} is not one of TCP, UDP, SCTP", name, port.protocol));
  if (!number) return problem.add(fmt::format("port {}: {} is no port number", name, port.port));
  const auto node_port = port_number(port.node_port);
  if (port.node_port != 0 && !node_port)
    problem.add(fmt::format("port {}: node port {} is no port number", name, port.node_port));
  for (const ServicePort& other : out.ports)
    if (other.name == port.name || (other.port == *number && other.protocol == *protocol))
      return problem.add(fmt::format("port {}: the Service has another of that name or number", name));
  ServicePort& added = out.ports.emplace_back(port.name, *protocol, *number);
  if (out.type != ServiceType::ClusterIp) added.node_port = node_port.value_or(0);
}

void add_load_balancer(Service& out, const kube::Service& service, Problem& problem) {
  if (out.type != ServiceType::LoadBalancer) return;
  for (const kube::LoadBalancerIngress& ingress : service.status.load_balancer.ingress) {
    // KEP-1860: with ipMode Proxy packets shall go to the load balancer.
    if (ingress.ip.empty() || ingress.ip_mode.value_or("VIP") != "VIP") continue;
    add_address(out.load_balancer_ips, "status.loadBalancer.ingress", ingress.ip, problem);
  }
  for (const std::string& text : service.spec.load_balancer_source_ranges) {
    if (trimmed(text).empty()) continue;
    out.restricted = true;
    if (auto cidr = parse_stored_cidr(trimmed(text)))
      out.source_ranges.push_back(*cidr);
    else
      problem.add(fmt::format("spec.loadBalancerSourceRanges: {}", cidr.error().message()));
  }
  if (const auto port = port_number(service.spec.health_check_node_port); port && out.external_local)
    out.health_check_node_port = *port;
}

// "10.1.0.5=3,10.1.0.6=1"
void add_weights(EndpointSlice& out, std::string_view text, Problem& problem) {
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const std::string_view part = trimmed(text.substr(0, comma));
    text = comma == text.npos ? "" : text.substr(comma + 1);
    const size_t equals = part.find('=');
    uint16_t weight = 0;
    const std::string_view number = equals == part.npos ? "" : part.substr(equals + 1);
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), weight);
    const auto ip = parse_stored_ip(part.substr(0, equals));
    if (!ip || error != std::errc() || end != number.data() + number.size() || weight == 0) {
      problem.add(
          fmt::format("annotation {}: \"{}\" is no ADDRESS=WEIGHT with a weight of 1-65535", kEndpointWeights, part));
      continue;
    }
    for (SliceEndpoint& endpoint : out.endpoints)
      if (endpoint.ip == *ip) endpoint.weight = weight;
  }
}

std::shared_ptr<const SliceHints> hints_of(const kube::SliceEndpoint& endpoint) {
  if (!endpoint.hints) return nullptr;
  SliceHints hints;
  for (const kube::HintName& zone : endpoint.hints->for_zones) hints.zones.push_back(zone.name);
  for (const kube::HintName& node : endpoint.hints->for_nodes) hints.nodes.push_back(node.name);
  if (hints.zones.empty() && hints.nodes.empty()) return nullptr;
  std::ranges::sort(hints.zones);
  std::ranges::sort(hints.nodes);
  return std::make_shared<const SliceHints>(std::move(hints));
}

}  // namespace

Service project(const kube::Service& service) {
  Problem problem;
  const kube::ServiceSpec& spec = service.spec;
  Service out{.key = {service.metadata.ns, service.metadata.name},
              .proxy_name = value_of(service.metadata.labels, kProxyName),
              .created = seconds(service.metadata.creation_timestamp),
              .internal_local = spec.internal_traffic_policy.value_or("") == "Local",
              .left_to_others = service.metadata.labels.contains(std::string(kHeadless))};
  for (const auto& [key, value] : service.metadata.labels) out.labels.emplace_back(key, value);
  std::ranges::sort(out.labels);
  if (spec.type == "ExternalName") {
    out.type = ServiceType::ExternalName;
    out.external_name = spec.external_name;
    return out;
  }
  if (spec.type == "NodePort") out.type = ServiceType::NodePort;
  if (spec.type == "LoadBalancer") out.type = ServiceType::LoadBalancer;
  out.external_local = spec.external_traffic_policy == "Local";
  if (spec.session_affinity == "ClientIP") {
    int32_t timeout = kAffinitySeconds;
    if (spec.session_affinity_config && spec.session_affinity_config->client_ip)
      timeout = spec.session_affinity_config->client_ip->timeout_seconds.value_or(timeout);
    out.affinity = static_cast<uint32_t>(std::clamp<int32_t>(timeout, 1, kMostAffinitySeconds));
    if (out.affinity != static_cast<uint32_t>(timeout))
      problem.add(fmt::format("sessionAffinityConfig: timeoutSeconds {} is not 1-{}", timeout, kMostAffinitySeconds));
  }
  out.headless = spec.cluster_ip == "None" || std::ranges::find(spec.cluster_ips, "None") != spec.cluster_ips.end();
  add_cluster_ips(out, spec, problem);
  for (const std::string& text : spec.external_ips) add_address(out.external_ips, "spec.externalIPs", text, problem);
  for (const kube::ServicePort& port : spec.ports) add_port(out, port, problem);
  constexpr uint16_t kDnsPort = 53;
  if (spec.selector && std::ranges::any_of(out.ports, [](const ServicePort& one) { return one.port == kDnsPort; })) {
    for (const auto& [key, value] : *spec.selector) out.selector.emplace_back(key, value);
    std::ranges::sort(out.selector);
  }
  add_load_balancer(out, service, problem);
  for (const auto& [key, value] : service.metadata.annotations)
    if (key.starts_with(kServiceAnnotations)) out.annotations.emplace_back(key, value);
  std::ranges::sort(out.annotations);
  out.problem = std::move(problem).text();
  return out;
}

EndpointSlice project(const kube::EndpointSlice& slice, bool pod_names) {
  Problem problem;
  EndpointSlice out{.key = {slice.metadata.ns, slice.metadata.name},
                    .service = value_of(slice.metadata.labels, kOfService),
                    .family = slice.address_type == "IPv6" ? Family::V6 : Family::V4,
                    .left_to_others = slice.metadata.labels.contains(std::string(kHeadless))};
  if (const std::string text = value_of(slice.metadata.annotations, kTriggered); !text.empty())
    if (auto time = kube::parse_time(text))
      out.triggered = std::chrono::duration_cast<std::chrono::nanoseconds>(time->time_since_epoch()).count();
  if (slice.address_type != "IPv4" && slice.address_type != "IPv6") return out;  // FQDN: nobody consumes it
  for (const kube::EndpointPort& port : slice.ports) {
    if (!port.name || !port.port.value_or(0)) continue;  // as kube-proxy
    const auto number = port_number(*port.port);
    const auto protocol = parse_protocol(port.protocol.value_or(""));
    if (number && protocol)
      out.ports.push_back({*port.name, *protocol, *number});
    else if (!number)
      problem.add(fmt::format("port {}: {} is no port number", *port.name, *port.port));
    else
      problem.add(fmt::format("port {}: protocol {} is not one of TCP, UDP, SCTP", *port.name, *port.protocol));
  }
  for (const kube::SliceEndpoint& endpoint : slice.endpoints) {
    if (endpoint.addresses.empty()) continue;
    const auto ip = parse_stored_ip(endpoint.addresses.front());
    if (!ip || ip->family() != out.family) {
      problem.add(ip ? fmt::format("endpoint {} is no {} address", *ip, slice.address_type)
                     : fmt::format("endpoint: {}", ip.error().message()));
      continue;
    }
    const kube::EndpointConditions& conditions = endpoint.conditions;
    out.endpoints.push_back({.ip = *ip,
                             .ready = conditions.ready.value_or(true),
                             .serving = conditions.serving.value_or(conditions.ready.value_or(true)),
                             .terminating = conditions.terminating.value_or(false),
                             .node = endpoint.node_name.value_or(""),
                             .hostname = endpoint.hostname.value_or(""),
                             .pod = pod_names && endpoint.target_ref && endpoint.target_ref->kind == "Pod"
                                        ? Name(endpoint.target_ref->name)
                                        : Name(),
                             .hints = hints_of(endpoint)});
  }
  add_weights(out, value_of(slice.metadata.annotations, kEndpointWeights), problem);
  out.problem = std::move(problem).text();
  return out;
}

ServiceCidr project(const kube::ServiceCidr& cidr) {
  ServiceCidr out{.name = cidr.metadata.name};
  for (const std::string& text : cidr.spec.cidrs)
    if (auto range = parse_stored_cidr(text)) out.cidrs.push_back(*range);
  return out;
}

}  // namespace causeway::cluster
