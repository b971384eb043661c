#include "datapath/policy_tables.h"

#include "datapath/open_map.h"

namespace causeway::datapath {

Result<PolicyMaps> PolicyMaps::open(const std::string& folder) {
  return PolicyMaps{
      .addresses = TRY((open_map<abi::policy_address_key, uint32_t>(folder, "policy_addresses"))),
      .blocks = TRY((open_map<abi::policy_block_key, uint32_t>(folder, "policy_blocks"))),
      .ports = TRY((open_map<abi::policy_port_key, uint32_t>(folder, "policy_ports"))),
      .sets = TRY((open_map<abi::policy_set_key, abi::policy_set_value>(folder, "policy_sets"))),
      .verdicts = TRY((open_map<abi::policy_verdict_key, abi::policy_verdict_value>(folder, "policy_verdicts"))),
      .epoch = TRY((open_map<uint32_t, uint32_t>(folder, "policy_epoch"))),
  };
}

Result<size_t> sweep_flows(FlowMap& map, uint32_t now) {
  size_t removed = 0;
  Status status;
  TRY(map.each([&](const abi::ct_key& key, const abi::policy_flow& row) {
    if (!status || row.expires > now) return;
    status = map.remove(key);
    if (status) ++removed;
  }));
  TRY(std::move(status));
  return removed;
}

}  // namespace causeway::datapath
