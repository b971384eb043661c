#include "fabric/encode.h"

#include <algorithm>

#include "datapath/rows.h"

namespace causeway::fabric {

namespace {

abi::ip_addr addr(const std::optional<Ip>& ip) { return ip ? datapath::to_abi(*ip) : abi::ip_addr{}; }

uint8_t kind(Via via) {
  switch (via) {
    case Via::Overlay: return abi::ROUTE_OVERLAY;
    case Via::Native: return abi::ROUTE_NATIVE;
    case Via::ThisNode: return abi::ROUTE_THIS_NODE;
    case Via::LocalPods: return abi::ROUTE_LOCAL_PODS;
    case Via::Cluster: return abi::ROUTE_CLUSTER;
  }
  return 0;
}

}  // namespace

abi::route_value encode(const Route& route, uint32_t vni) {
  return {.kind = kind(route.via),
          .flags = static_cast<uint8_t>(route.node_address ? abi::ROUTE_F_NODE : 0),
          .mtu = static_cast<uint16_t>(std::min<uint32_t>(route.mtu, UINT16_MAX)),
          .ifindex = static_cast<uint32_t>(route.uplink),
          .next_hop = addr(route.next_hop),
          .vtep = addr(route.vtep),
          .source = addr(route.source),
          .vni = route.via == Via::Overlay ? vni : 0};
}

abi::pod_value encode(const PodRow& row) {
  abi::pod_value value{.ifindex = static_cast<uint32_t>(row.ifindex)};
  std::ranges::copy(row.mac.bytes, value.mac);
  std::ranges::copy(row.host_mac.bytes, value.host_mac);
  if (row.by_host_side) value.flags |= abi::POD_F_BY_HOST_SIDE;
  return value;
}

abi::uplink_value encode(const UplinkRow& row) { return {.addr4 = addr(row.v4), .addr6 = addr(row.v6)}; }

netlink::Route encode(const Cidr& destination, const KernelRoute& route, IfIndex tunnel) {
  if (route.unreachable) return {.destination = destination, .type = netlink::RouteType::Unreachable};
  return {.destination = destination,
          .gateway = route.gateway,
          .link = route.tunnel ? tunnel : route.ifindex,
          .onlink = route.gateway.has_value(),
          .mtu = route.mtu,
          // For what it forwards, IPv6 asks the device, not the route, unless the route insists.
          .mtu_locked = route.tunnel && destination.family() == Family::V6,
          .source = route.source};
}

KernelRoute decode(const netlink::Route& route) {
  return {.ifindex = route.link, .gateway = route.gateway, .mtu = route.mtu, .source = route.source};
}

}  // namespace causeway::fabric
