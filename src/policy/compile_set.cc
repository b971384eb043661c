#include "policy/compile_set.h"

#include <set>

namespace causeway::policy {

namespace {

void put(std::map<PortAtom, Verdict>& rows, PortAtom atom, Tier tier, const Choice& choice) {
  Choice& best = rows[atom].tiers[static_cast<size_t>(tier)];
  if (choice.rank < best.rank) best = choice;
}

bool is_of(const cluster::PolicyPort& port, const NamedPort& named) {
  return port.name == named.name && (!port.protocol || *port.protocol == named.protocol);
}

}  // namespace

SetProgram::SetProgram(Direction direction, const std::vector<SetPolicy>& policies, const std::vector<NamedPort>& named,
                       const AtomOfPods& pods, const AtomOfBlock& blocks) {
  std::map<Shape, size_t> known;
  std::set<std::pair<AtomId, size_t>> taken;  // peer and shape
  std::set<size_t> taken_by_anybody;
  std::set<Name> names;
  for (const SetPolicy& each : policies) {
    const cluster::Policy& policy = *each.policy;
    isolated_ |= policy.tier == Tier::Namespaced;
    const auto& rules = policy.rules(direction);
    for (size_t i = 0; i < rules.size(); ++i) {
      const cluster::PolicyRule& rule = rules[i];
      Shape shape{.tier = policy.tier, .any_port = rule.any_port};
      for (const cluster::PolicyPort& port : rule.any_port ? std::vector<cluster::PolicyPort>() : rule.ports) {
        if (port.name.empty()) {
          shape.ports.push_back({port.protocol.value_or(Protocol::Tcp), port.first, port.last});
        } else if (direction == Direction::Egress) {
          shape.names.push_back(port);
          names.insert(port.name);
        } else {
          for (const NamedPort& own : named)
            if (is_of(port, own)) shape.ports.push_back({own.protocol, own.port, own.port});
        }
      }
      shape.ports = joined(std::move(shape.ports));
      std::ranges::sort(shape.names);
      const auto [at, fresh] = known.try_emplace(shape, shapes_.size());
      if (fresh) shapes_.push_back(shape);
      const Entry entry{
          .shape = at->second,
          .choice = {
              .rank = next_rank_[static_cast<size_t>(policy.tier)]++, .action = rule.action, .rule = (*each.rules)[i]}};
      const auto add = [&](AtomId atom) {
        auto& entries = by_atom_[atom];  // the atom is used, whether or not this rule can ever decide
        if (taken.emplace(atom, entry.shape).second) entries.push_back(entry);
      };
      if (rule.anybody) {
        if (taken_by_anybody.insert(entry.shape).second) anybody_.push_back(entry);
        continue;
      }
      for (const cluster::PodPeer& peer : rule.pods) add(pods(peer));
      for (const cluster::PolicyBlock& block : rule.blocks) add(blocks(block));
    }
  }
  names_.assign(names.begin(), names.end());
}

void SetProgram::cut(const std::vector<NamedPort>& values) {
  std::vector<PortList> lists;
  for (const Shape& shape : shapes_)
    if (!shape.ports.empty()) lists.push_back(shape.ports);
  for (const NamedPort& value : values)
    if (std::ranges::binary_search(names_, Name(value.name)))
      lists.push_back({{value.protocol, value.port, value.port}});
  cut_ = cut_ports(std::move(lists));
  atoms_.clear();
  for (const Shape& shape : shapes_) atoms_.push_back(cut_.atoms_of(shape.ports));
}

void SetProgram::by_number(const Entry& entry, std::map<PortAtom, Verdict>& rows) const {
  const Shape& shape = shapes_[entry.shape];
  if (shape.any_port) put(rows, 0, shape.tier, entry.choice);
  for (PortAtom atom : atoms_[entry.shape]) put(rows, atom, shape.tier, entry.choice);
}

void SetProgram::by_name(const Entry& entry, const NamedPort& value, std::map<PortAtom, Verdict>& rows) const {
  const Shape& shape = shapes_[entry.shape];
  for (const cluster::PolicyPort& port : shape.names)
    if (is_of(port, value))
      for (PortAtom atom : cut_.atoms_of({{value.protocol, value.port, value.port}}))
        put(rows, atom, shape.tier, entry.choice);
}

std::map<PortAtom, Verdict> SetProgram::rows() const {
  std::map<PortAtom, Verdict> out;
  if (isolated_) put(out, 0, Tier::Namespaced, {.rank = Choice::kLast, .action = Action::Deny});
  for (const Entry& entry : anybody_) by_number(entry, out);
  // There even where no rule is left for it: a set that is known always has its last row.
  out.try_emplace(0);
  return out;
}

std::map<PortAtom, Verdict> SetProgram::rows(const Atoms& members,
                                             const std::function<const NamedPort&(AtomId)>& value) const {
  std::map<PortAtom, Verdict> out;
  std::vector<const NamedPort*> values;
  if (!names_.empty())
    for (AtomId atom : members)
      if (kind_of(atom) == AtomKind::Port) values.push_back(&value(atom));
  const auto take = [&](const Entry& entry) {
    for (const NamedPort* named : values) by_name(entry, *named, out);
  };
  for (AtomId atom : members) {
    auto at = by_atom_.find(atom);
    if (at == by_atom_.end()) continue;
    for (const Entry& entry : at->second) {
      by_number(entry, out);
      take(entry);
    }
  }
  for (const Entry& entry : anybody_) take(entry);
  return out;
}

}  // namespace causeway::policy
