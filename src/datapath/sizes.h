// How many rows the maps have that are not of one size everywhere.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "abi/policy.h"
#include "abi/service.h"

namespace causeway::datapath {

struct Sizes {
  uint32_t conntrack = 32768;  // two rows for each flow
  // Of Services; what is pinned keeps its size where that is larger.
  uint32_t services = abi::SERVICES_FIRST;
  uint32_t slots = abi::SLOTS_FIRST;
  uint32_t backends = abi::BACKENDS_FIRST;
  uint32_t source_ranges = abi::SOURCE_RANGES_FIRST;
  // Of policies, likewise.
  uint32_t policy_addresses = abi::POLICY_ADDRESSES_FIRST;
  uint32_t policy_sets = abi::POLICY_SETS_FIRST;
  uint32_t policy_verdicts = abi::POLICY_VERDICTS_FIRST;
  uint32_t policy_flows = 16384;  // written by the programs
  // Written by the programs, least recently used ones go.
  uint32_t affinity = 8192;
  uint32_t socket_flows = 8192;
  auto operator<=>(const Sizes&) const = default;
};

// The other sizes of a node that keeps so many rows of conntrack: its memory and cores chose that number.
Sizes sizes_for(uint32_t conntrack);

// By the names of the maps.
std::vector<std::pair<const char*, uint32_t>> by_name(const Sizes& sizes);

}  // namespace causeway::datapath
