#include "lab/nodelet/dns_objects.h"

namespace causeway::lab {
namespace {

constexpr const char* kName = "kube-dns";
constexpr const char* kNamespace = "kube-system";

struct Port {
  const char* name;
  const char* protocol;
  int32_t number;
};
constexpr Port kPorts[] = {{"dns", "UDP", 53}, {"dns-tcp", "TCP", 53}, {"metrics", "TCP", 9153}};

const char* family_of(const Ip& ip) { return ip.is_v4() ? "IPv4" : "IPv6"; }

}  // namespace

kube::Service dns_service(const std::vector<Ip>& addresses) {
  kube::Service service;
  service.metadata.ns = kNamespace;
  service.metadata.name = kName;
  service.metadata.labels = {
      {"k8s-app", kName}, {"kubernetes.io/cluster-service", "true"}, {"kubernetes.io/name", "Causeway"}};
  service.spec.type = "ClusterIP";
  service.spec.selector = kube::StringMap{{"k8s-app", kName}};
  service.spec.cluster_ip = to_string(addresses.front());
  for (const Ip& ip : addresses) {
    service.spec.cluster_ips.push_back(to_string(ip));
    service.spec.ip_families.push_back(family_of(ip));
  }
  service.spec.ip_family_policy = addresses.size() > 1 ? "RequireDualStack" : "SingleStack";
  service.spec.traffic_distribution = "PreferSameNode";
  for (const Port& port : kPorts)
    service.spec.ports.push_back({.name = port.name, .protocol = port.protocol, .port = port.number});
  return service;
}

std::vector<kube::EndpointSlice> dns_slices(const std::string& node, const std::vector<Ip>& node_addresses,
                                            bool ready) {
  std::vector<kube::EndpointSlice> out;
  for (const Ip& ip : node_addresses) {
    kube::EndpointSlice slice;
    slice.metadata.ns = kNamespace;
    slice.metadata.name = fmt::format("{}-{}-{}", kName, node, ip.is_v4() ? "ipv4" : "ipv6");
    slice.metadata.labels = {{"kubernetes.io/service-name", kName},
                             {"endpointslice.kubernetes.io/managed-by", "causeway-lab"}};
    slice.address_type = family_of(ip);
    slice.endpoints = {{.addresses = {to_string(ip)},
                        .conditions = {.ready = ready, .serving = ready, .terminating = false},
                        .node_name = node,
                        .hints = kube::EndpointHints{.for_nodes = {{node}}}}};
    for (const Port& port : kPorts)
      slice.ports.push_back({.name = port.name, .protocol = port.protocol, .port = port.number});
    out.push_back(std::move(slice));
  }
  return out;
}

}  // namespace causeway::lab
