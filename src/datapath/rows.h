// Between our values and the rows of the maps (bpf/abi): conversions and the text that `observe` and tests print. Pure.
#pragma once

#include <string>

#include "abi/ct.h"
#include "abi/fabric.h"
#include "abi/observe.h"
#include "abi/pod.h"
#include "base/ip.h"

namespace causeway::datapath {

abi::ip_addr to_abi(const Ip& ip);
// The all-zero ip_addr ("none") comes back as ::.
Ip from_abi(const abi::ip_addr& addr);
inline bool is_none(const abi::ip_addr& addr) { return addr == abi::ip_addr{}; }

abi::route_key route_key(const Cidr& prefix, uint32_t net = abi::NET_THIS_CLUSTER);
Cidr prefix_of(const abi::route_key& key);
abi::pod_key pod_key(const Ip& ip, uint32_t net = abi::NET_THIS_CLUSTER);
inline abi::peer_key peer_key(const Ip& ip) { return {.addr = to_abi(ip)}; }

// One line, without the newline: "10.244.1.0/24 -> overlay 192.0.2.2 from 192.0.2.1 dev 3 mtu 1450 vni 1".
std::string render(const abi::route_key& key, const abi::route_value& value);
std::string render(const abi::pod_key& key, const abi::pod_value& value);
std::string render(const abi::peer_key& key, const abi::peer_value& value);
std::string render(uint32_t ifindex, const abi::uplink_value& value);
// `now`: seconds of CLOCK_MONOTONIC.
std::string render(const abi::ct_key& key, const abi::ct_value& value, uint32_t now);

// "DROP_SPOOFED_IP" -> "dropped: source address is not the Pod's".
std::string_view counter_text(abi::counter_reason reason);
std::string_view counter_name(abi::counter_reason reason);

}  // namespace causeway::datapath
