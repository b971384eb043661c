// What the node's namespace must allow so that Pods are routed. All of it is kept per network namespace.
#pragma once

#include <string>
#include <vector>

#include "base/ip.h"
#include "base/result.h"

namespace causeway::fabric {

struct Families {
  bool v4 = false, v6 = false;
};
Families families_of(const std::vector<Cidr>& cidrs);
// Writes only what differs. An error names the sysctl. Works in the calling thread's network namespace.
Status set_sysctls(const std::string& uplink, Families pods);

// net.ipv4.ip_local_port_range: the ports of the node's own connections.
struct PortRange {
  uint16_t first = 32768, last = 60999;
};
Result<PortRange> ephemeral_ports();

}  // namespace causeway::fabric
