// Address blocks, each distinct one once, and the prefixes that cut addresses into parts with equal memberships. An
// exception takes addresses out of its own block only, so every prefix knows the full set of blocks that hold it: the
// longest match alone then answers. Pure.
#pragma once

#include <unordered_map>

#include "policy/compile_selectors.h"

namespace causeway::policy {

class BlockIndex {
 public:
  AtomId acquire(const cluster::PolicyBlock& block, bool& fresh);
  // True when it was the last use: `block(id)` is gone.
  bool release(AtomId id);
  const cluster::PolicyBlock& block(AtomId id) const { return *by_id_.at(id).block; }

  // The blocks that hold all of the prefix, or this address; sorted.
  Atoms containing(const Cidr& prefix) const;
  Atoms containing(const Ip& ip) const { return empty() ? Atoms() : containing(host_cidr(ip)); }
  bool empty() const { return by_id_.empty(); }
  bool is_prefix(const Cidr& prefix) const { return prefixes_.contains(prefix); }
  // The prefixes inside `outer`, it itself among them.
  std::vector<Cidr> inside(const Cidr& outer) const;

 private:
  struct Prefix {
    size_t uses = 0;  // by blocks and exceptions
    Atoms begin_here;
  };
  struct Entry {
    const cluster::PolicyBlock* block = nullptr;  // a key of ids_
    size_t uses = 0;
  };
  void use(const Cidr& prefix, bool add);

  std::map<cluster::PolicyBlock, AtomId> ids_;
  std::unordered_map<AtomId, Entry> by_id_;
  std::map<Cidr, Prefix> prefixes_;
  std::map<int, size_t> lengths_v4_, lengths_v6_;  // of prefixes_: how many have it
  uint32_t next_ = 0;
};

}  // namespace causeway::policy
