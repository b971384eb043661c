// One walk over the dirty rows of every table. A row that cannot be written stays dirty and is a Failure of its owner.
#pragma once

#include "base/log.h"
#include "cluster/feed/consumer.h"
#include "fabric/rows.h"
#include "kernel/netlink/rtnetlink.h"

namespace causeway::fabric {

using MaybeChange = Result<std::optional<netlink::Change>>;

class RowsPass {
 public:
  // Counts what it writes.
  explicit RowsPass(uint64_t& writes) : writes_(writes) {}

  // `write(keys, rows)` answers one Status for each key; rows[i] is null for a removal.
  template <class K, class V, class May, class Write>
  void each(std::string_view table, Rows<K, V>& rows, bool puts, May may_remove, Write write) {
    std::vector<K> keys;
    std::vector<const V*> values;
    for (const K& key : rows.dirty()) {
      const auto* row = rows.find(key);
      if ((row != nullptr) != puts || (!row && !may_remove(key))) continue;
      keys.push_back(key);
      values.push_back(row ? &row->value : nullptr);
    }
    if (keys.empty()) return;
    std::vector<Status> results = write(keys, values);
    for (size_t i = 0; i < keys.size(); ++i) {
      const auto* row = rows.find(keys[i]);
      if (results[i]) {
        ++writes_;
        rows.clean(keys[i]);
      } else {
        failures.push_back({row ? to_string(row->owner()) : fmt::format("{} {}", table, print(keys[i])),
                            std::move(results[i].error()).with("{} {}", row ? table : "remove", print(keys[i]))});
      }
    }
  }

  // `change_of(key, row)`: the change, none where there is nothing to do, or why there is none; row is null for a
  // removal.
  template <class K, class V, class May, class ChangeOf>
  void net(std::string_view table, Rows<K, V>& rows, bool puts, netlink::Rtnetlink& door, May may_remove,
           ChangeOf change_of) {
    each(table, rows, puts, may_remove, [&](const std::vector<K>& keys, const std::vector<const V*>& values) {
      std::vector<Status> results(keys.size());
      std::vector<netlink::Change> changes;
      std::vector<size_t> sent;
      for (size_t i = 0; i < keys.size(); ++i) {
        MaybeChange change = change_of(keys[i], values[i]);
        if (!change) results[i] = fail(std::move(change.error()));
        if (!change || !*change) continue;
        changes.push_back(std::move(**change));
        sent.push_back(i);
      }
      std::vector<Status> answers = door.apply(changes);
      for (size_t i = 0; i < sent.size(); ++i) results[sent[i]] = std::move(answers[i]);
      return results;
    });
  }

  // An object without rows must not look as if it had been applied.
  void refused(Rows<std::string, std::string>& rows) {
    const auto& dirty = rows.dirty();
    for (const std::string& object : std::vector<std::string>(dirty.begin(), dirty.end())) {
      if (const auto* row = rows.find(object)) log::warning("fabric: {} gets no routes: {}", object, row->value);
      rows.clean(object);
    }
    for (const auto& [object, reason] : rows.values())
      if (object.starts_with("attachment ")) failures.push_back({object, Error(Errc::Conflict, reason)});
  }

  std::vector<cluster::Failure> failures;

 private:
  template <class K>
  static std::string print(const K& key) {
    return std::string(to_string(key));
  }
  static std::string print(const NeighbourKey& key) { return to_string(key.ip); }
  static std::string print(const TunnelNeighbourKey& key) { return to_string(key.ip); }
  static std::string print(const ForwardingKey& key) { return to_string(key.mac); }
  static std::string print(Family outer) { return tunnel_device(outer); }

  uint64_t& writes_;
};

}  // namespace causeway::fabric
