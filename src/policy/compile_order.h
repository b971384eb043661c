// The order in which rules are judged, as numbers that stay when policies come and go: each policy has a range of
// ranks, with room between it and its neighbours. Pure.
#pragma once

#include <functional>
#include <set>

#include "policy/compile_set.h"

namespace causeway::policy {

class PolicyOrder {
 public:
  // Gives `policy` its ranks; those that it has stay if they are still in order. `moved` is called for each other
  // policy whose ranks had to change to make room.
  void insert(PolicyState& policy, const std::function<void(PolicyState&)>& moved);
  // Before the policy changes.
  void erase(PolicyState& policy) { order_.erase(&policy); }
  // Many at once: insert_unranked() for each, then number_all().
  void insert_unranked(PolicyState& policy) { order_.insert(&policy); }
  void number_all();

 private:
  struct Less {
    bool operator()(const PolicyState* a, const PolicyState* b) const { return precedes(*a->policy, *b->policy); }
  };
  using Order = std::set<PolicyState*, Less>;
  static void spread(Order::iterator first, Order::iterator last, uint32_t low, uint32_t high,
                     const std::function<void(PolicyState&)>& moved);

  Order order_;
};

}  // namespace causeway::policy
