// Sets and their rows: names that are asked for, ports, verdicts.
#include <algorithm>

#include "policy/compile.h"

namespace causeway::policy {

void Compiler::describe_set(const KnownSet& set) {
  const Set* old = sets.find(set.second.id);
  Set row{.direction = set.first.direction,
          .ports = old ? old->ports : PortsId::None,
          .policies = {},
          .named = set.first.named};
  row.policies.reserve(set.second.policies.size());
  for (const PolicyState* policy : set.second.policies) row.policies.push_back(policy->policy->key);
  sets.put(set.second.id, std::move(row));
}

void Compiler::use_names(KnownSet& set) {
  SetState& state = set.second;
  CompactVector<Name> now(state.program.names());
  if (now == state.names) return;
  for (const Name& name : now) {
    auto& users = sets_of_name_[name];
    if (users.empty()) changed_names_.insert(name);
    users.insert(state.id);
  }
  for (const Name& name : state.names) {
    if (std::ranges::binary_search(now, name)) continue;
    auto users = sets_of_name_.find(name);
    users->second.erase(state.id);
    if (!users->second.empty()) continue;
    sets_of_name_.erase(users);
    changed_names_.insert(name);
  }
  state.names = std::move(now);
}

void Compiler::use_ports(SetId id, PortRanges ranges) {
  const Set* found = sets.find(id);
  const PortsId before = found ? found->ports : PortsId::None;
  PortsId now = PortsId::None;
  if (!ranges.empty()) {
    auto [known, fresh] = port_ids_.try_emplace(std::move(ranges));
    if (fresh) {
      do known->second.id = PortsId{next_ports_++};
      while (known->second.id == PortsId::None || ports.find(known->second.id));
      ports.put(known->second.id, known->first);
    }
    ++known->second.uses;
    now = known->second.id;
  }
  if (before != PortsId::None) {
    auto old = port_ids_.find(*ports.find(before));
    if (--old->second.uses == 0) {
      ports.erase(before);
      port_ids_.erase(old);
    }
  }
  if (now == before || !found) return;
  Set row = *found;
  row.ports = now;
  sets.put(id, std::move(row));
}

void Compiler::put_rows(SetId set, ClassId peer, SetProgram::Rows rows) {
  std::vector<VerdictKey> gone;
  for (auto row = verdicts.rows().lower_bound({set, peer, 0});
       row != verdicts.rows().end() && row->first.set == set && row->first.peer == peer; ++row)
    if (!std::ranges::binary_search(rows, row->first.port, {}, &SetProgram::Row::first)) gone.push_back(row->first);
  for (const VerdictKey& key : gone) verdicts.erase(key);
  for (const auto& [port, verdict] : rows) verdicts.put({set, peer, port}, verdict);
}

void Compiler::finish_set(SetId id, const Unfinished& work) {
  auto at = sets_.find(id);
  if (at == sets_.end()) return;
  KnownSet& set = *at->second;
  SetProgram& program = set.second.program;
  describe_set(set);
  std::vector<ClassId> peers = work.classes;
  const auto add = [&](AtomId atom) {
    if (auto users = users_.find(atom); users != users_.end())
      peers.insert(peers.end(), users->second.classes.begin(), users->second.classes.end());
  };
  if (work.whole) {
    std::vector<NamedPort> values;
    for (const Name& name : set.second.names)
      for (auto value = values_.lower_bound({std::string(name), Protocol::Tcp, 0});
           value != values_.end() && name == value->first.name; ++value) {
        values.push_back(value->first);
        add(value->second.id);
      }
    use_ports(id, program.cut(values));
    AtomId last = SetProgram::kAnybody;
    for (const SetProgram::Entry& entry : program.entries())
      if (std::exchange(last, entry.peer) != entry.peer) add(entry.peer);
    // Rows of classes that may have no more to do with it.
    if (!work.fresh)
      for (auto row = verdicts.rows().lower_bound({id, ClassId::None, 0});
           row != verdicts.rows().end() && row->first.set == id; ++row)
        if (row->first.peer != ClassId::None) peers.push_back(row->first.peer);
  } else {
    for (AtomId atom : work.atoms) add(atom);
  }
  std::ranges::sort(peers);
  peers.erase(std::ranges::unique(peers).begin(), peers.end());
  put_rows(id, ClassId::None, program.rows());
  for (ClassId peer : peers) {
    auto known = classes_.find(peer);
    put_rows(id, peer, known == classes_.end() ? SetProgram::Rows() : rows_of(set.second, known->second->first));
  }
}

SetProgram::Rows Compiler::rows_of(const SetState& state, const Atoms& members) const {
  const Set* row = sets.find(state.id);
  return state.program.rows(
      members, [&](AtomId atom) -> const NamedPort& { return *value_of_.at(atom); },
      row && row->ports != PortsId::None ? ports.find(row->ports) : nullptr);
}

}  // namespace causeway::policy
