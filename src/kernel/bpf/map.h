// BPF maps of the kernel as typed tables. K and V are structs of bpf/abi; their sizes are checked against the map.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "kernel/bpf/table.h"

namespace causeway::bpf {

// A map by its bytes. `name` is for error messages.
class RawMap {
 public:
  RawMap() = default;
  RawMap(Fd fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}

  int fd() const { return fd_.get(); }
  const std::string& name() const { return name_; }
  // Invalid when the map has other sizes: a pin of another schema.
  Status expect(uint32_t key_size, uint32_t value_size) const;
  Result<uint32_t> max_entries() const;

  // False: no such row.
  Result<bool> get(const void* key, void* value) const;
  Status put(const std::byte* keys, const std::byte* values, size_t count, size_t key_size, size_t value_size) const;
  // False: was not there.
  Result<bool> remove(const void* key) const;
  // Keys that are not there are no error.
  Status remove(const std::byte* keys, size_t count, size_t key_size) const;
  // One call for each row.
  Status each(size_t key_size, size_t value_size,
              const std::function<void(const std::byte*, const std::byte*)>& row) const;

 private:
  Fd fd_;
  std::string name_;
};

template <class K, class V>
class Map final : public Table<K, V> {
 public:
  using typename Table<K, V>::Row;
  using typename Table<K, V>::Rows;
  using Table<K, V>::put;
  using Table<K, V>::remove;

  static Result<Map> open(RawMap raw) {
    TRY(raw.expect(sizeof(K), sizeof(V)));
    return Map(std::move(raw));
  }

  const RawMap& raw() const { return raw_; }
  Result<std::optional<V>> get(const K& key) const override {
    V value;
    if (!TRY(raw_.get(&key, &value))) return std::optional<V>();
    return std::optional<V>(value);
  }
  Status put(const std::vector<Row>& rows) override {
    std::vector<std::byte> keys(rows.size() * sizeof(K)), values(rows.size() * sizeof(V));
    for (size_t i = 0; i < rows.size(); ++i) {
      std::memcpy(keys.data() + i * sizeof(K), &rows[i].first, sizeof(K));
      std::memcpy(values.data() + i * sizeof(V), &rows[i].second, sizeof(V));
    }
    return raw_.put(keys.data(), values.data(), rows.size(), sizeof(K), sizeof(V));
  }
  Status remove(const std::vector<K>& keys) override {
    static_assert(std::is_trivially_copyable_v<K>);
    return raw_.remove(reinterpret_cast<const std::byte*>(keys.data()), keys.size(), sizeof(K));
  }
  Result<Rows> dump() const override {
    Rows rows;
    TRY(each([&](const K& key, const V& value) { rows[key] = value; }));
    return rows;
  }
  Status each(const std::function<void(const K&, const V&)>& row) const override {
    return raw_.each(sizeof(K), sizeof(V), [&](const std::byte* key_bytes, const std::byte* value_bytes) {
      K key;
      V value;
      std::memcpy(&key, key_bytes, sizeof(K));
      std::memcpy(&value, value_bytes, sizeof(V));
      row(key, value);
    });
  }

 private:
  explicit Map(RawMap raw) : raw_(std::move(raw)) {}
  RawMap raw_;
};

// Sums of a per-CPU array of uint64 counters: `words` for each row, rows 0..max_entries-1.
Result<std::vector<std::vector<uint64_t>>> sum_per_cpu(const RawMap& map, size_t words);

}  // namespace causeway::bpf
