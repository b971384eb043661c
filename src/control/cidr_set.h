// The blocks of one cluster CIDR that nodes get, as kube-controller-manager cuts it: next-fit from the last block
// given, so that a block that was just freed is the last to be reused.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/ip.h"

namespace causeway::control {

class CidrSet {
 public:
  // `prefix` is the length of a node's block: cluster.prefix() <= prefix <= bits. For IPv6 at most 16 bits longer than
  // the cluster's (upstream's limit of the bitmap).
  static Result<CidrSet> make(Cidr cluster, int prefix);

  const Cidr& cluster() const { return cluster_; }
  size_t capacity() const { return used_.size(); }
  size_t used() const { return count_; }

  // The next free block; nothing when all are taken.
  std::optional<Cidr> take();
  // Marks every block that overlaps `cidr`, or frees it. What is outside of the cluster CIDR is ignored; idempotent.
  void occupy(const Cidr& cidr) { mark(cidr, true); }
  void release(const Cidr& cidr) { mark(cidr, false); }

 private:
  CidrSet(Cidr cluster, int prefix)
      : cluster_(cluster), prefix_(prefix), used_(size_t{1} << (prefix - cluster.prefix())) {}
  Cidr block(size_t index) const;
  size_t index_of(const Ip& ip) const;
  void mark(const Cidr& cidr, bool used);

  Cidr cluster_;
  int prefix_;
  std::vector<bool> used_;
  size_t count_ = 0;
  size_t next_ = 0;
};

}  // namespace causeway::control
