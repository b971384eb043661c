// Sets and what they make others count: atoms in use, rules in use, ports, verdict rows.
#include "policy/compile.h"

namespace causeway::policy {

void Compiler::release_atoms(const std::vector<AtomId>& atoms) {
  for (AtomId atom : atoms) {
    if (kind_of(atom) == AtomKind::Selector) {
      const cluster::PodPeer peer = peer_selectors_.peer(atom);
      if (peer_selectors_.release(atom)) changed_peers_.push_back(peer);
    } else {
      const cluster::PolicyBlock block = peer_blocks_.block(atom);
      if (peer_blocks_.release(atom)) changed_blocks_.push_back(block);
    }
  }
}

// Lets go of what the set's program uses; the set may get another program.
void Compiler::drop_program(SetState& set) {
  if (!set.program) return;
  const SetId id = set_ids_.at(*set.key);
  set.program->each_atom([&](AtomId atom) {
    auto users = sets_of_atom_.find(atom);
    users->second.erase(id);
    if (users->second.empty()) sets_of_atom_.erase(users);
  });
  for (const Name& name : set.program->names()) {
    sets_of_name_[name].erase(id);
    if (sets_of_name_[name].empty()) {
      sets_of_name_.erase(name);
      changed_names_.insert(name);
    }
  }
  for (RuleId rule : set.rules)
    if (--rule_uses_[rule] == 0) {
      rule_uses_.erase(rule);
      rules.erase(rule);
    }
  set.rules.clear();
  set.program.reset();
  release_atoms(std::exchange(set.atoms, {}));
}

void Compiler::prepare_set(SetId id) {
  auto at = sets_.find(id);
  if (at == sets_.end()) return;
  SetState& set = at->second;
  const Direction direction = set.key->direction;
  std::vector<SetPolicy> policies;
  Set row{.direction = direction, .named = set.key->named};
  for (AtomId subject : set.key->subjects)
    for (const PolicyKey& key : subjects_.at(subject).policies) {
      const PolicyState& state = policies_.at(key);
      if (state.policy->concerns(direction))
        policies.push_back({state.policy, direction == Direction::Ingress ? &state.ingress : &state.egress});
    }
  std::ranges::sort(policies,
                    [](const SetPolicy& a, const SetPolicy& b) { return cluster::precedes(*a.policy, *b.policy); });

  // What is new is acquired before what was is released, so that what both use does not come and go.
  std::vector<AtomId> atoms;
  auto program = std::make_unique<SetProgram>(
      direction, policies, set.key->named,
      [&](const cluster::PodPeer& peer) {
        bool fresh = false;
        atoms.push_back(peer_selectors_.acquire(peer, fresh));
        if (fresh) changed_peers_.push_back(peer);
        return atoms.back();
      },
      [&](const cluster::PolicyBlock& block) {
        bool fresh = false;
        atoms.push_back(peer_blocks_.acquire(block, fresh));
        if (fresh) changed_blocks_.push_back(block);
        return atoms.back();
      });
  std::vector<RuleId> used;
  for (const SetPolicy& each : policies) {
    row.policies.push_back(each.policy->key);
    const auto& list = each.policy->rules(direction);
    for (size_t i = 0; i < list.size(); ++i) {
      const RuleId rule = (*each.rules)[i];
      used.push_back(rule);
      if (rule_uses_[rule]++ == 0)
        rules.put(rule, {.policy = each.policy->key,
                         .tier = each.policy->tier,
                         .direction = direction,
                         .action = list[i].action,
                         .index = static_cast<uint32_t>(i),
                         .name = list[i].name});
    }
  }
  drop_program(set);
  set.program = std::move(program);
  set.atoms = std::move(atoms);
  set.rules = std::move(used);
  set.program->each_atom([&](AtomId atom) { sets_of_atom_[atom].insert(id); });
  for (const Name& name : set.program->names()) {
    auto& users = sets_of_name_[name];
    if (users.empty()) changed_names_.insert(name);
    users.insert(id);
  }
  const Set* old = sets.find(id);
  row.ports = old ? old->ports : PortsId::None;
  sets.put(id, std::move(row));
  work_.finish.insert(id);
}

void Compiler::use_ports(SetId id, PortRanges ranges) {
  const Set* found = sets.find(id);
  Set row = found ? *found : Set{};
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
  if (row.ports != PortsId::None) {
    auto old = port_ids_.find(*ports.find(row.ports));
    if (--old->second.uses == 0) {
      ports.erase(row.ports);
      port_ids_.erase(old);
    }
  }
  row.ports = now;
  if (found) sets.put(id, std::move(row));
}

void Compiler::put_rows(SetId set, ClassId peer, std::map<PortAtom, Verdict> rows) {
  std::vector<VerdictKey> gone;
  for (auto row = verdicts.rows().lower_bound({set, peer, 0});
       row != verdicts.rows().end() && row->first.set == set && row->first.peer == peer; ++row)
    if (!rows.contains(row->first.port)) gone.push_back(row->first);
  for (const VerdictKey& key : gone) verdicts.erase(key);
  for (const auto& [port, verdict] : rows) verdicts.put({set, peer, port}, verdict);
}

void Compiler::finish_set(SetId id) {
  auto at = sets_.find(id);
  if (at == sets_.end()) return;
  SetProgram& program = *at->second.program;
  std::vector<NamedPort> values;
  for (const Name& name : program.names())
    for (auto value = values_.lower_bound({std::string(name), Protocol::Tcp, 0});
         value != values_.end() && name == value->first.name; ++value)
      values.push_back(value->first);
  program.cut(values);
  use_ports(id, program.ranges());

  std::set<ClassId> peers;
  program.each_atom([&](AtomId atom) {
    if (auto members = classes_of_.find(atom); members != classes_of_.end())
      peers.insert(members->second.begin(), members->second.end());
  });
  for (const NamedPort& value : values)
    if (auto members = classes_of_.find(values_.at(value).id); members != classes_of_.end())
      peers.insert(members->second.begin(), members->second.end());
  // Rows of classes that have no more to do with it.
  std::set<ClassId> before;
  for (auto row = verdicts.rows().lower_bound({id, ClassId::None, 0});
       row != verdicts.rows().end() && row->first.set == id; ++row)
    before.insert(row->first.peer);
  for (ClassId peer : before)
    if (peer != ClassId::None && !peers.contains(peer)) put_rows(id, peer, {});
  put_rows(id, ClassId::None, program.rows());
  for (ClassId peer : peers)
    put_rows(id, peer, program.rows(*classes_.at(peer).members, [&](AtomId atom) -> const NamedPort& {
      return *value_of_.at(atom);
    }));
}

}  // namespace causeway::policy
