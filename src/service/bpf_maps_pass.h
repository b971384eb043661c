// One pass of bpf_maps.h over what is dirty: what shall be done (bpf_maps_plan.cc), then the writes in the order that
// leaves every Service whole (bpf_maps_pass.cc).
#pragma once

#include <algorithm>
#include <deque>
#include <memory_resource>
#include <unordered_map>

#include "service/bpf_maps.h"

namespace causeway::service {

using cluster::Failure;

// A port one of whose rows could not be written stays dirty and is a Failure of its owner;
// the kernel is looked at again before the next pass.
struct BpfMaps::Pass {
  struct Work {
    PortState* port;
    std::pmr::vector<FrontendKey> rows;                               // of `services` to write
    std::pmr::vector<std::pair<uint32_t, abi::backend_value>> lower;  // backends that lose flows or end, after the flip
    std::pmr::vector<uint32_t> released;
    std::pmr::vector<abi::slot_key> old_slots;
    std::pmr::vector<abi::source_key> old_sources;
    std::pmr::vector<Work*> heirs;  // ports that rows of this one went to
    std::optional<Error> error;

    Work(PortState& of, std::pmr::memory_resource* room)
        : port(&of), rows(room), lower(room), released(room), old_slots(room), old_sources(room), heirs(room) {}

    bool done() const {
      return !error && std::ranges::none_of(heirs, [](const Work* heir) { return heir->error.has_value(); });
    }
  };

  // Rows for one map, and which port each is of (null: none).
  template <class K, class V>
  struct Batch {
    std::vector<std::pair<K, V>> rows;
    std::vector<Work*> of;
    void add(Work* work, const K& key, const V& value) {
      rows.emplace_back(key, value);
      of.push_back(work);
    }
  };

  BpfMaps& self;
  const bool complete, ranges_known;
  std::vector<Failure> failures;
  // What only the pass needs lies apart from the state that is made meanwhile and stays: after a first pass over 30,000
  // Services their pages held 6 MB of holes that nothing else fitted into.
  std::pmr::monotonic_buffer_resource arena;
  std::pmr::deque<Work> works{&arena};
  std::pmr::unordered_map<PortState*, Work*> work_of{&arena};
  std::vector<std::pair<FrontendKey, Work*>> removed;
  Batch<uint32_t, abi::backend_value> backends;
  Batch<uint32_t, uint32_t> connections;
  Batch<abi::slot_key, uint32_t> slots;
  Batch<abi::source_key, uint32_t> sources;
  size_t new_slots = 0;

  Pass(BpfMaps& maps, bool all_known, bool ranges) : self(maps), complete(all_known), ranges_known(ranges) {}

  // Until all is known a port of a Service may look as if it had no endpoint. A host port is known with its Pod.
  bool may(const PortId& port) const { return complete || port.host_port; }

  Work& work(PortState& port) {
    Work*& work = work_of[&port];
    if (!work) work = &works.emplace_back(port, &arena);
    return *work;
  }

  void fail_object(std::string object, Error error) {
    failures.push_back({std::move(object), std::move(error)});
    self.observed_ = false;
  }
  void fail_work(Work& work, Error error) {
    if (work.error) return;
    work.error = error;
    const auto* row = self.desired_.ports.find(*work.port->id);
    fail_object(row ? to_string(row->owner()) : to_string(*work.port->id), std::move(error));
  }

  // All at once; row by row only to find out which one it is. What was written is left in `batch`.
  template <class K, class V>
  void put(std::string_view map, bpf::Table<K, V>& table, Batch<K, V>& batch) {
    Batch<K, V> now;
    for (size_t i = 0; i < batch.rows.size(); ++i)
      if (!batch.of[i] || !batch.of[i]->error) now.add(batch.of[i], batch.rows[i].first, batch.rows[i].second);
    batch = std::move(now);
    if (batch.rows.empty()) return;
    if (table.put(batch.rows)) {
      self.writes_ += batch.rows.size();
      return;
    }
    now = std::exchange(batch, {});
    bool named = false;  // one of those without a port stands for all
    for (size_t i = 0; i < now.rows.size(); ++i) {
      Work* work = now.of[i];
      const auto& [key, value] = now.rows[i];
      if (work && work->error) continue;
      if (auto one = table.put(key, value); one) {
        ++self.writes_;
        batch.add(work, key, value);
      } else if (work) {
        fail_work(*work, std::move(one.error()).with("{} of {}", map, *work->port->id));
      } else if (!std::exchange(named, true)) {
        fail_object("self", std::move(one.error()).with("{} that nobody has any more", map));
      }
    }
  }

  std::optional<Error> no_room;

  // The small tables, whose rows need no numbers.
  template <class K, class V, class MapKey, class MapValue, class KeyOf, class ValueOf>
  void sync(std::string_view name, Rows<K, V>& rows, bool puts, bool may, bpf::Table<MapKey, MapValue>& table,
            KeyOf key_of, ValueOf value_of) {
    if (!may) return;
    std::vector<K> keys;
    std::vector<std::pair<MapKey, MapValue>> put;
    std::vector<MapKey> remove;
    for (const K& key : rows.dirty()) {
      const auto* row = rows.find(key);
      if ((row != nullptr) != puts) continue;
      keys.push_back(key);
      if (row)
        put.emplace_back(key_of(key), value_of(row->value));
      else
        remove.push_back(key_of(key));
    }
    if (keys.empty()) return;
    const bool all = (puts ? table.put(put) : table.remove(remove)).has_value();
    for (size_t i = 0; i < keys.size(); ++i) {
      const Status written = all ? ok() : puts ? table.put(put[i].first, put[i].second) : table.remove(remove[i]);
      if (written) {
        ++self.writes_;
        rows.clean(keys[i]);
      } else {
        const auto* row = rows.find(keys[i]);
        fail_object(row ? to_string(row->owner()) : fmt::format("{} {}", name, keys[i]),
                    Error(written.error()).with("{} {}", name, keys[i]));
      }
    }
  }

  // --- what to do ---
  void assign();
  void plan(Work& work);
  std::vector<Member> plan_members(Work& work, const Port& wanted);
  PoolHeader plan_pool(Work& work, const Port& wanted, const std::vector<Member>& members, Pool pool, bool used);
  void plan_sources(Work& work, const std::set<abi::source_key>& wanted);
  void make_room();

  // --- the writes; `puts`: what comes, else what goes ---
  void clients(bool puts);
  void node_addresses(bool puts);
  void addresses(bool puts);
  void ranges(bool puts);
  void write_rows();
  void remove_rows();
  void lower();
  void lower_leftovers(Batch<uint32_t, abi::backend_value>& batch, std::vector<abi::source_key>& old_sources);
  void finish();

  void hooks();  // with a look at the maps
  // The pass is so many steps; false: there was none left.
  bool step();
  std::vector<Failure> result();

 private:
  int at_ = 0;
  size_t planned_ = 0;
};

}  // namespace causeway::service
