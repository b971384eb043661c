// Host ports as the section "hostport" of our nftables table. Pure.
#pragma once

#include "kernel/nftables/table.h"
#include "pod/hostport/tables.h"

namespace causeway::pod::hostport {

inline constexpr const char* kSection = "hostport";

// The rules are always the same, but for the node's address; rows are elements of maps.
nftables::Section section_of(const Tables& tables);

// A row that a transaction puts or removes.
struct ChangedRow {
  cluster::HostPortClaim claim;
  Endpoint to;
  bool removed = false;
  auto operator<=>(const ChangedRow&) const = default;
};
std::vector<ChangedRow> changed_rows(const nftables::Transaction& transaction);

}  // namespace causeway::pod::hostport
