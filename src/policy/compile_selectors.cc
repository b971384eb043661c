#include "policy/compile_selectors.h"

namespace causeway::policy {

AtomId SelectorIndex::acquire(const cluster::PodPeer& peer, bool& fresh) {
  auto [known, added] = ids_.try_emplace(peer);
  fresh = added;
  if (!added) {
    ++by_id_.at(known->second).uses;
    return known->second;
  }
  do known->second = atom_id(AtomKind::Selector, next_++);
  while (by_id_.contains(known->second));
  Entry entry{.peer = &known->first, .uses = 1};
  if (!peer.ns.empty()) {
    entry.scope = &of_namespace_[std::string(peer.ns)];
  } else {
    auto [scope, first] = of_namespaces_.try_emplace(peer.namespaces);
    if (first) scopes_.add(peer.namespaces, &*scope);
    entry.scope = &scope->second;
  }
  ++entry.scope->uses;
  entry.scope->pods.add(peer.pods, known->second);
  by_id_.emplace(known->second, entry);
  return known->second;
}

bool SelectorIndex::release(AtomId id) {
  auto at = by_id_.find(id);
  if (--at->second.uses > 0) return false;
  const cluster::PodPeer& peer = *at->second.peer;
  Scope& scope = *at->second.scope;
  scope.pods.remove(peer.pods, id);
  if (--scope.uses == 0) {
    if (!peer.ns.empty()) {
      of_namespace_.erase(std::string(peer.ns));
    } else {
      auto it = of_namespaces_.find(peer.namespaces);
      scopes_.remove(peer.namespaces, &*it);
      of_namespaces_.erase(it);
    }
  }
  auto known = ids_.find(peer);
  by_id_.erase(at);
  ids_.erase(known);
  return true;
}

Atoms SelectorIndex::matching(const cluster::Pod& pod, const cluster::Labels& labels_of_namespace) const {
  Atoms out;
  const auto take = [&](const Scope& scope) {
    scope.pods.candidates(pod.labels, [&](AtomId id) {
      if (by_id_.at(id).peer->pods.matches(pod.labels)) out.push_back(id);
    });
  };
  if (auto own = of_namespace_.find(pod.key.ns); own != of_namespace_.end()) take(own->second);
  scopes_.candidates(labels_of_namespace, [&](const auto* scope) {
    if (scope->first.matches(labels_of_namespace)) take(scope->second);
  });
  std::ranges::sort(out);
  return out;
}

}  // namespace causeway::policy
