// Nested blocks as ranges that do not overlap, each with the class of the longest block around it: what an interval map
// holds in place of a longest match. One change costs what lies inside the block. Pure.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <set>

#include "policy/tables.h"

namespace causeway::policy::nft {

class BlockRanges {
 public:
  struct Range {
    Ip last;
    ClassId peer = ClassId::None;
    bool operator==(const Range&) const = default;
  };
  using Ranges = std::map<Ip, Range>;  // by their first address; also those of class None

  // The block is of this class, or gone.
  void set(const Cidr& block, std::optional<ClassId> peer);
  const Ranges& ranges() const { return ranges_; }
  ClassId at(const Ip& ip) const;
  // Since the last call: first addresses whose range came, went or changed.
  std::set<Ip> take_dirty() { return std::exchange(dirty_, {}); }

 private:
  const std::pair<const Cidr, ClassId>* longest(const Ip& ip) const;

  std::map<Cidr, ClassId> blocks_;
  std::array<size_t, 33> lengths4_{};  // how many blocks have this length
  std::array<size_t, 129> lengths6_{};
  Ranges ranges_;
  std::set<Ip> dirty_;
};

Ip last_of(const Cidr& cidr);

}  // namespace causeway::policy::nft
