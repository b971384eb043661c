// The maps of policies, opened by their pins.
#pragma once

#include <string>

#include "datapath/datapath.h"
#include "kernel/bpf/map.h"

namespace causeway::datapath {

struct PolicyMaps {
  bpf::Map<abi::policy_address_key, uint32_t> addresses;
  bpf::Map<abi::policy_block_key, uint32_t> blocks;
  bpf::Map<abi::policy_port_key, uint32_t> ports;
  bpf::Map<abi::policy_set_key, abi::policy_set_value> sets;
  bpf::Map<abi::policy_verdict_key, abi::policy_verdict_value> verdicts;
  bpf::Map<uint32_t, uint32_t> epoch;

  static Result<PolicyMaps> open(const std::string& map_folder);
};

using FlowMap = bpf::Map<abi::ct_key, abi::policy_flow>;
// Removes rows that have expired; how many.
Result<size_t> sweep_flows(FlowMap& map, uint32_t now);

}  // namespace causeway::datapath
