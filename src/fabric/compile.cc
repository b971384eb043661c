#include "fabric/compile.h"

#include <algorithm>

#include "fabric/compile_netfilter.h"

namespace causeway::fabric {

using cluster::Model;
using cluster::Node;
using cluster::NodeFacts;

namespace {

constexpr uint32_t kIpv6MinimumMtu = 1280;  // RFC 8200 section 5

uint32_t overhead(Family outer) { return vxlan_overhead(outer); }

bool has_own(const NodeFacts& facts, const Ip& ip) {
  return std::ranges::any_of(facts.uplink.addresses, [&](const auto& address) { return address.ip == ip; }) ||
         std::ranges::find(facts.addresses, ip) != facts.addresses.end();
}

// The order in which we try families for the outer packet: that of our own Node's addresses.
std::vector<Family> outer_families(const NodeFacts& facts, const Node* self) {
  std::vector<Family> families;
  auto add = [&](Family family) {
    if (std::ranges::find(families, family) == families.end() && own_address(facts, self, family))
      families.push_back(family);
  };
  if (self)
    for (const Ip& ip : self->addresses) add(ip.family());
  add(Family::V4);
  add(Family::V6);
  return families;
}

// The families in which this cluster has Pods: the cluster's ranges, else our own Node's.
std::set<Family> pod_families(const Model& model, const Options& options) {
  std::set<Family> families;
  for (const Cidr& cidr : options.cluster_cidrs) families.insert(cidr.family());
  if (families.empty() && model.self())
    for (const Cidr& cidr : model.self()->pod_cidrs) families.insert(cidr.family());
  return families;
}

struct Tunnel {
  Ip vtep, source;
  uint32_t mtu;
};
std::optional<Tunnel> tunnel_to(const Node& node, const Model& model) {
  const NodeFacts& facts = model.facts();
  for (Family family : outer_families(facts, model.self())) {
    const auto vtep = node.address(family);
    const auto source = own_address(facts, model.self(), family);
    if (vtep && source && facts.uplink.mtu > overhead(family))
      return Tunnel{*vtep, *source, facts.uplink.mtu - overhead(family)};
  }
  return std::nullopt;
}

// The node's address of the family, where it is on our link: a next hop.
std::optional<Ip> neighbour_of(const Node& node, const NodeFacts& facts, Family family) {
  for (const Ip& ip : node.addresses)
    if (ip.family() == family && facts.shares_link(ip)) return ip;
  return std::nullopt;
}

// How to reach a prefix of another node (its Pods, or one of its own addresses); an error says why not.
Result<Route> route_to(const Node& node, const Cidr& prefix, bool node_address, const Model& model,
                       const Options& options) {
  const NodeFacts& facts = model.facts();
  const Family family = prefix.family();
  Route route{.node_address = node_address, .node = node.name, .uplink = facts.uplink.ifindex};
  const auto next_hop = node_address
                            ? (facts.shares_link(prefix.address()) ? std::optional(prefix.address()) : std::nullopt)
                            : neighbour_of(node, facts, family);
  if (options.mode != Mode::Vxlan && next_hop) {
    route.via = Via::Native;
    route.next_hop = next_hop;
    route.mtu = facts.uplink.mtu;
    return route;
  }
  if (options.mode == Mode::HostGw)
    return fail(Errc::Unsupported,
                "no {} address of it is on a subnet of {} ({}), and --fabric host-gw needs all nodes on one link; use "
                "auto or vxlan",
                family == Family::V4 ? "IPv4" : "IPv6", facts.uplink.name, facts.name);
  const auto tunnel = tunnel_to(node, model);
  if (!tunnel)
    return fail(Errc::Unsupported, "it has no address of a family that {} has on {}: no tunnel can reach it",
                facts.name, facts.uplink.name);
  if (family == Family::V6 && tunnel->mtu < kIpv6MinimumMtu)
    return fail(Errc::Unsupported, "{} has MTU {}: IPv6 in VXLAN needs {}", facts.uplink.name, facts.uplink.mtu,
                kIpv6MinimumMtu + overhead(tunnel->vtep.family()));
  route.via = Via::Overlay;
  route.vtep = tunnel->vtep;
  // Saves the programs the kernel's route lookup; behind a router the kernel's routes say who that is.
  if (facts.shares_link(tunnel->vtep)) route.next_hop = tunnel->vtep;
  route.source = tunnel->source;
  route.mtu = tunnel->mtu;
  return route;
}

KernelRoute through_fabric(const Cidr& prefix, const Model& model, uint32_t mtu) {
  const NodeFacts& facts = model.facts();
  return {.ifindex = facts.uplink.ifindex,
          .gateway = fabric_gateway(prefix.family()).first,
          .mtu = mtu,
          .source = own_address(facts, model.self(), prefix.family())};
}

// The kernel's part on the bpf plane: all of it leads to the uplink, where the program takes it.
void lead_to_programs(Tables& out, const Model& model, const Options& options) {
  const NodeFacts& facts = model.facts();
  out.hooks[facts.uplink.ifindex] = Hooks::Uplink;
  for (Family family : pod_families(model, options)) {
    const auto [gateway, mac] = fabric_gateway(family);
    out.neighbours[{facts.uplink.ifindex, gateway}] = mac;
  }
  for (const auto& [prefix, route] : out.routes)
    if (route.via == Via::LocalPods) out.kernel_routes.emplace(prefix, through_fabric(prefix, model, 0));
}

Tables compile_self(const Model& model, const Options& options) {
  Tables out;
  const NodeFacts& facts = model.facts();
  if (facts.uplink.ifindex == IfIndex{}) return out;
  const Node* self = model.self();
  out.uplinks[facts.uplink.ifindex] = {own_address(facts, self, Family::V4), own_address(facts, self, Family::V6)};

  // The more specific owner of a prefix goes first; emplace leaves it.
  const Route here{.via = Via::ThisNode, .node_address = true, .node = facts.name};
  for (const Ip& ip : facts.addresses) out.routes.emplace(host_cidr(ip), here);
  for (const auto& address : facts.uplink.addresses) out.routes.emplace(host_cidr(address.ip), here);
  if (self) {
    if (std::string why = refusal(*self, model); !why.empty()) {
      out.refused["node " + self->name] = why;
    } else {
      for (const Cidr& cidr : self->pod_cidrs)
        out.routes.emplace(cidr, Route{.via = Via::LocalPods, .node = self->name});
    }
  }
  auto cluster = [&](const Cidr& cidr) {
    for (const std::string& name : model.nodes_overlapping(cidr))
      if (std::ranges::find(model.node(name)->pod_cidrs, cidr) != model.node(name)->pod_cidrs.end()) return;
    if (cidr.prefix() == cidr.address().bits() && !model.nodes_at(cidr.address()).empty()) return;
    out.routes.emplace(cidr, Route{.via = Via::Cluster});
  };
  for (const Cidr& cidr : options.cluster_cidrs) cluster(cidr);
  for (const Cidr& cidr : options.non_masquerade_cidrs) cluster(cidr);
  if (options.plane == Plane::Netfilter)
    lead_by_kernel(out, model, options);
  else
    lead_to_programs(out, model, options);
  return out;
}

Tables compile_node(const std::string& name, const Model& model, const Options& options) {
  Tables out;
  const Node* node = model.node(name);
  const NodeFacts& facts = model.facts();
  if (!node || name == facts.name || facts.uplink.ifindex == IfIndex{}) return out;
  auto refuse = [&](std::string why) {
    out = {};
    out.refused["node " + name] = std::move(why);
    return out;
  };
  if (std::string why = refusal(*node, model); !why.empty()) return refuse(std::move(why));

  const std::set<Family> families = pod_families(model, options);
  for (const Cidr& cidr : node->pod_cidrs) {
    if (!families.contains(cidr.family())) continue;
    auto route = route_to(*node, cidr, false, model, options);
    if (!route) return refuse(route.error().message());
    if (options.plane == Plane::Bpf) {
      KernelRoute kernel = through_fabric(cidr, model, route->mtu);
      if (route->via == Via::Native) kernel.gateway = route->next_hop;
      out.kernel_routes.emplace(cidr, kernel);
    }
    out.routes.emplace(cidr, std::move(*route));
  }
  for (const Ip& ip : node->addresses) {
    auto route = route_to(*node, host_cidr(ip), true, model, options);
    if (!route) return refuse(route.error().message());
    out.routes.emplace(host_cidr(ip), std::move(*route));
    if (options.mode != Mode::HostGw) out.peers.emplace(ip, name);
  }
  if (options.plane == Plane::Netfilter) lead_by_kernel(out, *node, model, options);
  return out;
}

// Whether somebody else than this node has the address now.
bool is_elsewhere(const cluster::Reservation* reserved, const Model& model) {
  return reserved && !reserved->node.empty() && reserved->node != model.facts().name && model.node(reserved->node);
}

bool covers(const Node& node, const Ip& ip) {
  return std::ranges::any_of(node.pod_cidrs, [&](const Cidr& cidr) { return cidr.contains(ip); });
}

// Of this node's own ranges: given out by their rules, whatever others say of themselves.
bool is_of_range(const Ip& ip, const Model& model) { return model.self() && covers(*model.self(), ip); }

// A reserved address that lies outside of its node's own ranges: a route of its own on every node. Longest prefix wins,
// on the owner of the range too.
Tables compile_reservation(const Ip& ip, const Model& model, const Options& options) {
  Tables out;
  const cluster::Reservation* reserved = model.reservation(ip);
  const NodeFacts& facts = model.facts();
  if (!reserved || reserved->node.empty() || facts.uplink.ifindex == IfIndex{}) return out;
  const Node* node = model.node(reserved->node);
  if (!node || covers(*node, ip) || !refusal(*node, model).empty()) return out;
  const Cidr prefix = host_cidr(ip);
  // What leads to a node, to the API server or to Services stays theirs.
  if (const std::string why = cluster::why_no_pods_address(ip, model, options.fixed); !why.empty()) {
    out.refused[to_string(Key(ip))] = why + ": no Pod can have it";
    return out;
  }
  if (node->name == facts.name) {
    out.routes.emplace(prefix, Route{.via = Via::LocalPods, .node = node->name});
    const bool has_pod = !model.attachments_at(ip).empty();  // which then has a route of its own
    if (options.plane == Plane::Netfilter)
      lead_reserved_by_kernel(out, prefix, !has_pod, model, options);
    else if (!has_pod)
      out.kernel_routes.emplace(prefix, through_fabric(prefix, model, 0));
    return out;
  }
  auto route = route_to(*node, prefix, false, model, options);
  if (!route) {
    out.refused[to_string(Key(ip))] = route.error().message();
    return out;
  }
  if (options.plane == Plane::Bpf) {
    KernelRoute kernel = through_fabric(prefix, model, route->mtu);
    if (route->via == Via::Native) kernel.gateway = route->next_hop;
    out.kernel_routes.emplace(prefix, kernel);
  }
  out.routes.emplace(prefix, std::move(*route));
  if (options.plane == Plane::Netfilter) {
    lead_by_kernel(out, *node, model, options);
    // Who the next hop is, the Node's own rows say: a row has one owner.
    const Tables of_node = compile_node(node->name, model, options);
    std::erase_if(out.tunnel_neighbours,
                  [&](const auto& row) { return of_node.tunnel_neighbours.contains(row.first); });
    std::erase_if(out.forwarding, [&](const auto& row) { return of_node.forwarding.contains(row.first); });
  }
  return out;
}

Tables compile_attachment(const cluster::AttachmentKey& key, const Model& model, const Options& options) {
  Tables out;
  const cluster::Attachment* attachment = model.attachment(key);
  if (!attachment || attachment->foreign || model.facts().uplink.ifindex == IfIndex{}) return out;
  const std::string object = to_string(Key(key));
  for (const Ip& ip : attachment->addresses) {
    for (const auto& other : model.attachments_at(ip))
      if (other < key) {
        out.refused[object] = fmt::format("its address {} belongs to attachment {}", ip, other);
        return out;
      }
    // A Pod that was replaced elsewhere while this node was cut off: the address is where its successor is.
    if (const auto* reserved = model.reservation(ip); is_elsewhere(reserved, model)) {
      out.refused[object] =
          fmt::format("its address {} is that of Pod {} on node {} now", ip, reserved->pod, reserved->node);
      return out;
    }
    // One that was given by name before this was refused, or before that node came.
    if (!is_of_range(ip, model))
      if (const std::string why = cluster::why_no_pods_address(ip, model, options.fixed); !why.empty()) {
        out.refused[object] = fmt::format("its address {} cannot be a Pod's: {}", ip, why);
        return out;
      }
  }
  if (options.plane == Plane::Bpf) out.hooks[attachment->host_ifindex] = Hooks::Pod;
  for (const Ip& ip : attachment->addresses) {
    out.pods.emplace(ip, PodRow{.pod = attachment->pod,
                                .ifindex = attachment->host_ifindex,
                                .device = attachment->host_ifname,
                                .mac = attachment->pod_mac,
                                .host_mac = attachment->host_mac,
                                .by_host_side = attachment->by_host_side});
    out.kernel_routes.emplace(host_cidr(ip),
                              KernelRoute{.ifindex = attachment->host_ifindex,
                                          .source = own_address(model.facts(), model.self(), ip.family())});
  }
  return out;
}

void insert_all(Tables& into, Tables&& from) {
  into.routes.merge(from.routes);
  into.peers.merge(from.peers);
  into.pods.merge(from.pods);
  into.uplinks.merge(from.uplinks);
  into.kernel_routes.merge(from.kernel_routes);
  into.neighbours.merge(from.neighbours);
  into.hooks.merge(from.hooks);
  into.tunnels.merge(from.tunnels);
  into.tunnel_neighbours.merge(from.tunnel_neighbours);
  into.forwarding.merge(from.forwarding);
  into.pod_routes.merge(from.pod_routes);
  into.rules.merge(from.rules);
  into.masquerade_from.merge(from.masquerade_from);
  into.masquerade_except_to.merge(from.masquerade_except_to);
  into.refused.merge(from.refused);
}

}  // namespace

std::string refusal(const Node& node, const Model& model) {
  if (!node.problem.empty()) return node.problem;
  for (const Cidr& cidr : node.pod_cidrs) {
    if (cidr.prefix() == cidr.address().bits()) return fmt::format("Pod CIDR {} is one address: no Pods fit", cidr);
    for (const std::string& other : model.nodes_overlapping(cidr))
      if (other != node.name && older(*model.node(other), node))
        return fmt::format("Pod CIDR {} overlaps that of node {}, which is older", cidr, other);
    for (const std::string& other : model.nodes_in(cidr))
      return fmt::format("Pod CIDR {} holds an address of node {}: packets to it could not leave", cidr, other);
    for (const auto& address : model.facts().uplink.addresses)
      if (address.ip.family() == cidr.family() && address.subnet().overlaps(cidr))
        return fmt::format("Pod CIDR {} overlaps subnet {} of {} on node {}", cidr, address.subnet(),
                           model.facts().uplink.name, model.facts().name);
  }
  for (size_t i = 0; i < node.pod_cidrs.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      if (node.pod_cidrs[i].family() == node.pod_cidrs[j].family())
        return fmt::format("Pod CIDRs {} and {} are of one family: at most one for each", node.pod_cidrs[j],
                           node.pod_cidrs[i]);
  for (const Ip& ip : node.addresses) {
    for (const std::string& other : model.nodes_at(ip))
      if (other != node.name && older(*model.node(other), node))
        return fmt::format("address {} is that of node {}, which is older", ip, other);
    if (node.name != model.facts().name && has_own(model.facts(), ip))
      return fmt::format("address {} is one of this node, {}", ip, model.facts().name);
  }
  return "";
}

Tables compile_one(const Key& key, const Model& model, const Options& options) {
  if (const auto* node = std::get_if<std::string>(&key)) return compile_node(*node, model, options);
  if (const auto* attachment = std::get_if<cluster::AttachmentKey>(&key))
    return compile_attachment(*attachment, model, options);
  if (const auto* ip = std::get_if<Ip>(&key)) return compile_reservation(*ip, model, options);
  return compile_self(model, options);
}

std::set<Key> all_keys(const Model& model) {
  std::set<Key> out{Key(SelfKey{})};
  for (const auto& [name, node] : model.nodes()) out.insert(Key(name));
  for (const auto& [key, attachment] : model.attachments()) out.insert(Key(key));
  for (const auto& [ip, reservation] : model.reservations()) out.insert(Key(ip));
  return out;
}

std::set<Key> keys(const cluster::ChangeSet& changes, const Model& model) {
  std::set<Key> out;
  // Every row depends on our own addresses.
  if (changes.facts || changes.nodes.contains(model.facts().name)) out = all_keys(model);
  if (!changes.nodes.empty()) out.insert(Key(SelfKey{}));

  auto touch_node = [&](const Node& node) {  // who may now be accepted, or refused, because of it
    for (const Cidr& cidr : node.pod_cidrs)
      for (const std::string& other : model.nodes_overlapping(cidr)) out.insert(Key(other));
    for (const Ip& ip : node.addresses) {
      for (const std::string& other : model.nodes_at(ip)) out.insert(Key(other));
      for (const std::string& other : model.nodes_overlapping(host_cidr(ip))) out.insert(Key(other));
    }
  };
  for (const auto& [name, before] : changes.nodes) {
    out.insert(Key(name));
    if (before) touch_node(*before);
    if (const Node* now = model.node(name)) touch_node(*now);
  }

  auto touch_attachment = [&](const cluster::Attachment& attachment) {
    for (const Ip& ip : attachment.addresses) {
      for (const auto& other : model.attachments_at(ip)) out.insert(Key(other));
      if (model.reservation(ip)) out.insert(Key(ip));
    }
  };
  for (const auto& [key, before] : changes.attachments) {
    out.insert(Key(key));
    if (before) touch_attachment(*before);
    if (const auto* now = model.attachment(key)) touch_attachment(*now);
  }

  // Few, and each depends on whose ranges and addresses are where.
  auto touch_reservation = [&](const Ip& ip) {
    out.insert(Key(ip));
    for (const auto& holder : model.attachments_at(ip)) out.insert(Key(holder));
  };
  for (const auto& [ip, before] : changes.reservations) touch_reservation(ip);
  if (changes.nodes.empty() && changes.service_cidrs.empty() && !changes.slices.contains(cluster::api_server_slice()))
    return out;
  for (const auto& [ip, reservation] : model.reservations()) touch_reservation(ip);
  for (const auto& [key, attachment] : model.attachments())
    for (const Ip& ip : attachment.addresses)
      if (!is_of_range(ip, model)) out.insert(Key(key));
  return out;
}

Tables compile(const Model& model, const Options& options) {
  Tables out;
  for (const Key& key : all_keys(model)) insert_all(out, compile_one(key, model, options));
  return out;
}

uint32_t pod_mtu(const NodeFacts& facts, const Node& self, const Options& options) {
  if (options.mode == Mode::HostGw) return facts.uplink.mtu;
  const auto families = outer_families(facts, &self);
  const uint32_t taken = overhead(families.empty() ? Family::V4 : families.front());
  return facts.uplink.mtu > taken ? facts.uplink.mtu - taken : facts.uplink.mtu;
}

std::pair<Ip, Mac> fabric_gateway(Family family) {
  // Link-local addresses that nothing else uses; a locally administered MAC.
  static constexpr Mac kMac{{0x0a, 0x58, 0xa9, 0xfe, 0xca, 0x01}};
  static constexpr std::array<uint8_t, 4> kV4{169, 254, 202, 1};
  static constexpr std::array<uint8_t, 16> kV6{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xca, 0x00, 0x20, 0x20};
  return {family == Family::V4 ? Ip::v4(kV4) : Ip::v6(kV6), kMac};
}

}  // namespace causeway::fabric
