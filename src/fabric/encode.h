// From rows with names to those of the kernel. Pure.
#pragma once

#include "abi/fabric.h"
#include "abi/pod.h"
#include "fabric/tables.h"
#include "kernel/netlink/messages.h"

namespace causeway::fabric {

abi::route_value encode(const Route& route, uint32_t vni);
abi::pod_value encode(const PodRow& row);
abi::uplink_value encode(const UplinkRow& row);
// `tunnel`: index of the device of route.tunnel.
netlink::Route encode(const Cidr& destination, const KernelRoute& route, IfIndex tunnel = {});
// What the kernel has for a route of ours, in our words.
KernelRoute decode(const netlink::Route& route);

}  // namespace causeway::fabric
