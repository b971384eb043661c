#include "control/endpoint_of.h"

#include <algorithm>

#include "base/ip.h"

namespace causeway::control {
namespace {

std::optional<Ip> parse_stored(std::string_view text) {
  auto ip = Ip::parse(text);
  if (ip) return *ip;
  // An address that was stored before 1.36 may have leading zeros; Kubernetes reads them as decimal.
  std::string trimmed;
  for (size_t at = 0; at <= text.size();) {
    const size_t dot = std::min(text.find('.', at), text.size());
    auto part = text.substr(at, dot - at);
    while (part.size() > 1 && part[0] == '0') part.remove_prefix(1);
    trimmed.append(trimmed.empty() ? "" : ".").append(part);
    at = dot + 1;
  }
  ip = Ip::parse(trimmed);
  if (ip && ip->is_v4()) return *ip;
  return std::nullopt;
}

const kube::Container* container_with(const std::vector<kube::Container>& containers, bool only_sidecars,
                                      const std::string& name, const std::string& protocol, int32_t& number) {
  for (const auto& container : containers) {
    if (only_sidecars && container.restart_policy != "Always") continue;
    for (const auto& port : container.ports)
      if (port.name == name && (port.protocol.empty() ? "TCP" : port.protocol) == protocol) {
        number = port.container_port;
        return &container;
      }
  }
  return nullptr;
}

}  // namespace

bool has_selected_endpoints(const kube::Service& service) {
  return service.spec.type != "ExternalName" && service.spec.selector && !service.spec.selector->empty();
}

bool may_be_endpoint(const kube::Pod& pod) {
  return !kube::is_finished(pod) && (!pod.status.pod_ip.empty() || !pod.status.pod_ips.empty());
}

bool has_cluster_ip(const kube::Service& service) {
  return !service.spec.cluster_ip.empty() && service.spec.cluster_ip != "None";
}

std::vector<std::string> address_types(const kube::Service& service) {
  std::vector<std::string> types;
  for (const auto& family : service.spec.ip_families)
    if ((family == "IPv4" || family == "IPv6") && std::ranges::find(types, family) == types.end())
      types.push_back(family);
  if (!types.empty()) return types;
  if (!has_cluster_ip(service)) return {"IPv4", "IPv6"};
  return {service.spec.cluster_ip.find(':') != std::string::npos ? "IPv6" : "IPv4"};
}

std::vector<std::string> pod_addresses(const kube::Pod& pod, const std::string& address_type) {
  std::vector<std::string> addresses;
  const auto add = [&](std::string_view text) {
    const auto ip = parse_stored(text);
    if (ip && ip->is_v4() == (address_type == "IPv4")) addresses.push_back(to_string(*ip));
  };
  for (const auto& entry : pod.status.pod_ips) add(entry.ip);
  if (pod.status.pod_ips.empty()) add(pod.status.pod_ip);
  return addresses;
}

std::optional<int32_t> target_port(const kube::Pod& pod, const kube::ServicePort& port) {
  const kube::IntOrString target = port.target_port.value_or(port.port);
  if (const auto* number = std::get_if<int32_t>(&target)) return *number == 0 ? port.port : *number;
  const auto& name = std::get<std::string>(target);
  const std::string protocol = port.protocol.empty() ? "TCP" : port.protocol;
  int32_t number = 0;
  if (container_with(pod.spec.containers, false, name, protocol, number) ||
      container_with(pod.spec.init_containers, true, name, protocol, number))
    return number;
  return std::nullopt;
}

std::vector<kube::EndpointPort> endpoint_ports(const kube::Service& service, const kube::Pod& pod) {
  std::vector<kube::EndpointPort> ports;
  for (const auto& port : service.spec.ports)
    if (const auto number = target_port(pod, port))
      ports.push_back({.name = port.name,
                       .protocol = port.protocol.empty() ? "TCP" : port.protocol,
                       .port = *number,
                       .app_protocol = port.app_protocol});
  return ports;
}

std::string endpoint_hostname(const kube::Service& service, const kube::Pod& pod) {
  return pod.spec.subdomain == service.metadata.name && pod.metadata.ns == service.metadata.ns ? pod.spec.hostname : "";
}

kube::SliceEndpoint endpoint_of(const kube::Service& service, const kube::Pod& pod, const kube::Node* node,
                                const std::string& address_type) {
  const bool serving = kube::is_ready(pod);
  const bool terminating = pod.metadata.deletion_timestamp.has_value();
  kube::SliceEndpoint endpoint;
  endpoint.addresses = pod_addresses(pod, address_type);
  if (endpoint.addresses.size() > 1) endpoint.addresses.resize(1);
  endpoint.conditions = {.ready = service.spec.publish_not_ready_addresses || (serving && !terminating),
                         .serving = serving,
                         .terminating = terminating};
  endpoint.target_ref =
      kube::ObjectReference{.kind = "Pod", .ns = pod.metadata.ns, .name = pod.metadata.name, .uid = pod.metadata.uid};
  if (!pod.spec.node_name.empty()) endpoint.node_name = pod.spec.node_name;
  if (node)
    if (const auto zone = node->metadata.labels.find(kZoneLabel);
        zone != node->metadata.labels.end() && !zone->second.empty())
      endpoint.zone = zone->second;
  if (auto hostname = endpoint_hostname(service, pod); !hostname.empty()) endpoint.hostname = std::move(hostname);
  return endpoint;
}

bool endpoint_changed(const kube::Pod& old, const kube::Pod& now) {
  return old.metadata.uid != now.metadata.uid ||
         old.metadata.deletion_timestamp.has_value() != now.metadata.deletion_timestamp.has_value() ||
         old.spec.node_name != now.spec.node_name || old.spec.hostname != now.spec.hostname ||
         old.spec.subdomain != now.spec.subdomain || old.status.pod_ip != now.status.pod_ip ||
         old.status.pod_ips != now.status.pod_ips || kube::is_finished(old) != kube::is_finished(now) ||
         kube::is_ready(old) != kube::is_ready(now);
}

}  // namespace causeway::control
