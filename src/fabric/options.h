// What the operator chose for the fabric: the same on all nodes of a cluster.
#pragma once

#include <string_view>
#include <vector>

#include "cluster/model/own_ranges.h"

namespace causeway::fabric {

enum class Mode : uint8_t {
  Auto,    // native where nodes share a link, else VXLAN
  Vxlan,   // always VXLAN
  HostGw,  // always native; a node behind a router is refused
};
std::string_view to_string(Mode mode);
Result<Mode> parse_mode(std::string_view text);  // auto, vxlan, host-gw

// What carries the packets of a node. Never both on one node: packets of the bpf plane do not pass netfilter.
enum class Plane : uint8_t {
  Bpf,        // programs at the veths and the uplink, VXLAN without a device
  Netfilter,  // the kernel's routing, its VXLAN device, nftables: every packet passes netfilter
};
std::string_view to_string(Plane plane);
Result<Plane> parse_plane(std::string_view text);  // bpf, netfilter

struct Options {
  Mode mode = Mode::Auto;
  Plane plane = Plane::Bpf;
  std::vector<Cidr> cluster_cidrs;         // all Pods of the cluster; at most one for each family
  std::vector<Cidr> non_masquerade_cidrs;  // outside of the cluster, reached with the Pod's own address
  uint32_t vni = 1;                        // 24 bits
  uint16_t vxlan_port = 4789;              // UDP
  bool masquerade = true;                  // Pods leave the cluster with the node's address
  cluster::FixedRanges fixed = {};         // no Pod's, whoever reserved them
};

// Ethernet 14 + IPv4 20 or IPv6 40 + UDP 8 + VXLAN 8 (RFC 7348): what encapsulation takes from an IP packet.
inline constexpr uint32_t kVxlanOverhead4 = 50;
inline constexpr uint32_t kVxlanOverhead6 = 70;
constexpr uint32_t vxlan_overhead(Family outer) { return outer == Family::V4 ? kVxlanOverhead4 : kVxlanOverhead6; }

}  // namespace causeway::fabric
