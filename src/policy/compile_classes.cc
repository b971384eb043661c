// Who is in which class: Pods by their addresses, and prefixes.
#include "policy/compile.h"

namespace causeway::policy {

void Compiler::mark_members(const cluster::PodPeer& peer, const cluster::Model& model) {
  const auto look = [&](const cluster::Pod& pod) {
    if (peer.pods.matches(pod.labels)) work_.pods.insert(pod.key);
  };
  const auto look_into = [&](const std::string& ns) {
    for (auto pod = model.pods().lower_bound({ns, ""}); pod != model.pods().end() && pod->first.ns == ns; ++pod)
      look(pod->second);
  };
  if (!peer.ns.empty()) return look_into(std::string(peer.ns));
  for (const auto& [name, ns] : model.namespaces())
    if (peer.namespaces.matches(ns.labels)) look_into(name);
  // A namespace that is not known yet has no labels, and some selectors match that.
  if (peer.namespaces.matches({}))
    for (auto pod = model.pods().begin(); pod != model.pods().end();) {
      const std::string& ns = pod->first.ns;
      if (!model.namespaces().contains(ns)) look_into(ns);
      pod = model.pods().upper_bound({ns, "\xff"});
    }
}

void Compiler::mark_names(const std::set<Name>& names, const cluster::Model& model) {
  if (names.empty()) return;
  for (const auto& [key, pod] : model.pods())
    for (const NamedPort& port : pod.ports)
      if (names.contains(Name(port.name))) work_.pods.insert(key);
}

void Compiler::mark_block(const cluster::PolicyBlock& block) {
  for (const Cidr& prefix : peer_blocks_.inside(block.cidr)) work_.prefixes.insert(prefix);
  work_.prefixes.insert(block.cidr);  // may be a prefix no more
  for (const Cidr& except : block.except) work_.prefixes.insert(except);
  if (work_.all) return;
  for (auto at = addresses.rows().lower_bound(block.cidr.address());
       at != addresses.rows().end() && block.cidr.contains(at->first); ++at)
    work_.pods.insert(at->second.pod);
}

void Compiler::place_prefix(const Cidr& prefix) {
  const ClassId* before = blocks.find(prefix);
  const ClassId old = before ? *before : ClassId::None;
  if (peer_blocks_.is_prefix(prefix))
    blocks.put(prefix, acquire_class(peer_blocks_.containing(prefix)));
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

void Compiler::place_addresses(const PodKey& key, const cluster::Model& model) {
  auto found = model.pods().find(key);
  // The host's network: matched only as the node's address, by blocks. What has ended: its address may be another's.
  const bool counts = found != model.pods().end() && !found->second.host_network && !found->second.finished;
  std::vector<Ip> wanted;
  if (counts)
    for (const Ip& ip : found->second.addresses)
      if (std::ranges::find(wanted, ip) == wanted.end()) wanted.push_back(ip);
  if (auto had = claims_.find(key); had != claims_.end())
    for (const Ip& ip : std::vector(had->second))
      if (std::ranges::find(wanted, ip) == wanted.end()) drop_claim(ip, key);
  if (wanted.empty()) {
    claims_.erase(key);
    return;
  }
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
  claims_[key] = std::move(wanted);
  if (own.empty()) return;
  const cluster::Pod& pod = found->second;
  Atoms shared = peer_selectors_.matching(pod, labels_of(model, key.ns));
  if (!sets_of_name_.empty())
    for (const NamedPort& port : pod.ports)
      if (sets_of_name_.contains(Name(port.name))) shared.push_back(value_atom(port));
  for (const Ip& ip : own) {
    const Address* row = addresses.find(ip);
    const ClassId old = row ? row->peer : ClassId::None;
    Atoms members = shared;
    const Atoms holding = peer_blocks_.containing(ip);
    members.insert(members.end(), holding.begin(), holding.end());
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
    for (SetId set : sets_of_name_.at(Name(value.name))) work_.finish.insert(set);
  }
  return known->second.id;
}

ClassId Compiler::acquire_class(Atoms members) {
  if (members.empty()) return ClassId::None;
  auto [known, fresh] = class_ids_.try_emplace(std::move(members));
  if (fresh) {
    do known->second = ClassId{next_class_++};
    while (known->second == ClassId::None || classes_.contains(known->second));
    classes_[known->second].members = &known->first;
    for (AtomId atom : known->first) {
      classes_of_[atom].insert(known->second);
      if (kind_of(atom) == AtomKind::Port) ++values_.at(*value_of_.at(atom)).uses;
    }
    work_.fresh_classes.insert(known->second);
  }
  ++classes_.at(known->second).uses;
  return known->second;
}

void Compiler::release_class(ClassId id) {
  if (id == ClassId::None) return;
  auto at = classes_.find(id);
  if (--at->second.uses > 0) return;
  std::set<SetId> concerned;
  for (AtomId atom : *at->second.members) {
    auto of = classes_of_.find(atom);
    of->second.erase(id);
    if (of->second.empty()) classes_of_.erase(of);
    if (auto users = sets_of_atom_.find(atom); users != sets_of_atom_.end())
      concerned.insert(users->second.begin(), users->second.end());
    if (kind_of(atom) != AtomKind::Port) continue;
    auto value = values_.find(*value_of_.at(atom));
    if (auto users = sets_of_name_.find(Name(value->first.name)); users != sets_of_name_.end())
      concerned.insert(users->second.begin(), users->second.end());
    if (--value->second.uses > 0) continue;
    if (auto users = sets_of_name_.find(Name(value->first.name)); users != sets_of_name_.end())
      work_.finish.insert(users->second.begin(), users->second.end());
    value_of_.erase(atom);
    values_.erase(value);
  }
  for (SetId set : concerned) put_rows(set, id, {});
  work_.fresh_classes.erase(id);
  class_ids_.erase(class_ids_.find(*at->second.members));
  classes_.erase(at);
}

}  // namespace causeway::policy
