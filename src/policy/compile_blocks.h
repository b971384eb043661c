// Lists of address blocks, each distinct one once, and the prefixes that cut addresses into parts with equal
// memberships. An exception takes addresses out of its own block only, so every prefix knows all lists that hold it:
// the longest match alone then answers. Pure.
#pragma once

#include <functional>
#include <span>
#include <unordered_map>

#include "base/sorted_chunks.h"
#include "policy/compile_selectors.h"

namespace causeway::policy {

// Sorted, each once. Whoever is in one of them is in the list.
using BlockList = std::vector<cluster::PolicyBlock>;

// The lists that a rule's blocks make. Each block is one, but many narrow ones are one together: thousands of blocks of
// one rule are then one membership, not thousands. Wide ones stay apart: what many rules share would else be a
// membership for each rule of every prefix inside it.
std::vector<BlockList> lists_of(const std::vector<cluster::PolicyBlock>& blocks, size_t many);
std::string to_string(const BlockList& list);

class BlockIndex {
 public:
  AtomId acquire(BlockList list, bool& fresh);
  // Not the last use: nothing. Else the list, which is gone.
  std::optional<BlockList> release(AtomId id);
  bool knows(AtomId id) const { return by_id_.contains(id); }
  const BlockList& list(AtomId id) const { return *by_id_.at(id).list; }
  // Before anything else is asked: puts what was acquired where it belongs, all of it at once, as that is cheaper by
  // far where it is much.
  void settle();

  // The lists that hold all of the prefix, or this address; sorted.
  Atoms containing(const Cidr& prefix) const;
  Atoms containing(const Ip& ip) const { return empty() ? Atoms() : containing(host_cidr(ip)); }
  // The same for each prefix that there is, in order; a walk over all.
  void each(const std::function<void(const Cidr&, std::span<const AtomId>)>& act) const;
  bool empty() const { return by_id_.empty(); }
  size_t prefixes() const { return prefixes_.size(); }
  bool is_prefix(const Cidr& prefix) const { return prefixes_.contains(prefix); }
  // The prefixes inside `outer`, it itself among them.
  void inside(const Cidr& outer, std::vector<Cidr>& out) const;

 private:
  struct Begin {
    AtomId list{};
    uint32_t block : 31 = 0;  // of the list
    uint32_t excepts : 1 = 0;
  };
  // Of a block or an exception that was acquired.
  struct Coming {
    Cidr cidr;
    std::optional<Begin> begin;
  };
  struct Prefix {
    Cidr cidr;
    mutable uint32_t uses = 0;  // by blocks and exceptions
    mutable CompactVector<Begin> begin_here;
  };
  struct Less {
    bool operator()(const Prefix& a, const Prefix& b) const { return a.cidr < b.cidr; }
    bool operator()(const Prefix& a, const Cidr& b) const { return a.cidr < b; }
    bool operator()(const Cidr& a, const Prefix& b) const { return a < b.cidr; }
  };
  struct Entry {
    const BlockList* list = nullptr;  // a key of ids_
    size_t uses = 0;
  };
  const Prefix& use(const Cidr& prefix);
  auto& lengths_of(const Cidr& prefix) { return prefix.family() == Family::V4 ? lengths_v4_ : lengths_v6_; }
  void settle_many();
  void let_go(const Cidr& prefix);
  bool holds(const Begin& begin, const Cidr& part) const;

  std::map<BlockList, AtomId> ids_;
  std::unordered_map<AtomId, Entry> by_id_;
  SortedChunks<Prefix, Less> prefixes_;
  std::vector<Coming> coming_;
  std::map<int, size_t> lengths_v4_, lengths_v6_;  // of prefixes_: how many have it
  uint32_t next_ = 0;
};

}  // namespace causeway::policy
