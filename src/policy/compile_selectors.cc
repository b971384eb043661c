#include "policy/compile_selectors.h"

namespace causeway::policy {

namespace {

void mix(size_t& hash, std::string_view text) {
  hash = (hash ^ std::hash<std::string_view>()(text)) * 0x9e3779b97f4a7c15ull;
}

void mix(size_t& hash, const kube::Selector& selector) {
  for (const kube::Requirement& requirement : selector.requirements()) {
    mix(hash, requirement.key);
    hash += static_cast<size_t>(requirement.op);
    for (const std::string& value : requirement.values) mix(hash, value);
  }
}

}  // namespace

size_t SelectorIndex::Hash::operator()(const cluster::PodPeer& peer) const {
  size_t hash = 0;
  mix(hash, peer.ns.view());
  mix(hash, peer.namespaces);
  mix(hash, peer.pods);
  return hash;
}

void SelectorIndex::Scope::add(const Known* one) {
  if (!many && few.size() == kFew) {
    many = std::make_unique<LabelIndex<const Known*>>();
    for (const Known* each : few) many->add(each->first.pods, each);
    few.clear();
  }
  if (many)
    many->add(one->first.pods, one);
  else
    few.push_back(one);
}

void SelectorIndex::Scope::remove(const Known* one) {
  if (many)
    many->remove(one->first.pods, one);
  else
    few.erase(std::ranges::find(few, one));
}

SelectorIndex::Scope& SelectorIndex::scope_of(const cluster::PodPeer& peer) {
  if (!peer.ns.empty()) return of_namespace_[peer.ns];
  auto [scope, first] = of_namespaces_.try_emplace(peer.namespaces);
  if (first) scopes_.add(peer.namespaces, &*scope);
  return scope->second;
}

AtomId SelectorIndex::acquire(const cluster::PodPeer& peer, Role role, bool& fresh) {
  auto [known, added] = known_.try_emplace(peer);
  Entry& entry = known->second;
  fresh = entry.uses[static_cast<size_t>(role)]++ == 0;
  if (!added) return entry.id;
  do entry.id = atom_id(AtomKind::Selector, next_++);
  while (by_id_.contains(entry.id));
  by_id_.emplace(entry.id, &*known);
  entry.scope = &scope_of(peer);
  ++entry.scope->uses;
  entry.scope->add(&*known);
  return entry.id;
}

bool SelectorIndex::release(AtomId id, Role role) {
  const auto at = by_id_.find(id);
  Known& known = *at->second;
  if (--known.second.uses[static_cast<size_t>(role)] > 0) return false;
  if (known.second.in(Role::Subject) || known.second.in(Role::Peer)) return true;
  const cluster::PodPeer& peer = known.first;
  Scope& scope = *known.second.scope;
  scope.remove(&known);
  if (--scope.uses == 0) {
    if (!peer.ns.empty()) {
      of_namespace_.erase(of_namespace_.find(peer.ns));
    } else {
      auto it = of_namespaces_.find(peer.namespaces);
      scopes_.remove(peer.namespaces, &*it);
      of_namespaces_.erase(it);
    }
  }
  by_id_.erase(at);
  known_.erase(known_.find(peer));
  return true;
}

bool SelectorIndex::same_for(const cluster::Labels& a, const cluster::Labels& b) const {
  return a == b || std::ranges::all_of(of_namespaces_, [&](const auto& scope) {
           return scope.first.matches(a) == scope.first.matches(b);
         });
}

Atoms SelectorIndex::matching(const cluster::Pod& pod, const cluster::Labels& labels_of_namespace, Role role) const {
  Atoms out;
  const auto ask = [&](const Known* known) {
    if (known->second.in(role) && known->first.pods.matches(pod.labels)) out.push_back(known->second.id);
  };
  const auto take = [&](const Scope& scope) {
    if (scope.many)
      scope.many->candidates(pod.labels, ask);
    else
      for (const Known* known : scope.few) ask(known);
  };
  if (!of_namespace_.empty())
    if (auto own = of_namespace_.find(std::string_view(pod.key.ns)); own != of_namespace_.end()) take(own->second);
  scopes_.candidates(labels_of_namespace, [&](const auto* scope) {
    if (scope->first.matches(labels_of_namespace)) take(scope->second);
  });
  std::ranges::sort(out);
  return out;
}

}  // namespace causeway::policy
