// The tables of policies as rows of the bpf plane's maps (bpf/abi/policy.h). Pure.
#pragma once

#include <utility>
#include <vector>

#include "abi/policy.h"
#include "policy/compile.h"

namespace causeway::policy {

// A range of ports is at most 30 prefixes.
std::vector<std::pair<abi::policy_port_key, uint32_t>> port_rows(uint32_t bank, PortsId id, const PortRanges& ranges);
abi::policy_address_key address_key(uint32_t bank, const Ip& ip);
abi::policy_address_key dns_key(uint32_t bank, const Ip& ip);
abi::policy_block_key block_key(uint32_t bank, const Cidr& prefix);

// A set's rows such that the first that is there decides.
struct SetRows {
  abi::policy_verdict_value otherwise{};
  std::map<std::pair<ClassId, PortAtom>, abi::policy_verdict_value> rows;  // without (None, 0), which is `otherwise`
};
// Rows of a set that has other tiers than NetworkPolicies' depend on each other: they change together.
bool has_tiers(const Table<VerdictKey, Verdict>& verdicts, SetId set);
SetRows set_rows(const Table<VerdictKey, Verdict>& verdicts, SetId set);
// One row of a set without such tiers.
abi::policy_verdict_value encode(const Verdict& verdict, SetId set);

}  // namespace causeway::policy
