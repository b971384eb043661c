// Selectors of Nodes that rules name, each distinct one once, and which addresses are members of them. Nothing is kept
// while no rule names any. Pure.
#pragma once

#include "cluster/model/model.h"
#include "policy/compile_selectors.h"

namespace causeway::policy {

class NodeIndex {
 public:
  // One more use.
  AtomId acquire(const cluster::NodePeer& peer);
  // One use less.
  void release(AtomId id);
  const cluster::NodePeer& peer(AtomId id) const { return *by_id_.at(id); }

  // After that, or after Nodes changed: the addresses whose memberships are others now, each once.
  std::set<Ip> update(const cluster::Before<std::string, cluster::Node>& changes, const cluster::Model& model);
  // As of the last update().
  const Atoms& containing(const Ip& ip) const;
  bool has(const Cidr& prefix) const { return prefix.prefix() == prefix.address().bits() && has(prefix.address()); }
  // Those of has() inside `outer`, as prefixes.
  void inside(const Cidr& outer, std::vector<Cidr>& out) const;

 private:
  struct Entry {
    AtomId id{};
    size_t uses = 0;
  };
  bool has(const Ip& ip) const { return members_.contains(ip); }
  void index(const cluster::Node& node, bool add, std::set<Ip>* touched);
  Atoms members_of(const Ip& ip, const cluster::Model& model) const;

  std::map<cluster::NodePeer, Entry> known_;
  std::unordered_map<AtomId, const cluster::NodePeer*> by_id_;
  std::set<AtomId> come_, gone_;  // since the last update()
  uint32_t next_ = 0;
  bool indexed_ = false;
  std::map<Ip, std::set<std::string>> nodes_at_;  // while indexed_
  std::map<Ip, Atoms> members_;                   // none is empty
};

}  // namespace causeway::policy
