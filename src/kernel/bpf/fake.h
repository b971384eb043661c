// A table without a kernel, for the tests of appliers: holds rows, counts writes, fails when told to.
#pragma once

#include "kernel/bpf/table.h"

namespace causeway::bpf {

template <class K, class V>
class FakeTable : public Table<K, V> {
 public:
  using typename Table<K, V>::Row;
  using typename Table<K, V>::Rows;
  using Table<K, V>::put;
  using Table<K, V>::remove;

  Result<std::optional<V>> get(const K& key) const override {
    auto it = rows.find(key);
    return it == rows.end() ? std::optional<V>() : std::optional<V>(it->second);
  }
  Status put(const std::vector<Row>& batch) override {
    if (fail_next) return fail(*std::exchange(fail_next, std::nullopt));
    for (const auto& [key, value] : batch) {
      rows[key] = value;
      ++writes;
    }
    return ok();
  }
  Status remove(const std::vector<K>& keys) override {
    if (fail_next) return fail(*std::exchange(fail_next, std::nullopt));
    for (const auto& key : keys) writes += rows.erase(key);
    return ok();
  }
  Result<Rows> dump() const override { return rows; }

  Rows rows;
  size_t writes = 0;               // rows put or removed so far
  std::optional<Error> fail_next;  // answer of the next put or remove
};

}  // namespace causeway::bpf
