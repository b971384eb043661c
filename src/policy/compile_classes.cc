// Who is in which class: Pods by their addresses, and prefixes.
#include <algorithm>

#include "policy/compile.h"

namespace causeway::policy {

namespace {

using Claims = CompactVector<Ip>;

// What a Pod says is its own. The host's network: matched only as the node's address, by blocks. What has ended: its
// address may be another's.
Claims claims_of(const cluster::Pod& pod) {
  Claims out;
  if (pod.host_network || pod.finished) return out;
  for (const Ip& ip : pod.addresses)
    if (std::ranges::find(out, ip) == out.end()) out.push_back(ip);
  return out;
}

}  // namespace

void Compiler::each_pod(const cluster::PodPeer& peer, const cluster::Model& model,
                        const std::function<void(const cluster::Pod&)>& act) {
  if (!peer.ns.empty()) return pods_.each(std::string(peer.ns), peer.pods, model, act);
  for (const auto& [name, ns] : model.namespaces())
    if (peer.namespaces.matches(ns.labels)) pods_.each(name, peer.pods, model, act);
  // A namespace that is not known yet has no labels, and some selectors match that.
  if (peer.namespaces.matches({}))
    for (auto pod = model.pods().begin(); pod != model.pods().end();) {
      const std::string& ns = pod->first.ns;
      if (!model.namespaces().contains(ns)) pods_.each(ns, peer.pods, model, act);
      pod = model.pods().upper_bound({ns, "\xff"});
    }
}

void Compiler::mark_members(const cluster::PodPeer& peer, const cluster::Model& model) {
  each_pod(peer, model, [&](const cluster::Pod& pod) { work_.pods.insert(pod.key); });
}

void Compiler::mark_names(const std::set<Name>& names, const cluster::Model& model) {
  if (names.empty()) return;
  for (const auto& [key, pod] : model.pods())
    for (const NamedPort& port : pod.ports)
      if (names.contains(Name(port.name))) work_.pods.insert(key);
}

void Compiler::mark_nodes(const cluster::ChangeSet& changes, const cluster::Model& model) {
  for (const Ip& ip : peer_nodes_.update(changes.nodes, model)) {
    work_.prefixes.push_back(host_cidr(ip));
    if (const Address* row = addresses.find(ip)) work_.pods.insert(row->pod);
  }
}

void Compiler::mark_blocks(const BlockList& list) {
  const bool first = blocks.rows().empty();  // all prefixes are placed anyway
  if (first && work_.all) return;
  for (const cluster::PolicyBlock& block : list) {
    if (!first) {
      peer_blocks_.inside(block.cidr, work_.prefixes);
      peer_nodes_.inside(block.cidr, work_.prefixes);
      work_.prefixes.push_back(block.cidr);  // may be a prefix no more
      work_.prefixes.insert(work_.prefixes.end(), block.except.begin(), block.except.end());
    }
    if (work_.all) continue;
    for (auto at = addresses.rows().lower_bound(block.cidr.address());
         at != addresses.rows().end() && block.cidr.contains(at->first); ++at)
      work_.pods.insert(at->second.pod);
  }
}

// There are no rows yet.
void Compiler::place_first_prefixes() {
  std::unordered_map<AtomId, KnownClass*> of_one;  // classes with one member: most
  peer_blocks_.each([&](const Cidr& prefix, std::span<const AtomId> members) {
    if (members.size() != 1 || peer_nodes_.has(prefix))
      return place_prefix(prefix, Atoms(members.begin(), members.end()));
    KnownClass*& known = of_one[members[0]];
    if (known) {
      ++known->second.uses;
      blocks.put(prefix, known->second.id);
    } else {
      const ClassId peer = acquire_class({members[0]});
      known = classes_.at(peer);
      blocks.put(prefix, peer);
    }
  });
  for (const Cidr& prefix : work_.prefixes)
    if (!peer_blocks_.is_prefix(prefix)) place_prefix(prefix, peer_blocks_.containing(prefix));
}

void Compiler::place_prefixes() {
  if (blocks.rows().empty()) return place_first_prefixes();
  std::vector<Cidr>& prefixes = work_.prefixes;
  std::ranges::sort(prefixes);
  prefixes.erase(std::ranges::unique(prefixes).begin(), prefixes.end());
  // So many are cheaper as a walk over all than one by one.
  if (prefixes.size() < 1000 || prefixes.size() < peer_blocks_.prefixes() / 4) {
    for (const Cidr& prefix : prefixes) place_prefix(prefix, peer_blocks_.containing(prefix));
    return;
  }
  auto next = prefixes.begin();
  // No block's any more, or a Node's only.
  const auto place_other = [&](const Cidr& prefix) {
    place_prefix(prefix, peer_nodes_.has(prefix) ? peer_blocks_.containing(prefix) : Atoms());
  };
  peer_blocks_.each([&](const Cidr& prefix, std::span<const AtomId> members) {
    for (; next != prefixes.end() && *next < prefix; ++next) place_other(*next);
    if (next == prefixes.end() || *next != prefix) return;
    place_prefix(prefix, Atoms(members.begin(), members.end()));
    ++next;
  });
  for (; next != prefixes.end(); ++next) place_other(*next);
}

// `blocks_around`: the lists of blocks that hold it.
void Compiler::place_prefix(const Cidr& prefix, Atoms blocks_around) {
  const ClassId* before = blocks.find(prefix);
  const ClassId old = before ? *before : ClassId::None;
  const bool node = peer_nodes_.has(prefix);
  Atoms members = std::move(blocks_around);
  if (node)  // of the last kind: behind the lists
    for (AtomId nodes : peer_nodes_.containing(prefix.address())) members.push_back(nodes);
  if (node || peer_blocks_.is_prefix(prefix))
    blocks.put(prefix, acquire_class(std::move(members)));
  else
    blocks.erase(prefix);
  release_class(old);
}

void Compiler::drop_claim(const Ip& ip, const PodKey& key) {
  auto rivals = contested_.find(ip);
  if (rivals != contested_.end()) {
    rivals->second.erase(key);
    const PodKey heir = *rivals->second.begin();
    if (rivals->second.size() == 1) contested_.erase(rivals);
    // Nobody has it: the heir before this one may have gone in the same change.
    const Address* row = addresses.find(ip);
    if (!row || row->pod == key) work_.pods.insert(heir);
  }
  const Address* row = addresses.find(ip);
  if (!row || row->pod != key) return;
  const ClassId old = row->peer;
  addresses.erase(ip);
  release_class(old);
}

// `before`: what the Pod was when this was asked last.
void Compiler::place_addresses(const PodKey& key, const cluster::Pod* before, const cluster::Model& model) {
  auto found = model.pods().find(key);
  const auto wanted = found == model.pods().end() ? Claims() : claims_of(found->second);
  if (before)
    for (const Ip& ip : claims_of(*before))
      if (std::ranges::find(wanted, ip) == wanted.end()) drop_claim(ip, key);
  if (wanted.empty()) return;
  std::vector<Ip> own;
  for (const Ip& ip : wanted) {
    const Address* row = addresses.find(ip);
    if (row && row->pod != key) {
      // Two Pods say that it is theirs: every node decides alike, by name.
      auto& rivals = contested_[ip];
      rivals.insert({row->pod, key});
      if (*rivals.begin() != key) continue;
    }
    own.push_back(ip);
  }
  if (own.empty()) return;
  const cluster::Pod& pod = found->second;
  Atoms shared = selectors_.matching(pod, labels_of(model, key.ns), Role::Peer);
  if (!sets_of_name_.empty())
    for (const NamedPort& port : pod.ports)
      if (sets_of_name_.contains(Name(port.name))) shared.push_back(value_atom(port));
  for (const Ip& ip : own) {
    const Address* row = addresses.find(ip);
    const ClassId old = row ? row->peer : ClassId::None;
    Atoms members = shared;
    for (AtomId list : peer_blocks_.containing(ip)) members.push_back(list);
    for (AtomId nodes : peer_nodes_.containing(ip)) members.push_back(nodes);
    std::ranges::sort(members);
    addresses.put(ip, {.pod = key, .peer = acquire_class(std::move(members))});
    release_class(old);
  }
}

AtomId Compiler::value_atom(const NamedPort& value) {
  auto [known, fresh] = values_.try_emplace(value);
  if (fresh) {
    do known->second.id = atom_id(AtomKind::Port, next_value_++);
    while (value_of_.contains(known->second.id));
    value_of_[known->second.id] = &known->first;
    // Sets that ask for the name have one more port to tell apart.
    for (SetId set : sets_of_name_.at(Name(value.name))) work_.sets[set].whole = true;
  }
  return known->second.id;
}

ClassId Compiler::acquire_class(Atoms members) {
  if (members.empty()) return ClassId::None;
  auto [known, fresh] = known_classes_.try_emplace(std::move(members));
  ClassState& state = known->second;
  if (fresh) {
    do state.id = ClassId{next_class_++};
    while (state.id == ClassId::None || classes_.contains(state.id));
    classes_.emplace(state.id, &*known);
    for (AtomId atom : known->first) {
      auto& of = users_[atom].classes;
      of.insert(std::ranges::lower_bound(of, state.id), state.id);
      if (kind_of(atom) == AtomKind::Port) ++values_.at(*value_of_.at(atom)).uses;
    }
    work_.fresh_classes.insert(state.id);
  }
  ++state.uses;
  return state.id;
}

std::set<SetId> Compiler::sets_of(const Atoms& members) const {
  std::set<SetId> out;
  for (AtomId atom : members) {
    if (auto users = users_.find(atom); users != users_.end())
      out.insert(users->second.sets.begin(), users->second.sets.end());
    if (kind_of(atom) != AtomKind::Port) continue;
    if (auto users = sets_of_name_.find(Name(value_of_.at(atom)->name)); users != sets_of_name_.end())
      out.insert(users->second.begin(), users->second.end());
  }
  return out;
}

void Compiler::release_class(ClassId id) {
  if (id == ClassId::None) return;
  const auto at = classes_.find(id);
  KnownClass& known = *at->second;
  if (--known.second.uses > 0) return;
  const std::set<SetId> concerned = sets_of(known.first);
  for (AtomId atom : known.first) {
    auto users = users_.find(atom);
    auto& of = users->second.classes;
    of.erase(std::ranges::lower_bound(of, id));
    if (of.empty() && users->second.sets.empty()) users_.erase(users);
    if (kind_of(atom) != AtomKind::Port) continue;
    auto value = values_.find(*value_of_.at(atom));
    if (--value->second.uses > 0) continue;
    if (auto askers = sets_of_name_.find(Name(value->first.name)); askers != sets_of_name_.end())
      for (SetId set : askers->second) work_.sets[set].whole = true;
    value_of_.erase(atom);
    values_.erase(value);
  }
  for (SetId set : concerned) put_rows(set, id, {});
  work_.fresh_classes.erase(id);
  classes_.erase(at);
  known_classes_.erase(known_classes_.find(known.first));
}

}  // namespace causeway::policy
