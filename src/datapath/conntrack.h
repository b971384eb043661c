// Conntrack seen from the agent: pairs, expiry, and a map of another size that takes over the live flows.
#pragma once

#include <map>
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

// Whether the pair of this row is past `now`: the row itself, and the other one if there is one.
Result<bool> is_over(const bpf::Table<abi::ct_key, abi::ct_value>& table, const abi::ct_key& key,
                     const abi::ct_value& value, uint32_t now);

// Removes the rows of pairs that are over; how many. Holds some thousand rows in memory, not the map.
Result<size_t> sweep(ConntrackMap& map, uint32_t now);

// Open flows by the number of their backend: those that count in `backend_connections` (CT_F_COUNTED). What expired
// without a last packet was never taken off there.
Result<std::map<uint32_t, uint32_t>> open_connections(const bpf::Table<abi::ct_key, abi::ct_value>& table,
                                                      uint32_t now);

// When a conntrack map of another size is pinned: a new one takes its pin, with its live rows. Returns the old one,
// which programs use until they are replaced; none when the size is the same or there is no map.
Result<std::optional<ConntrackMap>> resize_conntrack(const std::string& map_folder, uint32_t entries);
// Rows that are live in `from` and missing in `to`.
Status copy_conntrack(const ConntrackMap& from, ConntrackMap& to);

}  // namespace causeway::datapath
