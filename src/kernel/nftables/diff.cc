#include "kernel/nftables/diff.h"

#include <set>

#include "kernel/nftables/lower.h"

namespace causeway::nftables {
namespace {

bool same_range(const Tuple& key, const Value& a, const Value& b) {
  return a.last.value_or(key) == b.last.value_or(key);
}
bool same(const Tuple& key, const Value& a, const Value& b) {
  return same_range(key, a, b) && a.data == b.data && a.comment == b.comment;
}

bool same(const std::vector<ObservedRule>& actual, const std::vector<Rule>& desired) {
  if (actual.size() != desired.size()) return false;
  for (size_t i = 0; i < actual.size(); ++i) {
    if (actual[i].comment != desired[i].comment) return false;
    const auto program = lower(desired[i]);
    if (!program || actual[i].program != *program) return false;  // what cannot be lowered fails when it is sent
  }
  return true;
}

class Diff {
 public:
  Diff(const Observed& actual, const Section& desired) : actual_(actual), desired_(desired) {}

  Transaction run() {
    sort_chains();
    sort_sets();
    // What refers goes before what is referred to, and comes behind it: rules, then chains and sets; elements of
    // verdict maps name chains.
    for (const auto& name : flushed_) out_.push_back(FlushChain{name});
    for (const auto& [name, set] : actual_.sets)
      if (!kept_sets_.contains(name)) out_.push_back(DeleteSet{name});
    remove_elements();
    for (const auto& [name, chain] : actual_.chains)
      if (!kept_chains_.contains(name)) out_.push_back(DeleteChain{name});
    for (const auto& [name, chain] : desired_.chains)
      if (!kept_chains_.contains(name)) out_.push_back(AddChain{name, chain.base});
    for (const auto& [name, set] : desired_.sets)
      if (!kept_sets_.contains(name)) out_.push_back(AddSet{name, set});
    add_elements();
    for (const auto& [name, chain] : desired_.chains)
      if (written_.contains(name))
        for (const auto& rule : chain.rules) out_.push_back(AddRule{name, rule});
    return std::move(out_);
  }

 private:
  void sort_chains() {
    for (const auto& [name, chain] : actual_.chains) {
      const auto found = desired_.chains.find(name);
      if (found != desired_.chains.end() && found->second.base == chain.base) kept_chains_.insert(name);
    }
    for (const auto& [name, chain] : desired_.chains) {
      const auto found = actual_.chains.find(name);
      if (!kept_chains_.contains(name) || !same(found->second.rules, chain.rules)) written_.insert(name);
    }
    for (const auto& [name, chain] : actual_.chains)
      if ((!kept_chains_.contains(name) || written_.contains(name)) && !chain.rules.empty()) flushed_.insert(name);
  }

  // A set that is made again takes the rules along that look into it, and a chain those that lead to it: the rules of a
  // section are few and constant, so all of them are written again.
  void sort_sets() {
    bool again = kept_chains_.size() != actual_.chains.size();
    for (const auto& [name, set] : actual_.sets) {
      const auto found = desired_.sets.find(name);
      if (found != desired_.sets.end() && set.set && found->second == *set.set)
        kept_sets_.insert(name);
      else
        again = true;
    }
    if (!again) return;
    for (const auto& [name, chain] : desired_.chains) written_.insert(name);
    for (const auto& [name, chain] : actual_.chains)
      if (!chain.rules.empty()) flushed_.insert(name);
  }

  const Elements& elements_of(const std::string& set) const {
    static const Elements kNone;
    const auto found = desired_.elements.find(set);
    return found == desired_.elements.end() ? kNone : found->second;
  }

  void remove_elements() {
    for (const auto& name : kept_sets_) {
      const Set& set = desired_.sets.at(name);
      if (set.dynamic) continue;
      const Elements& desired = elements_of(name);
      DeleteElements remove{name, set, {}};
      for (const auto& [key, value] : actual_.sets.at(name).elements) {
        const auto found = desired.find(key);
        if (found == desired.end() || !same(key, found->second, value)) remove.elements.emplace(key, value);
      }
      if (!remove.elements.empty()) out_.push_back(std::move(remove));
    }
  }

  void add_elements() {
    for (const auto& [name, set] : desired_.sets) {
      AddElements add{name, set, {}};
      const auto actual = kept_sets_.contains(name) ? &actual_.sets.at(name).elements : nullptr;
      for (const auto& [key, value] : elements_of(name)) {
        const auto found = actual ? actual->find(key) : Elements::const_iterator();
        if (!actual || found == actual->end() || !same(key, found->second, value)) add.elements.emplace(key, value);
      }
      if (!add.elements.empty()) out_.push_back(std::move(add));
    }
  }

  const Observed& actual_;
  const Section& desired_;
  std::set<std::string> kept_chains_, kept_sets_;
  std::set<std::string> flushed_, written_;  // chains whose rules go, and come
  Transaction out_;
};

}  // namespace

Transaction diff(const Observed& actual, const Section& desired) { return Diff(actual, desired).run(); }

Observed observed_of(const Section& section) {
  Observed out{.section = section.name};
  for (const auto& [name, chain] : section.chains) {
    auto& observed = out.chains[name];
    observed.base = chain.base;
    for (const auto& rule : chain.rules)
      if (auto program = lower(rule)) observed.rules.push_back({std::move(*program), rule.comment});
  }
  for (const auto& [name, set] : section.sets) {
    const auto elements = section.elements.find(name);
    out.sets[name] = {set, elements == section.elements.end() || set.dynamic ? Elements{} : elements->second};
  }
  return out;
}

Transaction removal(const Observed& actual) { return diff(actual, Section{.name = actual.section}); }

uint64_t rows_of(const Transaction& transaction) {
  uint64_t rows = 0;
  for (const Change& change : transaction) {
    if (const auto* added = std::get_if<AddElements>(&change))
      rows += added->elements.size();
    else if (const auto* removed = std::get_if<DeleteElements>(&change))
      rows += removed->elements.size();
    else
      ++rows;
  }
  return rows;
}

std::vector<std::string> lines_of(const Transaction& transaction) {
  std::vector<std::string> lines;
  for (const Change& change : transaction) {
    const auto each = [&](const auto& elements_change) {
      for (const auto& element : elements_change.elements) {
        auto one = elements_change;
        one.elements = {element};
        lines.push_back(to_string(Change(std::move(one))));
      }
    };
    if (const auto* added = std::get_if<AddElements>(&change))
      each(*added);
    else if (const auto* removed = std::get_if<DeleteElements>(&change))
      each(*removed);
    else
      lines.push_back(to_string(change));
  }
  return lines;
}

}  // namespace causeway::nftables
