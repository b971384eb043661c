// Consistent hashing after "Maglev: A Fast and Reliable Software Network Load Balancer" (NSDI 2016, section 3.4): a
// table of a prime number of slots in which every backend has its share, and which changes little when one comes or
// goes. Pure: every node of the cluster makes the same table of the same endpoints.
#pragma once

#include <vector>

#include "base/ip.h"

namespace causeway::service {

struct Share {
  Endpoint at;           // what the permutation is made of: the same on every node
  uint32_t backend = 0;  // what the slots hold
  uint16_t weight = 1;   // 1-65535
};

// The prime for so many endpoints: some hundred slots for each, at most 65537. Few steps, far apart: where the size
// changes, everything moves.
uint32_t maglev_size(size_t endpoints);

// `size` slots; empty without shares. The order of the shares does not matter.
std::vector<uint32_t> maglev(std::vector<Share> shares, uint32_t size);

}  // namespace causeway::service
