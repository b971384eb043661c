// The difference between what iptables holds and what it shall, as text for iptables-restore. Pure.
#pragma once

#include "service/iptables_rules.h"

namespace causeway::service {

// A chain as it is written: its rules, and behind them one without a target that carries their hash as a comment. So a
// later life of the agent sees whether the chain is the one it would write, whatever form iptables-save prints rules
// in.
xtables::Rules sealed(const xtables::Rules& rules);
// Whether a chain read from the kernel is this one: the seal fits, and no rule came or went.
bool same_chain(const xtables::Rules& actual, const xtables::Rules& desired);

struct Restore {
  std::string text;                      // for iptables-restore --noflush; "": nothing differs
  uint64_t chains = 0;                   // written or removed
  std::vector<std::string> differences;  // one line each
};
// `actual`: the whole table. Chains and jumps of others stay as they are; ours that are not desired go.
Restore restore_of(const xtables::Table& actual, const XtTable& desired, const XtTableKey& key);

// Whether what is ours is in both tables the same: chains by their seals, and the jumps to them.
bool same_ours(const xtables::Table& actual, const xtables::Table& held);

// What the table is after that text.
xtables::Table after(xtables::Table actual, const XtTable& desired);

}  // namespace causeway::service
