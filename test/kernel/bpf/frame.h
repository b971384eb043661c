// Frames by hand, and frames as text.
#pragma once

#include <string>

#include "base/ip.h"

namespace causeway::test {

std::string be16(unsigned value);
std::string bytes(const Mac& mac);
std::string bytes(Ip ip);
// The Internet checksum (RFC 1071); 0 over data that holds a right one.
uint16_t checksum(const std::string& data);

std::string ethernet(const Mac& to, const Mac& from, unsigned type, const std::string& rest);
// A whole IP packet of either family; DF is set.
std::string packet(Ip from, Ip to, int protocol, int ttl, const std::string& payload);
std::string udp(unsigned from, unsigned to, const std::string& payload);

// "10.244.1.2 > 10.244.2.2 ttl 63 udp 9000 > 9000 4 bytes"; what is inside VXLAN or an ICMP error in brackets; "bad
// checksum" where an IPv4 header or ICMP message has one. Source ports of the tunnel are not told: they are a hash.
std::string describe(const std::string& frame);

}  // namespace causeway::test
