// What the kernel of this node shall hold so that Pods and nodes reach each other, as values with names. render()
// prints them; the appliers turn them into maps and routes.
#pragma once

#include <variant>

#include "cluster/model/model.h"

namespace causeway::fabric {

// Which object of the model a row comes from. Each row has exactly one owner.
struct SelfKey {
  auto operator<=>(const SelfKey&) const = default;
};
using Key =
    std::variant<SelfKey, std::string /* name of a Node */, cluster::AttachmentKey, Ip /* a reserved address */>;
// "self", "node n2", "attachment 4f2a/eth0": as cluster::object_of() says it; "address 10.244.1.7".
std::string to_string(const Key& key);

enum class Via : uint8_t {
  Overlay,    // another node, encapsulated in VXLAN
  Native,     // another node on our link, as it is
  ThisNode,   // an address of this node
  LocalPods,  // our own Pod range: an address without a Pod is unreachable
  Cluster,    // inside of the cluster, by the kernel's own routes
};
std::string_view to_string(Via via);

// Where packets to a prefix go; longest prefix wins, no row is outside of the cluster (masqueraded).
struct Route {
  Via via = Via::Cluster;
  bool node_address = false;   // a node, not Pods: only Pod traffic takes this row
  std::string node;            // where it leads
  uint32_t mtu = 0;            // largest inner IP packet, bytes; 0: no limit
  IfIndex uplink{};            // Overlay, Native
  std::optional<Ip> next_hop;  // Native: the node; Overlay: the VTEP where it is on our link
  std::optional<Ip> vtep;      // Overlay: outer destination ...
  std::optional<Ip> source;    // ... and outer source, of one family
  bool operator==(const Route&) const = default;
};

// A Pod of this node, by one of its addresses.
struct PodRow {
  cluster::PodKey pod;
  IfIndex ifindex{};   // host end of its veth ...
  std::string device;  // ... and its name
  Mac mac;
  Mac host_mac;
  bool by_host_side = false;  // a qdisc at the host end shapes what comes in
  bool operator==(const PodRow&) const = default;
};

// A device that leads to other nodes, and the node's addresses on it.
struct UplinkRow {
  std::optional<Ip> v4, v6;
  bool operator==(const UplinkRow&) const = default;
};

// A route of the kernel: on the bpf plane for the node's own sockets and for what the programs give to the stack, on
// the netfilter plane for all packets.
struct KernelRoute {
  IfIndex ifindex{};
  std::optional<Family> tunnel;  // instead: by our VXLAN device of this outer family
  bool unreachable = false;      // instead: nowhere, and the sender hears of it
  std::optional<Ip> gateway;     // always on-link
  uint32_t mtu = 0;              // bytes; 0: the link's
  std::optional<Ip> source;      // preferred source of the node's own packets
  bool operator==(const KernelRoute&) const = default;
};

struct NeighbourKey {
  IfIndex ifindex{};
  Ip ip;
  auto operator<=>(const NeighbourKey&) const = default;
};

// ---- rows of the netfilter plane only

// Our VXLAN device of one outer family. It is named before it has an index.
std::string tunnel_device(Family outer);  // causeway.vxlan4, causeway.vxlan6
struct TunnelRow {
  Ip source;  // outer
  Mac mac;
  uint32_t mtu = 0;  // bytes, of the inner packet
  uint16_t port = 0;
  uint32_t vni = 0;
  // The node's own, once more: what the kernel puts into a packet that is masqueraded on its way into the tunnel.
  std::vector<Ip> addresses;
  bool operator==(const TunnelRow&) const = default;
};

// A next hop behind the tunnel: its MAC stands for the node.
struct TunnelNeighbourKey {
  Family outer = Family::V4;
  Ip ip;
  auto operator<=>(const TunnelNeighbourKey&) const = default;
};
// Whom a MAC stands for.
struct ForwardingKey {
  Family outer = Family::V4;
  Mac mac;
  auto operator<=>(const ForwardingKey&) const = default;
};

// The table of routes that only what our Pods send meets, and where its rules stand: before the main table's.
inline constexpr uint32_t kPodTable = 0xca40;
inline constexpr uint32_t kPodRulePriority = 20200;

struct Present {  // the value of a set's element
  bool operator==(const Present&) const = default;
};

enum class Hooks : uint8_t { Pod, Uplink };
std::string_view to_string(Hooks hooks);

struct Tables {
  std::map<Cidr, Route> routes;
  std::map<Ip, std::string> peers;  // outer addresses we accept VXLAN from -> Node
  std::map<Ip, PodRow> pods;
  std::map<IfIndex, UplinkRow> uplinks;
  std::map<Cidr, KernelRoute> kernel_routes;
  std::map<NeighbourKey, Mac> neighbours;  // permanent
  std::map<IfIndex, Hooks> hooks;          // devices that carry our programs
  // The netfilter plane's.
  std::map<Family, TunnelRow> tunnels;
  std::map<TunnelNeighbourKey, Mac> tunnel_neighbours;
  std::map<ForwardingKey, Ip> forwarding;        // -> outer destination
  std::map<Cidr, KernelRoute> pod_routes;        // of kPodTable
  std::map<Cidr, Present> rules;                 // from here: kPodTable
  std::map<Cidr, Present> masquerade_from;       // our Pods
  std::map<Cidr, Present> masquerade_except_to;  // inside of the cluster; no prefix holds another
  // Objects that get no rows, and why (nothing of it goes to the kernel): "node n3".
  std::map<std::string, std::string> refused;
  bool operator==(const Tables&) const = default;
};

std::string render(const Tables& tables);

}  // namespace causeway::fabric
