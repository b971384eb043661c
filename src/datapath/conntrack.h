// Conntrack seen from the agent: pairs, expiry, and a map of another size that takes over the live flows.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "abi/ct.h"
#include "base/result.h"
#include "kernel/bpf/map.h"

namespace causeway::datapath {

using ConntrackMap = bpf::Map<abi::ct_key, abi::ct_value>;

// Seconds of CLOCK_MONOTONIC, as the programs count.
uint32_t monotonic_seconds();

// The key of the pair's other row: the tuple after this row's translation, turned round (bpf/lib/ct.h has the same).
abi::ct_key twin_of(const abi::ct_key& key, const abi::ct_value& value);

// Rows of pairs of which both rows are past `now`.
std::vector<abi::ct_key> expired_rows(const ConntrackMap::Rows& rows, uint32_t now);

// When a conntrack map of another size is pinned: a new one takes its pin, with its live rows. Returns the old one,
// which programs use until they are replaced; none when the size is the same or there is no map.
Result<std::optional<ConntrackMap>> resize_conntrack(const std::string& map_folder, uint32_t entries);
// Rows that are live in `from` and missing in `to`.
Status copy_conntrack(const ConntrackMap& from, ConntrackMap& to);

}  // namespace causeway::datapath
