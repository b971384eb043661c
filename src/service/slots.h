// The slots of a pool: which backend each of them holds, and how to get there from what the kernel has. Pure.
#pragma once

#include "service/maglev.h"
#include "service/tables.h"

namespace causeway::service {

// How often each is in the slots, in their order: weights without their common divisor, bounded so that a pool has at
// most 1024 slots or 8 for each endpoint, whichever is more. None is left out.
std::vector<uint32_t> repetitions(const std::vector<Share>& shares);

// Whether each is the one before + 1: a row that says the first and how many says it all.
bool follow_one_another(const std::vector<uint32_t>& slots);

struct SlotPlan {
  std::vector<uint32_t> slots;    // the backend of each slot; empty where there is no endpoint
  std::vector<uint32_t> changed;  // slots that differ from what is there, new ones among them
  // Few changes are written where they are: every slot holds a backend that serves, before and after each write.
  // Otherwise all slots are written anew, under another epoch.
  bool in_place = false;
};

// `now`: the slots as they are. Where the order says nothing (all but hashing and weighted turns), slots that may stay
// do, so that one endpoint more or less is one write whatever the size of the pool.
SlotPlan plan_slots(Algorithm algorithm, const std::vector<Share>& shares, const std::vector<uint32_t>& now);

}  // namespace causeway::service
