// Addresses out of ranges, as the CNI project's host-local gives them. Pure.
#pragma once

#include <functional>

#include "pod/extra/extra.h"

namespace causeway::pod {

struct Range {
  Cidr subnet;
  std::optional<Ip> start, end;  // absent: the first and the last address for hosts
  std::optional<Ip> gateway;     // absent: the first for hosts; never given out
};

// The first that nobody has, of the first range that has one. Asks one by one: few of a range may be taken.
Result<ExtraAddress> choose(const std::vector<Range>& ranges, const std::function<bool(const Ip&)>& is_taken);

// "192.0.2.7/24": an address with the prefix of its network.
Result<ExtraAddress> parse_interface_address(std::string_view text);

// Locally administered, made of the address: who has it later has the same, and no neighbour has a stale entry.
Mac extra_mac(const Ip& ip);

}  // namespace causeway::pod
