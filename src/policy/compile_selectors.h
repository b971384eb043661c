// Selectors of Pods, each distinct one once however many policies and rules use it, and which of them a Pod is in.
// Pure.
#pragma once

#include <memory>
#include <unordered_map>

#include "base/compact_vector.h"
#include "cluster/model/policies.h"
#include "policy/compile_labels.h"
#include "policy/tables.h"

namespace causeway::policy {

// What a peer can be a member of: a selector, a list of blocks, what a Pod calls a port, or a selector of Nodes. One
// number space for all, so that a class is one sorted list.
enum class AtomId : uint32_t {};
enum class AtomKind : uint8_t { Selector, Block, Port, Nodes };
constexpr AtomId atom_id(AtomKind kind, uint32_t number) {
  return AtomId{static_cast<uint32_t>(kind) << 30 | (number & 0x3fffffff)};
}
constexpr AtomKind kind_of(AtomId id) { return static_cast<AtomKind>(static_cast<uint32_t>(id) >> 30); }
using Atoms = CompactVector<AtomId>;  // sorted, each once

// What a selector is used for: whom policies judge, or whom rules name.
enum class Role : uint8_t { Subject, Peer };

class SelectorIndex {
 public:
  SelectorIndex() = default;
  SelectorIndex(const SelectorIndex&) = delete;  // scopes are known by their places

  // One more use. `fresh`: there was none in this role before.
  AtomId acquire(const cluster::PodPeer& peer, Role role, bool& fresh);
  // One use less; true when it was the last in this role.
  bool release(AtomId id, Role role);
  const cluster::PodPeer& peer(AtomId id) const { return by_id_.at(id)->first; }

  // Those in use in this role that a Pod is in, sorted.
  Atoms matching(const cluster::Pod& pod, const cluster::Labels& labels_of_namespace, Role role) const;
  // Whether no selector tells two namespaces with these labels apart.
  bool same_for(const cluster::Labels& a, const cluster::Labels& b) const;

 private:
  // A few are asked each.
  static constexpr size_t kFew = 8;
  struct Entry;
  using Known = std::pair<const cluster::PodPeer, Entry>;
  struct Scope {
    CompactVector<const Known*> few;
    std::unique_ptr<LabelIndex<const Known*>> many;  // in place of `few`
    size_t uses = 0;
    void add(const Known* one);
    void remove(const Known* one);
  };
  struct Entry {
    AtomId id{};
    uint32_t uses[2] = {};
    Scope* scope = nullptr;
    bool in(Role role) const { return uses[static_cast<size_t>(role)] > 0; }
  };
  struct Hash {
    size_t operator()(const cluster::PodPeer& peer) const;
  };
  struct HashText {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  Scope& scope_of(const cluster::PodPeer& peer);

  std::unordered_map<cluster::PodPeer, Entry, Hash> known_;
  std::unordered_map<AtomId, Known*> by_id_;
  std::unordered_map<Name, Scope, HashText, std::equal_to<>> of_namespace_;
  std::map<kube::Selector, Scope> of_namespaces_;
  LabelIndex<const std::pair<const kube::Selector, Scope>*> scopes_;  // of_namespaces_, by its labels
  uint32_t next_ = 0;
};

}  // namespace causeway::policy
