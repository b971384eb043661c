// Where the DNS processes of this node answer, as they tell the agent over the socket by which it tells them names, and
// what the node makes of that: which addresses of cluster DNS are its own. Pure.
#pragma once

#include <set>
#include <string_view>
#include <vector>

#include "base/ip.h"

namespace causeway::dns {

inline constexpr uint16_t kDnsPort = 53;

// Where NodeLocal DNSCache answers unless it was told otherwise, so that Pods which know it are answered here as well.
// For IPv6 its users choose an address of their own each: there is none that could be expected.
Ip link_local_address();

// The addresses of cluster DNS: those of its Service, one of a family at most, and the link-local one where IPv4 is
// among them. Errors: Invalid (none, two of a family, no unicast address).
Result<std::vector<Ip>> cluster_dns_addresses(const std::vector<Ip>& service);

// What a process tells, a line: "answers 0.0.0.0:53 [::]:53". While it has no answers (no names yet, going away):
// "answers".
std::string answers_line(const std::vector<Endpoint>& at);
// Without its end of line. Errors: Invalid.
Result<std::vector<Endpoint>> parse_answers(std::string_view line);

// Those of `addresses` at whose port 53 one is answered who asks there; 0.0.0.0 and :: are every address of a family.
std::set<Ip> answered(const std::vector<Ip>& addresses, const std::vector<Endpoint>& at);

}  // namespace causeway::dns
