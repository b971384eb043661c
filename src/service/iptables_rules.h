// What iptables and its IP sets shall hold for the tables of Services. Pure.
//
// Sets answer all that is asked of an address and port: is it served, refused, masqueraded, guarded by source ranges;
// so the number of such rules is constant. Rules remain where a packet must find its endpoint: a tree over the
// addresses (16 branches at each fork, one for each side), then one chain for each port and pool.
#pragma once

#include "kernel/ipset/ipset.h"
#include "kernel/xtables/xtables.h"
#include "service/tables.h"

namespace causeway::service {

// The bit of the packet mark, inside MARK_MASK, that says "this new flow gets an address of the node". Cleared when it
// has.
inline constexpr uint32_t kMasqueradeMark = 0x20000000;

enum class XtBackend : uint8_t {
  Iptables,  // every frontend is balanced by rules
  Ipvs,      // IPVS balances what it can (by_ipvs() below); rules do the rest, and all that is not balancing
};

using Chains = std::map<std::string, xtables::Rules>;
struct XtTableKey {
  Family family = Family::V4;
  std::string table;  // "nat", "filter", "mangle"
  auto operator<=>(const XtTableKey&) const = default;
};
struct Jump {
  std::string from;   // a built-in chain
  std::string to;     // one of ours
  std::string match;  // what stands before "-j"
  auto operator<=>(const Jump&) const = default;
};
struct XtTable {
  Chains chains;  // all begin with kChainPrefix
  std::vector<Jump> jumps;
  bool operator==(const XtTable&) const = default;
};
inline constexpr std::string_view kChainPrefix = "CAUSEWAY-", kSetPrefix = "causeway-";

struct IpSetRow {
  ipset::Set set;
  ipset::Elements elements;
  bool operator==(const IpSetRow&) const = default;
};
struct XtRules {
  std::map<std::string, IpSetRow> sets;
  std::map<XtTableKey, XtTable> tables;
  bool operator==(const XtRules&) const = default;
};

XtRules iptables_rules(const Tables& tables, XtBackend backend);
// As `ipset save` and `iptables-save` would say it.
std::string render(const XtRules& rules);
// The sets of the ranges that Services' addresses are of.
std::set<std::string> range_sets();

// ---- shared with apply_ipvs

// The frontends with addresses: one of all the node's addresses becomes one for each that it is served on.
std::map<FrontendKey, const Frontend*> addressed(const Tables& tables);

// IPVS knows one set of endpoints for an address and port, whoever asks: the outside's, or the inside's where the
// outside gets none. A side that wants others, and loopback addresses (IPVS sends nothing from 127.0.0.1 to a Pod), are
// left to rules, which see the packet before IPVS does.
bool by_ipvs(const FrontendKey& key, const Frontend& frontend, bool inside);

}  // namespace causeway::service
