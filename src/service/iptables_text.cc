#include "service/iptables_text.h"

#include <algorithm>

#include "service/iptables_chains.h"

namespace causeway::service {
namespace {

constexpr std::string_view kComment = "-m comment --comment \"Services of Causeway\" ";

constexpr std::string_view kSealPrefix = "causeway:";

std::string seal_of(const xtables::Rules& rules) {
  std::string all;
  for (const auto& rule : rules) all += rule + "\n";
  return std::string(kSealPrefix) + short_name(all);
}

// The chain of ours that the rule of a built-in chain leads to; "" for a rule of others.
std::string ours(const std::string& rule) {
  const size_t at = rule.rfind(std::string("-j ") + std::string(kChainPrefix));
  return at == std::string::npos ? "" : rule.substr(at + 3, rule.find(' ', at + 3) - at - 3);
}

std::string rule_of(const Jump& jump) { return fmt::format("{}{}-j {}", jump.match, kComment, jump.to); }

// One jump to each chain, first in its built-in chain when it is new; a second one goes. A built-in chain that nobody
// used yet is not printed by the nft variant: it has no rules.
void jumps(const xtables::Table& actual, const XtTable& desired, const XtTableKey& key, Restore& out) {
  std::set<Jump> missing(desired.jumps.begin(), desired.jumps.end());
  for (const auto& [chain, rules] : actual.chains) {
    if (chain.starts_with(kChainPrefix)) continue;
    for (const auto& rule : rules) {
      const std::string to = ours(rule);
      if (to.empty()) continue;
      const auto jump = std::ranges::find_if(missing, [&](const Jump& j) { return j.from == chain && j.to == to; });
      if (jump != missing.end()) {
        missing.erase(jump);
        continue;
      }
      out.text += fmt::format("-D {} {}\n", chain, rule);
      out.differences.push_back(fmt::format("{} {}: a rule too many in {}: {}", key.family, key.table, chain, rule));
    }
  }
  for (const Jump& jump : missing) {
    out.text += fmt::format("-I {} {}\n", jump.from, rule_of(jump));
    out.differences.push_back(fmt::format("{} {}: {} does not lead to {}", key.family, key.table, jump.from, jump.to));
  }
}

}  // namespace

xtables::Rules sealed(const xtables::Rules& rules) {
  xtables::Rules out = rules;
  out.push_back(fmt::format("-m comment --comment \"{}\"", seal_of(rules)));
  return out;
}

bool same_chain(const xtables::Rules& actual, const xtables::Rules& desired) {
  return actual.size() == desired.size() + 1 && actual.back().contains(seal_of(desired));
}

Restore restore_of(const xtables::Table& actual, const XtTable& desired, const XtTableKey& key) {
  Restore out;
  std::string declared, rules, removed;
  for (const auto& [chain, body] : desired.chains) {
    const auto there = actual.chains.find(chain);
    if (there != actual.chains.end() && same_chain(there->second, body)) continue;
    declared += fmt::format(":{} - [0:0]\n", chain);  // makes it, or empties it
    for (const auto& rule : sealed(body)) rules += fmt::format("-A {} {}\n", chain, rule);
    ++out.chains;
    out.differences.push_back(fmt::format("{} {}: chain {} {}", key.family, key.table, chain,
                                          there == actual.chains.end() ? "is missing" : "is another"));
  }
  for (const auto& [chain, body] : actual.chains) {
    if (!chain.starts_with(kChainPrefix) || desired.chains.contains(chain)) continue;
    declared += fmt::format(":{} - [0:0]\n", chain);
    removed += fmt::format("-X {}\n", chain);
    ++out.chains;
    out.differences.push_back(fmt::format("{} {}: chain {} is not ours any more", key.family, key.table, chain));
  }
  jumps(actual, desired, key, out);
  if (declared.empty() && out.text.empty()) return out;
  out.text = fmt::format("*{}\n{}{}{}{}COMMIT\n", key.table, declared, rules, out.text, removed);
  return out;
}

bool same_ours(const xtables::Table& actual, const xtables::Table& held) {
  for (const auto& [chain, rules] : held.chains) {
    const auto there = actual.chains.find(chain);
    const xtables::Rules none;
    const auto& now = there == actual.chains.end() ? none : there->second;
    if (chain.starts_with(kChainPrefix)) {
      const std::string& seal = rules.back();
      const size_t at = seal.find(kSealPrefix);
      if (now.size() != rules.size() || !now.back().contains(seal.substr(at, seal.find('"', at) - at))) return false;
      continue;
    }
    for (const auto& rule : rules)
      if (const std::string to = ours(rule);
          !to.empty() && std::ranges::none_of(now, [&](const auto& other) { return ours(other) == to; }))
        return false;
  }
  return true;
}

xtables::Table after(xtables::Table actual, const XtTable& desired) {
  std::erase_if(actual.chains, [](const auto& each) { return each.first.starts_with(kChainPrefix); });
  for (const auto& [chain, body] : desired.chains) actual.chains[chain] = sealed(body);
  for (auto& [chain, rules] : actual.chains)
    if (!chain.starts_with(kChainPrefix)) std::erase_if(rules, [](const auto& rule) { return !ours(rule).empty(); });
  for (const Jump& jump : desired.jumps) {
    auto& rules = actual.chains[jump.from];
    rules.insert(rules.begin(), rule_of(jump));
  }
  return actual;
}

}  // namespace causeway::service
