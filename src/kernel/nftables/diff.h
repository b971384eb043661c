// The transaction from what is to what shall be. Pure.
#pragma once

#include "kernel/nftables/observed.h"
#include "kernel/nftables/table.h"

namespace causeway::nftables {

// Empty when the kernel holds the section already. Chains whose rules are the same keep them (and their counters), sets
// with the same declaration keep their elements but for those that differ. Elements of dynamic sets that packets put
// there are left alone.
Transaction diff(const Observed& actual, const Section& desired);

// The same for people: a line for each change, and for each element of one.
std::vector<std::string> lines_of(const Transaction& transaction);
// What observe() answers once the section is applied. Rules that cannot be lowered are left out.
Observed observed_of(const Section& section);
// Removes all of it.
Transaction removal(const Observed& actual);
// How many rows it writes: each element, and each other change.
uint64_t rows_of(const Transaction& transaction);

}  // namespace causeway::nftables
