#include "kernel/nftables/fake.h"

#include <algorithm>
#include <cerrno>

#include "kernel/nftables/encode.h"
#include "kernel/nftables/lower.h"

namespace causeway::nftables {
namespace {

// The chains and sets that statements and elements lean on.
struct References {
  std::vector<std::string> chains, sets;

  void operator()(const Match&) {}
  void operator()(const Lookup& lookup) { sets.push_back(lookup.set); }
  void operator()(const VerdictMap& map) { sets.push_back(map.map); }
  void operator()(const Verdict& verdict) {
    if (!verdict.chain.empty()) chains.push_back(verdict.chain);
  }
  void operator()(const Masquerade&) {}
  void operator()(const Notrack&) {}
  void operator()(const Nat& nat) {
    if (const auto* map = std::get_if<FromMap>(&nat.to)) sets.push_back(map->map);
  }
  void operator()(const SetMark& mark) {
    if (const auto* map = std::get_if<FromMap>(&mark.to)) sets.push_back(map->map);
  }
  void operator()(const Counter&) {}
  void operator()(const Reject&) {}
  void operator()(const Update& update) { sets.push_back(update.set); }

  void add(const Rule& rule) {
    for (const auto& statement : rule.statements) std::visit(*this, statement);
  }
  void add(const Elements& elements) {
    for (const auto& [key, value] : elements)
      if (const auto* verdict = std::get_if<Verdict>(&value.data)) (*this)(*verdict);
  }
  static References of(const Section& section) {
    References all;
    for (const auto& [name, chain] : section.chains)
      for (const auto& rule : chain.rules) all.add(rule);
    for (const auto& [name, elements] : section.elements) all.add(elements);
    return all;
  }
};

bool holds(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// One change on a copy of the state; what it answers is an errno, 0 for done.
struct Apply {
  Section& state;

  int operator()(const AddChain& change) const {
    const auto [chain, added] = state.chains.try_emplace(change.name, Chain{change.base, {}});
    return added || chain->second.base == change.base ? 0 : EEXIST;
  }
  int operator()(const DeleteChain& change) const {
    if (holds(References::of(state).chains, change.name)) return EBUSY;
    return state.chains.erase(change.name) ? 0 : ENOENT;
  }
  int operator()(const FlushChain& change) const {
    const auto chain = state.chains.find(change.name);
    if (chain == state.chains.end()) return ENOENT;
    chain->second.rules.clear();
    return 0;
  }
  int operator()(const AddRule& change) const {
    const auto chain = state.chains.find(change.chain);
    References needs;
    needs.add(change.rule);
    if (chain == state.chains.end() || !there(needs)) return ENOENT;
    chain->second.rules.push_back(change.rule);
    return 0;
  }
  int operator()(const AddSet& change) const {
    const auto [set, added] = state.sets.try_emplace(change.name, change.set);
    return added || set->second == change.set ? 0 : EEXIST;
  }
  int operator()(const DeleteSet& change) const {
    if (holds(References::of(state).sets, change.name)) return EBUSY;
    state.elements.erase(change.name);
    return state.sets.erase(change.name) ? 0 : ENOENT;
  }
  int operator()(const AddElements& change) const {
    References needs;
    needs.add(change.elements);
    if (!state.sets.contains(change.name) || !there(needs)) return ENOENT;
    for (const auto& [key, value] : change.elements) {
      const auto [element, added] = state.elements[change.name].try_emplace(key, value);
      if (!added && element->second.data != value.data) return EEXIST;
    }
    return 0;
  }
  int operator()(const DeleteElements& change) const {
    if (!state.sets.contains(change.name)) return ENOENT;
    for (const auto& [key, value] : change.elements)
      if (!state.elements[change.name].erase(key)) return ENOENT;
    return 0;
  }

 private:
  bool there(const References& needs) const {
    for (const auto& name : needs.chains)
      if (!state.chains.contains(name)) return false;
    for (const auto& name : needs.sets)
      if (!state.sets.contains(name)) return false;
    return true;
  }
};

}  // namespace

Result<Observed> FakeNftables::observe(std::string_view section) {
  ++observations;
  Observed found{.section = std::string(section)};
  for (const auto& [name, chain] : state_.chains) {
    if (!belongs(name, section)) continue;
    auto& observed = found.chains[name];
    observed.base = chain.base;
    for (const auto& rule : chain.rules) observed.rules.push_back({TRY(lower(rule)), rule.comment});
  }
  for (const auto& [name, set] : state_.sets) {
    if (!belongs(name, section)) continue;
    const auto elements = state_.elements.find(name);
    found.sets[name] = {set, elements == state_.elements.end() || set.dynamic ? Elements{} : elements->second};
  }
  return found;
}

Status FakeNftables::apply(const Transaction& transaction) {
  if (transaction.empty()) return ok();
  if (fault) TRY(fault(transaction));
  uint32_t sequence = 0;
  TRY(encode(transaction, [&] { return ++sequence; }), "nftables");  // the real door's own refusals
  Section next = state_;
  for (const auto& change : transaction)
    if (const int error = std::visit(Apply{next}, change))
      return fail_errno(error, fmt::format("nftables: {}", change));
  state_ = std::move(next);
  ++transactions;
  for (const auto& change : transaction) log.push_back(to_string(change));
  return ok();
}

std::string FakeNftables::render() const {
  return state_.chains.empty() && state_.sets.empty() ? "" : nftables::render(state_);
}

}  // namespace causeway::nftables
