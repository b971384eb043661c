#include "cluster/model/services.h"

#include <algorithm>
#include <tuple>

namespace causeway::cluster {

std::string to_string(const ServiceKey& key) { return key.ns + "/" + key.name; }
std::string to_string(const SliceKey& key) { return key.ns + "/" + key.name; }
std::string to_string(const ServiceClaim& claim) {
  return fmt::format("{}/{}", Endpoint{claim.ip, claim.port}, claim.protocol);
}

std::string_view to_string(ServiceType type) {
  switch (type) {
    case ServiceType::ClusterIp: return "ClusterIP";
    case ServiceType::NodePort: return "NodePort";
    case ServiceType::LoadBalancer: return "LoadBalancer";
    case ServiceType::ExternalName: return "ExternalName";
  }
  return "?";
}

std::optional<Ip> Service::cluster_ip(Family family) const {
  for (const Ip& ip : cluster_ips)
    if (ip.family() == family) return ip;
  return std::nullopt;
}

bool SliceEndpoint::operator==(const SliceEndpoint& other) const {
  const auto fields = [](const SliceEndpoint& e) {
    return std::tie(e.ip, e.ready, e.serving, e.terminating, e.weight, e.node, e.hostname, e.pod);
  };
  return fields(*this) == fields(other) && (hints == other.hints || (hints && other.hints && *hints == *other.hints));
}

Ip any_address(Family family) { return family == Family::V4 ? Ip() : Ip::v6(std::array<uint8_t, 16>{}); }

std::vector<ServiceClaim> claims(const Service& service) {
  std::vector<ServiceClaim> out;
  if (service.type == ServiceType::ExternalName) return out;
  for (const Ip& cluster_ip : service.cluster_ips) {
    const Family family = cluster_ip.family();
    out.push_back({cluster_ip, 0, Protocol::Tcp});
    for (const ServicePort& port : service.ports) {
      out.push_back({cluster_ip, port.port, port.protocol});
      if (port.node_port) out.push_back({any_address(family), port.node_port, port.protocol});
      for (const auto* addresses : {&service.external_ips, &service.load_balancer_ips})
        for (const Ip& ip : *addresses)
          if (ip.family() == family) out.push_back({ip, port.port, port.protocol});
    }
    // What answers there listens on every address of both families.
    if (service.health_check_node_port)
      for (Family each : {Family::V4, Family::V6})
        out.push_back({any_address(each), service.health_check_node_port, Protocol::Tcp});
  }
  std::ranges::sort(out);
  out.erase(std::ranges::unique(out).begin(), out.end());
  return out;
}

bool precedes(const Service& a, const Service& b, const ServiceClaim& claim) {
  const auto own = [&](const Service& service) {
    return std::ranges::find(service.cluster_ips, claim.ip) != service.cluster_ips.end();
  };
  if (own(a) != own(b)) return own(a);
  // A Service without a time is the youngest: a known age beats an unknown one.
  return std::tuple(a.created == 0, a.created, a.key) < std::tuple(b.created == 0, b.created, b.key);
}

}  // namespace causeway::cluster
