// The rules of policies as sets have them: atoms and shapes in use, and the sets that a policy's change edits.
#include <algorithm>

#include "policy/compile.h"

namespace causeway::policy {

namespace {

Shape shape_of(const cluster::Policy& policy, const cluster::PolicyRule& rule) {
  Shape shape{.tier = policy.tier, .any_port = rule.any_port, .ports = {}, .names = {}};
  if (rule.any_port) return shape;
  for (const cluster::PolicyPort& port : rule.ports)
    if (port.name.empty())
      shape.ports.push_back({port.protocol.value_or(Protocol::Tcp), port.first, port.last});
    else
      shape.names.push_back(port);
  shape.ports = joined(std::move(shape.ports));
  std::ranges::sort(shape.names);
  return shape;
}

// What the Pods of a set call their ports takes the place of names (ingress).
Shape with_numbers(const Shape& shape, const CompactVector<NamedPort>& named) {
  Shape out{.tier = shape.tier, .any_port = shape.any_port, .ports = shape.ports, .names = {}};
  for (const cluster::PolicyPort& port : shape.names)
    for (const NamedPort& own : named)
      if (port.name == own.name && (!port.protocol || *port.protocol == own.protocol))
        out.ports.push_back({own.protocol, own.port, own.port});
  out.ports = joined(std::move(out.ports));
  return out;
}

template <class T>
void insert_sorted(CompactVector<T>& into, T item) {
  if (into.empty() || into.back() < item) return into.push_back(item);
  auto at = std::ranges::lower_bound(into, item);
  if (*at != item) into.insert(at, item);
}

template <class T>
void erase_sorted(CompactVector<T>& from, T item) {
  auto at = std::ranges::lower_bound(from, item);
  if (at != from.end() && *at == item) from.erase(at);
}

std::vector<AtomId> peers_of(std::span<const SetProgram::Entry> entries) {
  std::vector<AtomId> out;
  for (const SetProgram::Entry& entry : entries)
    if (entry.peer != SetProgram::kAnybody) out.push_back(entry.peer);
  std::ranges::sort(out);
  out.erase(std::ranges::unique(out).begin(), out.end());
  return out;
}

}  // namespace

void Compiler::acquire_side(PolicyState& state, Direction direction) {
  PolicyState::Side& side = state.side(direction);
  if (side.sets++ > 0) return;
  const auto& list = state.policy->rules(direction);
  side.rules.reserve(list.size());
  for (size_t i = 0; i < list.size(); ++i) {
    const cluster::PolicyRule& rule = list[i];
    SetRule made{.shape = shapes_.acquire(shape_of(*state.policy, rule)),
                 .id = side.ids[i],
                 .action = rule.action,
                 .anybody = rule.anybody,
                 .peers = {}};
    bool fresh = false;
    for (const cluster::PodPeer& peer : rule.anybody ? std::vector<cluster::PodPeer>() : rule.pods) {
      made.peers.push_back(selectors_.acquire(peer, Role::Peer, fresh));
      if (fresh) changed_peers_.push_back(peer);
    }
    for (BlockList& blocks : rule.anybody ? std::vector<BlockList>() : lists_of(rule.blocks, options_.block_list)) {
      made.peers.push_back(peer_blocks_.acquire(std::move(blocks), fresh));
      if (fresh) fresh_blocks_.push_back(made.peers.back());
    }
    for (const cluster::NodePeer& nodes : rule.anybody ? std::vector<cluster::NodePeer>() : rule.nodes)
      made.peers.push_back(peer_nodes_.acquire(nodes));
    std::ranges::sort(made.peers);
    side.rules.push_back(std::move(made));
    rules.put(side.ids[i], {.policy = state.policy->key,
                            .tier = state.policy->tier,
                            .direction = direction,
                            .action = rule.action,
                            .index = static_cast<uint32_t>(i),
                            .name = rule.name});
  }
}

// `heir`: has some of the rules from here on.
void Compiler::release_side(PolicyState& state, Direction direction, const PolicyState::Side* heir) {
  PolicyState::Side& side = state.side(direction);
  if (--side.sets > 0) return;
  for (const SetRule& rule : side.rules) {
    for (AtomId atom : rule.peers) release_atom(atom);
    shapes_.release(rule.shape);
    if (!heir || !heir->sets || std::ranges::find(heir->ids, rule.id) == heir->ids.end()) rules.erase(rule.id);
  }
  side.rules.clear();
}

void Compiler::release_atom(AtomId atom) {
  if (kind_of(atom) == AtomKind::Block) {
    if (auto gone = peer_blocks_.release(atom)) gone_blocks_.push_back(std::move(*gone));
    return;
  }
  if (kind_of(atom) == AtomKind::Nodes) return peer_nodes_.release(atom);
  const cluster::PodPeer peer = selectors_.peer(atom);
  if (selectors_.release(atom, Role::Peer)) changed_peers_.push_back(peer);
}

// The policy's rules in this set; those whose shape is the set's own are held while `more`, and let go else.
std::vector<SetProgram::Entry> Compiler::entries_of(KnownSet& set, PolicyState& policy, bool more) {
  Unfinished& work = work_.sets[set.second.id];
  const PolicyState::Side& side = policy.side(set.first.direction);
  std::vector<SetProgram::Entry> out;
  uint32_t rank = policy.rank;
  for (const SetRule& rule : side.rules) {
    const bool own = set.first.direction == Direction::Ingress && !rule.shape->names.empty();
    const Shape* shape = own ? shapes_.acquire(with_numbers(*rule.shape, set.first.named)) : rule.shape;
    work.whole |= set.second.program.use(shape, more) || !shape->names.empty();
    SetProgram::Entry entry{
        .peer = SetProgram::kAnybody, .rank = rank++, .shape = shape, .rule = rule.id, .action = rule.action};
    if (rule.anybody) out.push_back(entry);
    for (AtomId peer : rule.peers) {
      entry.peer = peer;
      if (out.empty() || out.back() != entry) out.push_back(entry);
    }
    if (!own || more) continue;
    shapes_.release(shape);
    shapes_.release(shape);
  }
  return out;
}

void Compiler::build_set(KnownSet& set) {
  SetState& state = set.second;
  std::vector<PolicyState*> policies;
  for (AtomId subject : set.first.subjects)
    for (PolicyState* policy : subjects_.at(subject).policies)
      if (policy->policy->concerns(set.first.direction)) policies.push_back(policy);
  std::ranges::sort(policies, {}, &PolicyState::rank);
  std::vector<SetProgram::Entry> entries;
  for (PolicyState* policy : policies) {
    acquire_side(*policy, set.first.direction);
    const auto own = entries_of(set, *policy, true);
    entries.insert(entries.end(), own.begin(), own.end());
    if (policy->policy->tier == Tier::Namespaced) state.program.isolate(true);
  }
  for (AtomId atom : peers_of(entries)) insert_sorted(users_[atom].sets, state.id);
  state.program.change({}, std::move(entries));
  state.policies = std::move(policies);
}

void Compiler::add_to_set(KnownSet& set, PolicyState& policy) {
  SetState& state = set.second;
  acquire_side(policy, set.first.direction);
  auto entries = entries_of(set, policy, true);
  const auto atoms = peers_of(entries);
  for (AtomId atom : atoms) insert_sorted(users_[atom].sets, state.id);
  state.program.change({}, std::move(entries));
  if (policy.policy->tier == Tier::Namespaced) state.program.isolate(true);
  state.policies.insert(std::ranges::lower_bound(state.policies, policy.rank, {}, &PolicyState::rank), &policy);
  auto& work = work_.sets[state.id];
  work.atoms.insert(work.atoms.end(), atoms.begin(), atoms.end());
}

void Compiler::take_from_set(KnownSet& set, PolicyState& was, PolicyState* place) {
  SetState& state = set.second;
  auto entries = entries_of(set, was, false);
  const auto atoms = peers_of(entries);
  state.program.change(std::move(entries), {});
  auto& work = work_.sets[state.id];
  for (AtomId atom : atoms) {
    auto users = users_.find(atom);
    // Their rows are looked at, though they may be no classes of it any more by then.
    work.classes.insert(work.classes.end(), users->second.classes.begin(), users->second.classes.end());
    if (!state.program.has(atom)) erase_sorted(users->second.sets, state.id);
    if (users->second.sets.empty() && users->second.classes.empty()) users_.erase(users);
  }
  if (was.policy->tier == Tier::Namespaced) state.program.isolate(false);
  state.policies.erase(std::ranges::find(state.policies, place));
  release_side(was, set.first.direction, &place->side(set.first.direction));
}

void Compiler::reorder_set(KnownSet& set) {
  SetState& state = set.second;
  std::vector<SetProgram::Entry> entries(state.program.entries().begin(), state.program.entries().end());
  std::unordered_map<RuleId, uint32_t> ranks;
  for (PolicyState* policy : state.policies) {
    uint32_t rank = policy->rank;
    for (const SetRule& rule : policy->side(set.first.direction).rules) ranks[rule.id] = rank++;
  }
  for (SetProgram::Entry& entry : entries) entry.rank = ranks.at(entry.rule);
  state.program.replace(std::move(entries));
  work_.sets[state.id].whole = true;
}

void Compiler::clear_set(KnownSet& set) {
  SetState& state = set.second;
  std::vector<AtomId> atoms = peers_of(state.program.entries());
  for (AtomId atom : atoms) {
    auto users = users_.find(atom);
    erase_sorted(users->second.sets, state.id);
    if (users->second.sets.empty() && users->second.classes.empty()) users_.erase(users);
  }
  for (PolicyState* policy : state.policies) {
    (void)entries_of(set, *policy, false);
    release_side(*policy, set.first.direction, nullptr);
  }
  state.policies.clear();
  state.program.clear();
}

}  // namespace causeway::policy
