#include "policy/compile_nodes.h"

#include "policy/compile_set.h"

namespace causeway::policy {

namespace {

template <class Do>
void each_address(const cluster::Node& node, Do act) {
  for (const auto* list : {&node.addresses, &node.others})
    for (const Ip& ip : *list) act(ip);
}

bool insert(Atoms& into, AtomId atom) {
  const auto at = std::ranges::lower_bound(into, atom);
  if (at != into.end() && *at == atom) return false;
  into.insert(at, atom);
  return true;
}

}  // namespace

AtomId NodeIndex::acquire(const cluster::NodePeer& peer) {
  const auto [known, added] = known_.try_emplace(peer);
  Entry& entry = known->second;
  ++entry.uses;
  if (!added) return entry.id;
  // A number is not used again before update() has taken it out of all memberships.
  do entry.id = atom_id(AtomKind::Nodes, next_++);
  while (by_id_.contains(entry.id) || gone_.contains(entry.id) || entry.id == SetProgram::kAnybody);
  by_id_.emplace(entry.id, &known->first);
  come_.insert(entry.id);
  return entry.id;
}

void NodeIndex::release(AtomId id) {
  const auto known = known_.find(peer(id));
  if (--known->second.uses > 0) return;
  by_id_.erase(id);
  known_.erase(known);
  if (!come_.erase(id)) gone_.insert(id);
}

void NodeIndex::index(const cluster::Node& node, bool add, std::set<Ip>* touched) {
  each_address(node, [&](const Ip& ip) {
    if (touched) touched->insert(ip);
    auto& names = nodes_at_[ip];
    if (add)
      names.insert(node.name);
    else
      names.erase(node.name);
    if (names.empty()) nodes_at_.erase(ip);
  });
}

Atoms NodeIndex::members_of(const Ip& ip, const cluster::Model& model) const {
  Atoms out;
  const auto at = nodes_at_.find(ip);
  if (at == nodes_at_.end()) return out;
  for (const auto& [peer, entry] : known_)
    if (std::ranges::any_of(at->second,
                            [&](const std::string& name) { return peer.matches(model.node(name)->labels); }))
      out.push_back(entry.id);
  std::ranges::sort(out);
  return out;
}

std::set<Ip> NodeIndex::update(const cluster::Before<std::string, cluster::Node>& changes,
                               const cluster::Model& model) {
  std::set<Ip> changed, touched;
  if (!gone_.empty())
    for (auto at = members_.begin(); at != members_.end();) {
      Atoms& atoms = at->second;
      const size_t before = atoms.size();
      atoms.erase(std::remove_if(atoms.begin(), atoms.end(), [&](AtomId one) { return gone_.contains(one); }),
                  atoms.end());
      if (atoms.size() != before) changed.insert(at->first);
      at = atoms.empty() ? members_.erase(at) : std::next(at);
    }
  gone_.clear();
  if (known_.empty()) {
    nodes_at_.clear();
    indexed_ = false;
    return changed;
  }
  if (!std::exchange(indexed_, true)) {
    for (const auto& [name, node] : model.nodes()) index(node, true, nullptr);
  } else {
    for (const auto& [name, before] : changes) {
      if (before) index(*before, false, &touched);
      if (const cluster::Node* now = model.node(name)) index(*now, true, &touched);
    }
  }
  for (const AtomId id : std::exchange(come_, {}))
    for (const auto& [name, node] : model.nodes())
      if (peer(id).matches(node.labels))
        each_address(node, [&](const Ip& ip) {
          if (insert(members_[ip], id)) changed.insert(ip);
        });
  for (const Ip& ip : touched) {
    Atoms now = members_of(ip, model);
    const auto at = members_.find(ip);
    if (at == members_.end() ? now.empty() : at->second == now) continue;
    changed.insert(ip);
    if (now.empty())
      members_.erase(at);
    else
      members_.insert_or_assign(ip, std::move(now));
  }
  return changed;
}

const Atoms& NodeIndex::containing(const Ip& ip) const {
  static const Atoms none;
  const auto at = members_.find(ip);
  return at == members_.end() ? none : at->second;
}

void NodeIndex::inside(const Cidr& outer, std::vector<Cidr>& out) const {
  for (auto at = members_.lower_bound(outer.address()); at != members_.end() && outer.contains(at->first); ++at)
    out.push_back(host_cidr(at->first));
}

}  // namespace causeway::policy
