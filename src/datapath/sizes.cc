#include "datapath/sizes.h"

#include <algorithm>

namespace causeway::datapath {

Sizes sizes_for(uint32_t conntrack) {
  // Fewer than 1,024: an LRU map forgets what is in use, as each CPU keeps some rows ready.
  const auto remembered = std::clamp<uint32_t>(conntrack / 4, 1024, abi::AFFINITY_MAX);
  return {.conntrack = conntrack, .policy_flows = conntrack / 2, .affinity = remembered, .socket_flows = remembered};
}

std::vector<std::pair<const char*, uint32_t>> by_name(const Sizes& sizes) {
  return {
      {"conntrack", sizes.conntrack},
      {"services", sizes.services},
      {"slots", sizes.slots},
      {"backends", sizes.backends},
      {"backend_connections", sizes.backends},
      {"source_ranges", sizes.source_ranges},
      {"affinity", sizes.affinity},
      {"socket_flows", sizes.socket_flows},
      {"policy_addresses", sizes.policy_addresses},
      {"policy_sets", sizes.policy_sets},
      {"policy_verdicts", sizes.policy_verdicts},
      {"policy_flows", sizes.policy_flows},
  };
}

}  // namespace causeway::datapath
