#include "fabric/compile_netfilter.h"

#include <algorithm>

namespace causeway::fabric {

using cluster::Model;
using cluster::Node;
using cluster::NodeFacts;

namespace {

// A set of ranges holds no address twice: of two ranges that overlap the larger stands for both.
bool held_by_another(const Cidr& prefix, const Options& options) {
  auto holds = [&](const Cidr& range) { return range != prefix && range.contains(prefix); };
  return std::ranges::any_of(options.cluster_cidrs, holds) || std::ranges::any_of(options.non_masquerade_cidrs, holds);
}
bool inside_a_pod_range(const Cidr& prefix, const Model& model) {
  return std::ranges::any_of(model.nodes_overlapping(prefix), [&](const std::string& name) {
    const Node& node = *model.node(name);
    return refusal(node, model).empty() && std::ranges::any_of(node.pod_cidrs, [&](const Cidr& cidr) {
             return cidr != prefix && cidr.contains(prefix);
           });
  });
}

void stay_unmasqueraded(Tables& out, const Model& model, const Options& options) {
  for (const auto& [prefix, route] : out.routes)
    if (!held_by_another(prefix, options) && !inside_a_pod_range(prefix, model))
      out.masquerade_except_to.emplace(prefix, Present{});
}

// The next hop is only a name for the node's MAC. IPv6: a link-local address made of it (RFC 4291, appendix A), for a
// gateway that another device's prefix holds is refused. IPv4: the node's address, or that of its Pod range, which no
// Pod has.
Ip next_hop_of(const Node& node, const Mac& mac, const Cidr& prefix, bool node_address) {
  if (prefix.family() == Family::V4)
    return node_address ? prefix.address() : node.address(Family::V4).value_or(prefix.address());
  const auto& m = mac.bytes;
  return Ip::v6(std::array<uint8_t, 16>{0xfe, 0x80, 0, 0, 0, 0, 0, 0, static_cast<uint8_t>(m[0] ^ 2), m[1], m[2], 0xff,
                                        0xfe, m[3], m[4], m[5]});
}

std::map<Family, TunnelRow> tunnels_of(const NodeFacts& facts, const Node* self, const Options& options) {
  std::map<Family, TunnelRow> out;
  if (options.mode == Mode::HostGw) return out;
  std::vector<Ip> own;
  for (Family family : {Family::V4, Family::V6})
    if (auto ip = own_address(facts, self, family)) own.push_back(*ip);
  // One for each family that another node may prefer for its packets to us.
  for (const Ip& source : own) {
    const uint32_t overhead = vxlan_overhead(source.family());
    if (facts.uplink.mtu <= overhead) continue;
    out.emplace(source.family(), TunnelRow{.source = source,
                                           .mac = tunnel_mac(facts.name),
                                           .mtu = facts.uplink.mtu - overhead,
                                           .port = options.vxlan_port,
                                           .vni = options.vni,
                                           .addresses = own});
  }
  return out;
}

}  // namespace

std::optional<Ip> own_address(const NodeFacts& facts, const Node* self, Family family) {
  auto on_uplink = [&](const Ip& ip) {
    return std::ranges::any_of(facts.uplink.addresses, [&](const auto& address) { return address.ip == ip; });
  };
  if (self)
    for (const Ip& ip : self->addresses)
      if (ip.family() == family && on_uplink(ip)) return ip;
  for (const auto& address : facts.uplink.addresses)
    if (address.ip.family() == family) return address.ip;
  return std::nullopt;
}

void lead_by_kernel(Tables& out, const Model& model, const Options& options) {
  out.tunnels = tunnels_of(model.facts(), model.self(), options);
  for (const auto& [prefix, route] : out.routes) {
    if (route.via != Via::LocalPods) continue;
    // A packet to a Pod that is gone is answered here; the default route would send it round in circles.
    out.kernel_routes.emplace(prefix, KernelRoute{.unreachable = true});
    out.masquerade_from.emplace(prefix, Present{});
    if (!out.tunnels.empty()) out.rules.emplace(prefix, Present{});
  }
  stay_unmasqueraded(out, model, options);
}

void lead_reserved_by_kernel(Tables& out, const Cidr& prefix, bool unreachable, const Model& model,
                             const Options& options) {
  if (unreachable) out.kernel_routes.emplace(prefix, KernelRoute{.unreachable = true});
  out.masquerade_from.emplace(prefix, Present{});
  if (!tunnels_of(model.facts(), model.self(), options).empty()) out.rules.emplace(prefix, Present{});
  stay_unmasqueraded(out, model, options);
}

void lead_by_kernel(Tables& out, const Node& node, const Model& model, const Options& options) {
  const Mac mac = tunnel_mac(node.name);
  for (const auto& [prefix, route] : out.routes) {
    KernelRoute kernel{.mtu = route.mtu, .source = own_address(model.facts(), model.self(), prefix.family())};
    switch (route.via) {
      case Via::Native:
        if (route.node_address) break;  // the kernel's own on-link route
        kernel.ifindex = route.uplink;
        kernel.gateway = route.next_hop;
        out.kernel_routes.emplace(prefix, kernel);
        break;
      case Via::Overlay: {
        const Family outer = route.vtep->family();
        kernel.tunnel = outer;
        const Ip next_hop = next_hop_of(node, mac, prefix, route.node_address);
        out.forwarding.insert_or_assign({outer, mac}, *route.vtep);
        out.tunnel_neighbours.insert_or_assign({outer, next_hop}, mac);
        if (route.node_address) {
          // Only what Pods send to a node is wrapped, so that the answer finds the Pod's address behind the tunnel;
          // from node to node goes the outer packet itself.
          kernel.source.reset();
          if (next_hop != prefix.address()) kernel.gateway = next_hop;
          out.pod_routes.emplace(prefix, kernel);
        } else {
          kernel.gateway = next_hop;
          out.kernel_routes.emplace(prefix, kernel);
        }
        break;
      }
      case Via::ThisNode:
      case Via::LocalPods:
      case Via::Cluster: break;
    }
  }
  stay_unmasqueraded(out, model, options);
}

Mac tunnel_mac(std::string_view node) {
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const char c : node) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  // Names of nodes differ in their last bytes, which FNV hardly spreads (the end of MurmurHash3 does). 46 bits are
  // left: among 5000 nodes two are alike once in five million clusters.
  hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccd;
  hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53;
  hash ^= hash >> 33;
  Mac mac;
  for (size_t i = 0; i < 6; ++i) mac.bytes[i] = static_cast<uint8_t>(hash >> (8 * (5 - i)));
  mac.bytes[0] = static_cast<uint8_t>((mac.bytes[0] & 0xfc) | 0x02);  // locally administered, unicast
  return mac;
}

}  // namespace causeway::fabric
