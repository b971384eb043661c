// Which MTU a Pod's interface is to have. Pure.
//
//   causeway.io/mtu: "1400"     a smaller one than Pods of the node have
#pragma once

#include "cluster/model/objects.h"
#include "pod/cni_error.h"

namespace causeway::pod {

inline constexpr std::string_view kPodMtu = "causeway.io/mtu";
inline constexpr uint32_t kMinMtu = 576;     // RFC 791: every IPv4 host takes this much
inline constexpr uint32_t kMinMtuV6 = 1280;  // RFC 8200 section 5: IPv6 is off on a link below it

// What a node's Pods have, bytes.
struct NodeMtu {
  uint32_t own = 0;     // of its network configuration, else the fabric's
  uint32_t fabric = 0;  // more than this reaches no other node in one piece
};

// InvalidConfig: what is no number, more than the node's Pods have or the fabric carries, or less than a family needs.
CniResult<uint32_t> mtu_wish(const cluster::Labels& annotations, const NodeMtu& node, bool has_v6);

}  // namespace causeway::pod
