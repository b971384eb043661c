// One BPF map as a typed table: what appliers observe and apply. `Map` (map.h) is the kernel's, `FakeTable` (fake.h) a
// std::map for tests.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "base/delta.h"
#include "base/result.h"

namespace causeway::bpf {

template <class K, class V>
class Table {
 public:
  using Row = std::pair<K, V>;
  using Rows = std::map<K, V>;

  virtual ~Table() = default;

  virtual Result<std::optional<V>> get(const K& key) const = 0;
  // Adds or overwrites. Each row is atomic for the programs; the batch is not. On an error the rows before it stand.
  virtual Status put(const std::vector<Row>& rows) = 0;
  // A key that is not there is no error.
  virtual Status remove(const std::vector<K>& keys) = 0;
  // All rows. Rows that change meanwhile may be seen old or new.
  virtual Result<Rows> dump() const = 0;
  // The same row by row, in no order; the kernel's map holds some thousand of them in memory, not all.
  virtual Status each(const std::function<void(const K&, const V&)>& row) const {
    for (const auto& [key, value] : TRY(dump())) row(key, value);
    return ok();
  }

  Status put(const K& key, const V& value) { return put(std::vector<Row>{{key, value}}); }
  Status remove(const K& key) { return remove(std::vector<K>{key}); }
  // Puts first, then removes: a packet never finds less than what stays.
  Status apply(const Delta<Rows>& delta) {
    TRY(put(std::vector<Row>(delta.put.begin(), delta.put.end())));
    return remove(delta.remove);
  }
};

}  // namespace causeway::bpf
