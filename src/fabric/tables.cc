#include "fabric/tables.h"

namespace causeway::fabric {

namespace {

template <class T>
void field(std::string& line, std::string_view name, const std::optional<T>& value) {
  if (value) line += fmt::format(" {} {}", name, *value);
}
void field(std::string& line, std::string_view name, uint32_t value) {
  if (value != 0) line += fmt::format(" {} {}", name, value);
}
void field(std::string& line, std::string_view name, IfIndex value) { field(line, name, static_cast<uint32_t>(value)); }

std::string text(const Cidr& to, const Route& route) {
  std::string line = fmt::format("route {} {}", to, route.via);
  if (!route.node.empty()) line += fmt::format("{} {}", route.node_address ? " node" : " pods-of", route.node);
  field(line, "dev", route.uplink);
  field(line, "via", route.next_hop);
  field(line, "vtep", route.vtep);
  field(line, "from", route.source);
  field(line, "mtu", route.mtu);
  return line;
}

std::string text(std::string_view table, const Cidr& to, const KernelRoute& route) {
  std::string line = fmt::format("{} {}", table, to);
  if (route.unreachable) return line + " unreachable";
  line += " dev " + (route.tunnel ? tunnel_device(*route.tunnel) : to_string(route.ifindex));
  field(line, "via", route.gateway);
  field(line, "src", route.source);
  field(line, "mtu", route.mtu);
  return line;
}

}  // namespace

std::string to_string(const Key& key) {
  if (const auto* node = std::get_if<std::string>(&key)) return "node " + *node;
  if (const auto* attachment = std::get_if<cluster::AttachmentKey>(&key)) return "attachment " + to_string(*attachment);
  if (const auto* ip = std::get_if<Ip>(&key)) return "address " + to_string(*ip);
  return "self";
}

std::string_view to_string(Via via) {
  switch (via) {
    case Via::Overlay: return "overlay";
    case Via::Native: return "native";
    case Via::ThisNode: return "this-node";
    case Via::LocalPods: return "local-pods";
    case Via::Cluster: return "cluster";
  }
  return "?";
}

std::string_view to_string(Hooks hooks) {
  switch (hooks) {
    case Hooks::Pod: return "pod";
    case Hooks::Uplink: return "uplink";
  }
  return "?";
}

std::string tunnel_device(Family outer) { return outer == Family::V4 ? "causeway.vxlan4" : "causeway.vxlan6"; }

std::string render(const Tables& tables) {
  std::string out;
  for (const auto& [ifindex, hooks] : tables.hooks) out += fmt::format("hooks dev {} {}\n", ifindex, hooks);
  for (const auto& [ifindex, row] : tables.uplinks) {
    std::string line = fmt::format("uplink {}", ifindex);
    field(line, "v4", row.v4);
    field(line, "v6", row.v6);
    out += line + "\n";
  }
  for (const auto& [to, route] : tables.routes) out += text(to, route) + "\n";
  for (const auto& [ip, node] : tables.peers) out += fmt::format("peer {} node {}\n", ip, node);
  for (const auto& [ip, row] : tables.pods)
    out += fmt::format("pod {} {} dev {} mac {} host-mac {}{}\n", ip, row.pod, row.ifindex, row.mac, row.host_mac,
                       row.by_host_side ? " by-host-side" : "");
  for (const auto& [to, route] : tables.kernel_routes) out += text("kernel-route", to, route) + "\n";
  for (const auto& [to, route] : tables.pod_routes) out += text("pod-route", to, route) + "\n";
  for (const auto& [from, present] : tables.rules) out += fmt::format("rule from {}: pod-routes\n", from);
  for (const auto& [key, mac] : tables.neighbours)
    out += fmt::format("neighbour {} dev {} lladdr {}\n", key.ip, key.ifindex, mac);
  for (const auto& [outer, row] : tables.tunnels) {
    out += fmt::format("tunnel {} from {} port {} vni {} mac {} mtu {}", tunnel_device(outer), row.source, row.port,
                       row.vni, row.mac, row.mtu);
    for (const Ip& ip : row.addresses) out += fmt::format(" address {}", ip);
    out += "\n";
  }
  for (const auto& [key, mac] : tables.tunnel_neighbours)
    out += fmt::format("neighbour {} dev {} lladdr {}\n", key.ip, tunnel_device(key.outer), mac);
  for (const auto& [key, vtep] : tables.forwarding)
    out += fmt::format("forwarding {} dev {} dst {}\n", key.mac, tunnel_device(key.outer), vtep);
  for (const auto& [from, present] : tables.masquerade_from) out += fmt::format("masquerade from {}\n", from);
  for (const auto& [to, present] : tables.masquerade_except_to) out += fmt::format("masquerade except to {}\n", to);
  for (const auto& [object, reason] : tables.refused) out += fmt::format("refused {}: {}\n", object, reason);
  return out;
}

}  // namespace causeway::fabric
