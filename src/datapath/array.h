// An array of the kernel as a table: every row is always there, so one of zeroes counts as none.
#pragma once

#include <utility>

#include "kernel/bpf/map.h"

namespace causeway::datapath {

template <class V>
class ArrayTable final : public bpf::Table<uint32_t, V> {
 public:
  using Base = bpf::Table<uint32_t, V>;
  using Base::put;
  using Base::remove;
  using typename Base::Row;
  using typename Base::Rows;

  explicit ArrayTable(bpf::Map<uint32_t, V> rows) : rows_(std::move(rows)) {}

  Result<std::optional<V>> get(const uint32_t& index) const override {
    auto value = TRY(rows_.get(index));
    if (value && *value == V{}) value.reset();
    return value;
  }
  // Exhausted: beyond the last row.
  Status put(const std::vector<Row>& rows) override { return rows_.put(rows); }
  Status remove(const std::vector<uint32_t>& indices) override {
    std::vector<Row> zeroes;
    for (auto index : indices) zeroes.emplace_back(index, V{});
    return rows_.put(zeroes);
  }
  Result<Rows> dump() const override {
    Rows rows;
    TRY(each([&](const uint32_t& index, const V& value) { rows[index] = value; }));
    return rows;
  }
  Status each(const std::function<void(const uint32_t&, const V&)>& row) const override {
    return rows_.each([&](const uint32_t& index, const V& value) {
      if (!(value == V{})) row(index, value);
    });
  }

 private:
  bpf::Map<uint32_t, V> rows_;
};

}  // namespace causeway::datapath
