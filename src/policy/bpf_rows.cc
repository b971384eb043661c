#include "policy/bpf_rows.h"

#include <arpa/inet.h>

#include "datapath/rows.h"

namespace causeway::policy {

namespace {

template <class Each>
void each_row(const Table<VerdictKey, Verdict>& verdicts, SetId set, Each each) {
  for (auto row = verdicts.rows().lower_bound({set, ClassId::None, 0});
       row != verdicts.rows().end() && row->first.set == set; ++row)
    each(row->first, row->second);
}

abi::policy_verdict_value encode(const Decision& decision) {
  return {.action = decision.allowed ? abi::POLICY_ALLOW : abi::POLICY_DENY,
          .rule = static_cast<uint32_t>(decision.rule)};
}

}  // namespace

std::vector<std::pair<abi::policy_port_key, uint32_t>> port_rows(uint32_t bank, PortsId id, const PortRanges& ranges) {
  std::vector<std::pair<abi::policy_port_key, uint32_t>> rows;
  for (const PortRange& range : ranges)
    for (uint32_t first = range.first; first <= range.last;) {
      uint32_t bits = 16;  // of the largest prefix that begins here and ends within the range
      while (bits > 0 && first % (1u << (17 - bits)) == 0 && first + (1u << (17 - bits)) - 1 <= range.last) --bits;
      rows.push_back({{.prefixlen = abi::POLICY_PORT_BITS + bits,
                       .bank = bank,
                       .ports = static_cast<uint32_t>(id),
                       .proto = static_cast<uint8_t>(range.protocol),
                       .port = htons(static_cast<uint16_t>(first))},
                      range.atom});
      first += 1u << (16 - bits);
    }
  return rows;
}

abi::policy_address_key address_key(uint32_t bank, const Ip& ip) {
  return {.bank = bank, .net = abi::NET_THIS_CLUSTER, .addr = datapath::to_abi(ip)};
}

abi::policy_address_key dns_key(uint32_t bank, const Ip& ip) {
  return {.bank = bank, .net = abi::POLICY_NET_DNS, .addr = datapath::to_abi(ip)};
}

abi::policy_block_key block_key(uint32_t bank, const Cidr& prefix) {
  const int bits = prefix.prefix() + (prefix.family() == Family::V4 ? 96 : 0);
  return {.prefixlen = static_cast<uint32_t>(abi::POLICY_BLOCK_BITS + bits),
          .bank = bank,
          .net = abi::NET_THIS_CLUSTER,
          .addr = datapath::to_abi(prefix.address())};
}

bool has_tiers(const Table<VerdictKey, Verdict>& verdicts, SetId set) {
  bool found = false;
  each_row(verdicts, set, [&](const VerdictKey&, const Verdict& verdict) {
    for (Tier tier : {Tier::Admin, Tier::Baseline}) found |= verdict.tiers[static_cast<size_t>(tier)].there();
  });
  return found;
}

abi::policy_verdict_value encode(const Verdict& verdict, SetId set) { return encode(decide(verdict, set)); }

SetRows set_rows(const Table<VerdictKey, Verdict>& verdicts, SetId set) {
  SetRows out{.otherwise = encode(Decision{}), .rows = {}};
  std::map<VerdictKey, Decision> decisions;
  if (has_tiers(verdicts, set)) {
    Tables only;
    each_row(verdicts, set,
             [&](const VerdictKey& key, const Verdict& verdict) { only.verdicts.emplace(key, verdict); });
    decisions = flatten(only, set);
  } else {
    each_row(verdicts, set,
             [&](const VerdictKey& key, const Verdict& verdict) { decisions.emplace(key, decide(verdict, set)); });
  }
  for (const auto& [key, decision] : decisions)
    if (key.peer == ClassId::None && key.port == 0)
      out.otherwise = encode(decision);
    else
      out.rows.emplace(std::pair(key.peer, key.port), encode(decision));
  return out;
}

}  // namespace causeway::policy
