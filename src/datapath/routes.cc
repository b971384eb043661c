#include "datapath/routes.h"

#include <algorithm>
#include <functional>
#include <set>

#include "datapath/rows.h"

namespace causeway::datapath {

namespace {

using Lengths = std::set<uint32_t, std::greater<>>;

abi::route_mask mask_of(uint32_t prefixlen) {
  std::array<uint8_t, 16> ones;
  ones.fill(0xff);
  auto prefix = Cidr(Ip::v6(ones), static_cast<int>(prefixlen) - 32);
  abi::route_mask mask{.prefixlen = prefixlen};
  std::copy(prefix.address().bytes().begin(), prefix.address().bytes().end(),
            reinterpret_cast<uint8_t*>(mask.mask.word));
  return mask;
}

Status fill(abi::route_mask (&list)[abi::ROUTE_LENGTHS_MAX], const Lengths& lengths, Family family) {
  if (lengths.size() > abi::ROUTE_LENGTHS_MAX)
    return fail(Errc::Exhausted, "routes: {} different prefix lengths of {}, the data path asks for at most {}",
                lengths.size(), to_string(family), static_cast<int>(abi::ROUTE_LENGTHS_MAX));
  std::transform(lengths.begin(), lengths.end(), list, mask_of);
  return ok();
}

std::vector<abi::route_key> keys_of(const abi::route_lengths& lengths) {
  std::vector<abi::route_key> keys;
  for (const auto& mask : lengths.v4)
    if (mask.prefixlen) keys.push_back({.prefixlen = mask.prefixlen, .addr = to_abi(Ip())});
  for (const auto& mask : lengths.v6)
    if (mask.prefixlen) keys.push_back({.prefixlen = mask.prefixlen});
  return keys;
}

}  // namespace

Result<abi::route_lengths> lengths_of(const std::vector<abi::route_key>& keys) {
  Lengths v4, v6;
  for (const auto& key : keys) (from_abi(key.addr).is_v4() ? v4 : v6).insert(key.prefixlen);
  abi::route_lengths lengths{};
  TRY(fill(lengths.v4, v4, Family::V4));
  TRY(fill(lengths.v6, v6, Family::V6));
  return lengths;
}

Result<RouteTable> RouteTable::open(RouteMap rows, LengthMap lengths) {
  std::vector<abi::route_key> keys;
  for (const auto& [key, value] : TRY(rows.dump())) keys.push_back(key);
  RouteTable table(std::move(rows), std::move(lengths));
  table.published_ = TRY(lengths_of(keys));
  TRY(table.lengths_.put(0u, table.published_));
  return table;
}

Status RouteTable::put(const std::vector<Row>& rows) {
  auto keys = keys_of(published_);
  for (const auto& [key, value] : rows) keys.push_back(key);
  auto lengths = TRY(lengths_of(keys));
  if (lengths != published_) TRY(lengths_.put(0u, lengths));
  published_ = lengths;
  return rows_.put(rows);
}

}  // namespace causeway::datapath
