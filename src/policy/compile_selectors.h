// Selectors of Pods, each distinct one once however many rules use it, and which of them a Pod is in. Pure.
#pragma once

#include <memory>
#include <unordered_map>

#include "cluster/model/policies.h"
#include "policy/compile_labels.h"

namespace causeway::policy {

// What a peer can be a member of: a selector, a block, or what a Pod calls a port. One number space for all, so that
// a class is one sorted list.
enum class AtomId : uint32_t {};
enum class AtomKind : uint8_t { Selector, Block, Port };
constexpr AtomId atom_id(AtomKind kind, uint32_t number) {
  return AtomId{static_cast<uint32_t>(kind) << 30 | (number & 0x3fffffff)};
}
constexpr AtomKind kind_of(AtomId id) { return static_cast<AtomKind>(static_cast<uint32_t>(id) >> 30); }
using Atoms = std::vector<AtomId>;  // sorted, each once

class SelectorIndex {
 public:
  SelectorIndex() = default;
  SelectorIndex(const SelectorIndex&) = delete;  // scopes are known by their places

  // One more use. `fresh`: there was none before.
  AtomId acquire(const cluster::PodPeer& peer, bool& fresh);
  // One use less; true when it was the last: the id is gone.
  bool release(AtomId id);
  const cluster::PodPeer& peer(AtomId id) const { return *by_id_.at(id).peer; }
  bool has(AtomId id) const { return by_id_.contains(id); }
  size_t size() const { return by_id_.size(); }

  // Those that a Pod is in, sorted.
  Atoms matching(const cluster::Pod& pod, const cluster::Labels& labels_of_namespace) const;

 private:
  struct Scope {
    LabelIndex<AtomId> pods;
    size_t uses = 0;
  };
  struct Entry {
    const cluster::PodPeer* peer = nullptr;  // a key of ids_
    Scope* scope = nullptr;
    size_t uses = 0;
  };

  std::map<cluster::PodPeer, AtomId> ids_;
  std::unordered_map<AtomId, Entry> by_id_;
  std::map<std::string, Scope, std::less<>> of_namespace_;
  std::map<kube::Selector, Scope> of_namespaces_;
  LabelIndex<const std::pair<const kube::Selector, Scope>*> scopes_;  // of_namespaces_, by its labels
  uint32_t next_ = 0;
};

}  // namespace causeway::policy
