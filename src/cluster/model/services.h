// Services and their endpoints, as a node needs to know them. There may be 30,000 Services and 250,000 endpoints on
// every node: names are shared (base/name.h), rare things take no room, and the model keeps one immutable copy of each.
#pragma once

#include <memory>

#include "base/compact_vector.h"
#include "base/name.h"
#include "cluster/model/objects.h"

namespace causeway::cluster {

struct ServiceKey {
  Name ns;
  Name name;
  auto operator<=>(const ServiceKey&) const = default;
};
std::string to_string(const ServiceKey& key);  // ns/name

enum class ServiceType : uint8_t { ClusterIp, NodePort, LoadBalancer, ExternalName };
std::string_view to_string(ServiceType type);

struct ServicePort {
  Name name;  // "" where the only port has none
  Protocol protocol = Protocol::Tcp;
  uint16_t port = 0;
  uint16_t node_port = 0;  // 0: none
  bool operator==(const ServicePort&) const = default;
};

struct Service {
  ServiceKey key;
  Name proxy_name;      // label service.kubernetes.io/service-proxy-name
  int64_t created = 0;  // seconds since 1970; 0 is unknown
  ServiceType type = ServiceType::ClusterIp;
  bool internal_local = false;  // internalTrafficPolicy
  bool external_local = false;  // externalTrafficPolicy
  bool restricted = false;      // spec.loadBalancerSourceRanges says who may, even where none of it can be read
  bool headless = false;        // clusterIP None: DNS names its endpoints, no packet is balanced
  bool left_to_others = false;  // label service.kubernetes.io/headless: not balanced, whatever its addresses
  uint16_t health_check_node_port = 0;
  uint32_t affinity = 0;          // ClientIP: seconds; 0: none
  CompactVector<Ip> cluster_ips;  // one for each family at most; none: headless, an ExternalName, or not given yet
  CompactVector<Ip> external_ips;
  CompactVector<Ip> load_balancer_ips;  // status addresses that the node captures (ipMode VIP)
  CompactVector<Cidr> source_ranges;    // both families
  CompactVector<ServicePort> ports;
  CompactVector<std::pair<Name, Name>> annotations;  // those for us (kServiceAnnotations), sorted
  CompactVector<std::pair<Name, Name>> labels;       // sorted
  CompactVector<std::pair<Name, Name>> selector;     // sorted; kept of Services with a port 53: cluster DNS
  Name external_name;                                // ExternalName: as it is written
  Name problem;                                      // fields that cannot be read or served, and why; "" if all is well
  bool operator==(const Service&) const = default;

  // Its address of the family; a Service is served in the families that it has one of.
  std::optional<Ip> cluster_ip(Family family) const;
};

// Annotations of Services and EndpointSlices that Causeway reads begin so.
inline constexpr std::string_view kServiceAnnotations = "service.causeway.io/";
// Of an EndpointSlice: "10.1.0.5=3,10.1.0.6=1"; an endpoint that is not named weighs 1.
inline constexpr std::string_view kEndpointWeights = "service.causeway.io/weights";

// What a Service takes from others: an address, port and protocol; port 0: the ClusterIP itself; the unspecified
// address: a port of every node.
struct ServiceClaim {
  Ip ip;
  uint16_t port = 0;
  Protocol protocol = Protocol::Tcp;
  auto operator<=>(const ServiceClaim&) const = default;
};
std::string to_string(const ServiceClaim& claim);  // 10.96.0.1:80/tcp
// All that it may want, whatever a node's options are; each once, sorted.
std::vector<ServiceClaim> claims(const Service& service);
// The unspecified address: every address of the node.
Ip any_address(Family family);

// Of two that claim the same: the one whose ClusterIP it is, then the older, then the lesser name.
bool precedes(const Service& a, const Service& b, const ServiceClaim& claim);

struct SliceKey {
  Name ns;
  Name name;
  auto operator<=>(const SliceKey&) const = default;
};
std::string to_string(const SliceKey& key);  // ns/name

struct SliceHints {
  std::vector<Name> zones, nodes;  // sorted
  bool operator==(const SliceHints&) const = default;
};

struct SliceEndpoint {
  Ip ip;
  bool ready = false;
  bool serving = false;
  bool terminating = false;
  uint16_t weight = 1;                      // 1-65535
  Name node;                                // "" where unknown
  Name hostname;                            // what DNS calls it; "": as its address
  Name pod;                                 // its Pod's name, only if asked for (project()); "" where unknown
  std::shared_ptr<const SliceHints> hints;  // nullptr: none
  bool operator==(const SliceEndpoint& other) const;
};

struct SlicePort {
  Name name;
  Protocol protocol = Protocol::Tcp;
  uint16_t port = 0;
  bool operator==(const SlicePort&) const = default;
};

struct EndpointSlice {
  SliceKey key;
  Name service;  // in the same namespace; "": nobody's
  Family family = Family::V4;
  bool left_to_others = false;     // label service.kubernetes.io/headless: no packet is balanced to its endpoints
  int64_t triggered = 0;           // last-change-trigger-time, nanoseconds since 1970; 0: none
  CompactVector<SlicePort> ports;  // those with a name and a number
  CompactVector<SliceEndpoint> endpoints;
  Name problem;  // endpoints that cannot be read, and why
  bool operator==(const EndpointSlice&) const = default;

  ServiceKey owner() const { return {key.ns, service}; }
};

struct ServiceCidr {
  std::string name;
  std::vector<Cidr> cidrs;
  bool operator==(const ServiceCidr&) const = default;
};

}  // namespace causeway::cluster
