// Services and what belongs to them: EndpointSlice, Endpoints, ServiceCIDR, IPAddress.
#pragma once

#include "kube/api/meta.h"

namespace causeway::kube {

struct ServicePort {
  std::string name;
  std::string protocol;  // TCP, UDP, SCTP; empty means TCP
  std::optional<std::string> app_protocol;
  int32_t port = 0;
  std::optional<IntOrString> target_port;  // absent: the same as port
  int32_t node_port = 0;                   // 0: none
  bool operator==(const ServicePort&) const = default;
};
struct ClientIpConfig {
  std::optional<int32_t> timeout_seconds;
  bool operator==(const ClientIpConfig&) const = default;
};
struct SessionAffinityConfig {
  std::optional<ClientIpConfig> client_ip;
  bool operator==(const SessionAffinityConfig&) const = default;
};
struct ServiceSpec {
  std::string type;  // ClusterIP, NodePort, LoadBalancer, ExternalName
  std::vector<ServicePort> ports;
  std::optional<StringMap> selector;  // absent or empty: somebody else writes the endpoints
  std::string cluster_ip;             // "" (not yet given), "None" (headless) or an address
  std::vector<std::string> cluster_ips;
  std::vector<std::string> external_ips;
  std::string session_affinity;  // None, ClientIP
  std::optional<SessionAffinityConfig> session_affinity_config;
  std::string load_balancer_ip;
  std::vector<std::string> load_balancer_source_ranges;
  std::optional<std::string> load_balancer_class;
  std::string external_name;
  std::string external_traffic_policy;                 // Cluster, Local
  std::optional<std::string> internal_traffic_policy;  // Cluster, Local
  int32_t health_check_node_port = 0;
  bool publish_not_ready_addresses = false;
  std::vector<std::string> ip_families;         // IPv4, IPv6, the primary one first
  std::optional<std::string> ip_family_policy;  // SingleStack, PreferDualStack, RequireDualStack
  std::optional<bool> allocate_load_balancer_node_ports;
  std::optional<std::string> traffic_distribution;
  bool operator==(const ServiceSpec&) const = default;
};
struct LoadBalancerIngress {
  std::string ip;
  std::string hostname;
  std::optional<std::string> ip_mode;  // VIP, Proxy
  bool operator==(const LoadBalancerIngress&) const = default;
};
struct LoadBalancerStatus {
  std::vector<LoadBalancerIngress> ingress;
  bool operator==(const LoadBalancerStatus&) const = default;
};
struct ServiceStatus {
  LoadBalancerStatus load_balancer;
  std::vector<Condition> conditions;
  bool operator==(const ServiceStatus&) const = default;
};
struct Service {
  static constexpr KindInfo kKind{"", "v1", "Service", "services", true};
  ObjectMeta metadata;
  ServiceSpec spec;
  ServiceStatus status;
  bool operator==(const Service&) const = default;
};

struct EndpointConditions {
  std::optional<bool> ready;  // absent: to be taken as true
  std::optional<bool> serving;
  std::optional<bool> terminating;
  bool operator==(const EndpointConditions&) const = default;
};
struct HintName {  // of forZones and forNodes
  std::string name;
  bool operator==(const HintName&) const = default;
};
struct EndpointHints {
  std::vector<HintName> for_zones;
  std::vector<HintName> for_nodes;
  bool operator==(const EndpointHints&) const = default;
};
struct SliceEndpoint {
  std::vector<std::string> addresses;  // only the first has meaning
  EndpointConditions conditions;
  std::optional<std::string> hostname;
  std::optional<ObjectReference> target_ref;
  std::optional<std::string> node_name;
  std::optional<std::string> zone;
  std::optional<EndpointHints> hints;
  bool operator==(const SliceEndpoint&) const = default;
};
struct EndpointPort {
  std::optional<std::string> name;
  std::optional<std::string> protocol;
  std::optional<int32_t> port;  // absent: all ports
  std::optional<std::string> app_protocol;
  bool operator==(const EndpointPort&) const = default;
};
struct EndpointSlice {
  static constexpr KindInfo kKind{"discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", true};
  ObjectMeta metadata;
  std::string address_type;  // IPv4, IPv6, FQDN
  // The published schema allows absent, null and [] (kubernetes PR 136111); all three mean no endpoint.
  std::vector<SliceEndpoint> endpoints;
  std::vector<EndpointPort> ports;  // empty: the slice has no port
  bool operator==(const EndpointSlice&) const = default;
};

// Deprecated since 1.33, and still what Conformance asks for.
struct EndpointAddress {
  std::string ip;
  std::string hostname;
  std::optional<std::string> node_name;
  std::optional<ObjectReference> target_ref;
  bool operator==(const EndpointAddress&) const = default;
};
struct SubsetPort {
  std::string name;
  int32_t port = 0;
  std::string protocol;
  std::optional<std::string> app_protocol;
  bool operator==(const SubsetPort&) const = default;
};
// Each address has each port.
struct EndpointSubset {
  std::vector<EndpointAddress> addresses;
  std::vector<EndpointAddress> not_ready_addresses;
  std::vector<SubsetPort> ports;
  bool operator==(const EndpointSubset&) const = default;
};
struct Endpoints {
  static constexpr KindInfo kKind{"", "v1", "Endpoints", "endpoints", true};
  ObjectMeta metadata;  // named like the Service
  std::vector<EndpointSubset> subsets;
  bool operator==(const Endpoints&) const = default;
};

// Ranges out of which Services get their addresses (KEP-1880).
struct ServiceCidrSpec {
  std::vector<std::string> cidrs;  // one, or one of each family
  bool operator==(const ServiceCidrSpec&) const = default;
};
struct ServiceCidrStatus {
  std::vector<Condition> conditions;  // Ready; False with reason Terminating while it is being deleted
  bool operator==(const ServiceCidrStatus&) const = default;
};
struct ServiceCidr {
  static constexpr KindInfo kKind{"networking.k8s.io", "v1", "ServiceCIDR", "servicecidrs", false};
  ObjectMeta metadata;
  ServiceCidrSpec spec;
  ServiceCidrStatus status;
  bool operator==(const ServiceCidr&) const = default;
};

// One address that is taken; its name is the address in canonical form.
struct ParentReference {
  std::string group;
  std::string resource;
  std::string ns;
  std::string name;
  bool operator==(const ParentReference&) const = default;
};
struct IpAddressSpec {
  std::optional<ParentReference> parent_ref;
  bool operator==(const IpAddressSpec&) const = default;
};
struct IpAddress {
  static constexpr KindInfo kKind{"networking.k8s.io", "v1", "IPAddress", "ipaddresses", false};
  ObjectMeta metadata;
  IpAddressSpec spec;
  bool operator==(const IpAddress&) const = default;
};

}  // namespace causeway::kube
