// The route table as its users see it: rows by prefix. Keeps `route_lengths` beside it, which tells the programs which
// prefix lengths to ask for (bpf/abi/fabric.h).
#pragma once

#include "abi/fabric.h"
#include "datapath/datapath.h"
#include "kernel/bpf/map.h"

namespace causeway::datapath {

// Every length of these keys, longest first. Exhausted: more different ones than the programs ask for (16 of a family).
Result<abi::route_lengths> lengths_of(const std::vector<abi::route_key>& keys);

class RouteTable final : public Routes {
 public:
  using RouteMap = bpf::Map<abi::route_key, abi::route_value>;
  using LengthMap = bpf::Map<uint32_t, abi::route_lengths>;
  using Routes::put;
  using Routes::remove;

  // Writes the lengths of the rows that are there.
  static Result<RouteTable> open(RouteMap rows, LengthMap lengths);

  Result<std::optional<abi::route_value>> get(const abi::route_key& key) const override { return rows_.get(key); }
  // Lengths first: a row is found from the moment it is there.
  Status put(const std::vector<Row>& rows) override;
  // Lengths that nobody uses any more go with the next open.
  Status remove(const std::vector<abi::route_key>& keys) override { return rows_.remove(keys); }
  Result<Rows> dump() const override { return rows_.dump(); }

 private:
  RouteTable(RouteMap rows, LengthMap lengths) : rows_(std::move(rows)), lengths_(std::move(lengths)) {}
  RouteMap rows_;
  LengthMap lengths_;
  abi::route_lengths published_{};
};

}  // namespace causeway::datapath
