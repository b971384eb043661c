// What the programs of a node are built to do: one plain value. A change of it loads new programs over the same maps
// and swaps them on their hooks, without a packet lost.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "base/result.h"

namespace causeway::datapath {

enum class Attach : uint8_t {
  // A Pod's veth by clsact, which costs no grace period (docs/decisions/attach-costs-a-grace-period.md); an uplink by
  // tcx where the kernel has it (6.6), else by clsact.
  Auto,
  Tcx,
  Clsact,
};
std::string_view to_string(Attach attach);
Result<Attach> parse_attach(std::string_view text);  // auto, tcx, clsact

struct PortRange {
  uint16_t first = 0;
  uint16_t last = 0;  // inclusive
  auto operator<=>(const PortRange&) const = default;
};

struct Features {
  Attach attach = Attach::Auto;
  bool ipv4 = true;
  bool ipv6 = true;
  bool overlay = true;         // routes of kind ROUTE_OVERLAY, decapsulation
  uint16_t vxlan_port = 4789;  // UDP, RFC 7348
  uint32_t vni = 1;            // this cluster's, 24 bits
  bool masquerade = true;      // layout "island": Pods leave the cluster with the node's address
  // Source ports for masquerade, at most 4 ranges (nat_ports() computes them).
  std::vector<PortRange> nat_ports = {{1024, 29999}, {61000, 65535}};
  // The node's own TCP and UDP flows enter conntrack too; needed when nat_ports overlaps its ephemeral ports.
  bool track_node_flows = false;
  bool services = false;      // the per-packet path of Services
  bool policy = false;        // policies are enforced: a Pod without a subject is cut off
  bool socket_hooks = false;  // Services at connect() and sendmsg(), for the processes below Options::cgroup
  // Addresses of cluster DNS, at most DNS_ADDRESSES: while Datapath::dns_here() says so their port 53 is the node's
  // own.
  std::vector<Ip> dns = {};

  auto operator<=>(const Features&) const = default;
};
std::string to_string(const Features& features);

// Ports for masquerade outside of the node's ephemeral range (net.ipv4.ip_local_port_range) and its node ports. Where
// fewer than 16,384 are left: all from 1024 on, and `track_node_flows`.
struct NatPorts {
  std::vector<PortRange> ranges;
  bool track_node_flows = false;
  auto operator<=>(const NatPorts&) const = default;
};
NatPorts nat_ports(PortRange ephemeral, PortRange node_ports);

}  // namespace causeway::datapath
