#include <algorithm>
#include <deque>
#include <unordered_map>

#include "datapath/rows.h"
#include "service/bpf_maps.h"
#include "service/slots.h"

namespace causeway::service {

using cluster::Failure;

// One walk over what is dirty. A port one of whose rows could not be written stays dirty and is a Failure of its owner;
// the kernel is looked at again before the next pass.
struct BpfMaps::Pass {
  struct Work {
    PortState* port = nullptr;
    std::set<FrontendKey> rows;                                  // of `services` to write
    std::vector<std::pair<uint32_t, abi::backend_value>> lower;  // backends that lose flows or end, after the flip
    std::vector<uint32_t> released;
    std::vector<abi::slot_key> old_slots;
    std::vector<abi::source_key> old_sources;
    std::vector<Work*> heirs;  // ports that rows of this one went to
    std::optional<Error> error;

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
  std::deque<Work> works;
  std::unordered_map<PortState*, Work*> work_of;
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
    if (!work) work = &works.emplace_back(Work{.port = &port});
    return *work;
  }

  void fail_object(std::string object, Error error) {
    failures.push_back({std::move(object), std::move(error)});
    self.observed_ = false;
  }
  void fail_work(Work& work, Error error) {
    if (work.error) return;
    work.error = error;
    const auto* row = self.desired_.ports.find(work.port->id);
    fail_object(row ? to_string(row->owner) : to_string(work.port->id), std::move(error));
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
        fail_work(*work, std::move(one.error()).with("{} of {}", map, work->port->id));
      } else if (!std::exchange(named, true)) {
        fail_object("self", std::move(one.error()).with("{} that nobody has any more", map));
      }
    }
  }

  // --- what to do ---

  // Dirty rows of `services` go to the ports that have them now.
  void assign() {
    for (const FrontendKey& key : self.desired_.frontends.dirty()) {
      const auto* row = self.desired_.frontends.find(key);
      if (row ? !may(row->value.port) : !complete) continue;
      auto before = self.port_of_.find(key);
      PortState* was = before == self.port_of_.end() ? nullptr : before->second;
      PortState* now = row ? &self.state_of(row->value.port) : nullptr;
      if (now) work(*now).rows.insert(key);
      if (was && was != now) {
        was->frontends.erase(key);
        if (now) work(*was).heirs.push_back(&work(*now));
      }
      if (now) {
        now->frontends.insert(key);
        self.port_of_[key] = now;
      } else {
        if (was) self.port_of_.erase(before);
        removed.emplace_back(key, was ? &work(*was) : nullptr);
      }
    }
    for (const PortId& id : self.desired_.ports.dirty())
      if (auto port = self.ports_.find(id); port != self.ports_.end() && may(id)) work(port->second);
  }

  void plan(Work& work) {
    PortState& port = *work.port;
    if (!port.header.id) self.adopt(port);
    static const Port kNone;
    const auto* row = self.desired_.ports.find(port.id);
    const Port& wanted = row && !port.frontends.empty() ? row->value : kNone;

    bool uses_cluster = false, uses_local = false;
    std::set<abi::source_key> wanted_sources;
    for (const FrontendKey& key : port.frontends) {
      const auto* frontend = self.desired_.frontends.find(key);
      if (!frontend) continue;
      for (const Side& side : {frontend->value.inside, frontend->value.outside})
        if (side.verdict == Verdict::Balance) (side.pool == Pool::Cluster ? uses_cluster : uses_local) = true;
      for (const Cidr& source : frontend->value.sources) wanted_sources.insert(encode_source(port.header.id, source));
    }

    plan_members(work, wanted);
    PortHeader header{.id = port.header.id,
                      .algorithm = wanted.algorithm,
                      .affinity = wanted.affinity,
                      .retry = wanted.retry,
                      .cluster = plan_pool(work, wanted, Pool::Cluster, uses_cluster),
                      .local = plan_pool(work, wanted, Pool::Local, uses_local)};
    if (!port.flipped || !(header == port.header)) work.rows.insert(port.frontends.begin(), port.frontends.end());
    port.header = header;
    port.flipped = true;
    plan_sources(work, wanted_sources);
  }

  void plan_members(Work& work, const Port& wanted) {
    PortState& port = *work.port;
    std::vector<const Backend*> sorted;
    for (const Backend& backend : wanted.backends) sorted.push_back(&backend);
    std::ranges::sort(sorted, {}, &Backend::at);
    std::vector<Member> members;
    auto end = [&](const Member& member) {
      work.lower.emplace_back(member.number, gone(self.numbers_.row(member.number)));
      work.released.push_back(member.number);
    };
    auto old = port.members.begin();
    for (const Backend* backend : sorted) {
      if (!members.empty() && members.back().at == backend->at) continue;
      for (; old != port.members.end() && old->at < backend->at; ++old) end(*old);
      bool keep = old != port.members.end() && old->at == backend->at;
      if (keep && self.numbers_.row(old->number).proto != static_cast<uint8_t>(wanted.protocol)) {
        end(*old++);
        keep = false;
      }
      if (keep) {
        const abi::backend_value& is = self.numbers_.row(old->number);
        const auto value = encode(*backend, wanted.protocol, port.header.id, is.generation);
        if (is.state == abi::BACKEND_ELIGIBLE && value.state == abi::BACKEND_SERVING)
          work.lower.emplace_back(old->number, value);
        else if (!(value == is))
          backends.add(&work, old->number, value);
        members.push_back(*old++);
        for (; old != port.members.end() && old->at == backend->at; ++old) end(*old);
      } else {
        const uint32_t number = self.numbers_.take();
        backends.add(&work, number,
                     encode(*backend, wanted.protocol, port.header.id, self.numbers_.generation(number)));
        if (self.numbers_.used_before(number)) connections.add(&work, number, 0);
        members.push_back({backend->at, number});
      }
    }
    for (; old != port.members.end(); ++old) end(*old);
    port.members = std::move(members);
  }

  PoolHeader plan_pool(Work& work, const Port& wanted, Pool pool, bool used) {
    PortState& port = *work.port;
    std::vector<Share> shares;
    for (const Backend& backend : wanted.backends) {
      if (!used || !(pool == Pool::Cluster ? backend.cluster_pool : backend.local_pool)) continue;
      const auto member = std::ranges::lower_bound(port.members, backend.at, {}, &Member::at);
      shares.push_back({.at = backend.at, .backend = member->number, .weight = backend.weight});
    }
    std::vector<uint32_t>& now = port.slots(pool);
    SlotPlan plan = plan_slots(wanted.algorithm, shares, now);
    if (plan.changed.empty() && plan.slots.size() == now.size()) return port.header.pool(pool);

    const uint32_t number = pool_number(port.header.id, pool), epoch = port.header.pool(pool).epoch;
    PoolHeader header{.epoch = epoch, .slots = static_cast<uint32_t>(plan.slots.size())};
    uint32_t first_old = header.slots;
    if (!plan.in_place) {
      header.epoch = ++port.epoch(pool);
      plan.changed.resize(plan.slots.size());
      for (uint32_t i = 0; i < plan.changed.size(); ++i) plan.changed[i] = i;
      first_old = 0;
    }
    for (uint32_t i : plan.changed) {
      const abi::slot_key key{.pool = number, .epoch = header.epoch, .index = i};
      const bool back = !self.retired_.empty() && self.retired_.erase(key);  // it is there still
      if (!back && (!plan.in_place || i >= now.size())) ++new_slots;
      slots.add(&work, key, plan.slots[i]);
    }
    for (uint32_t i = first_old; i < now.size(); ++i)
      work.old_slots.push_back({.pool = number, .epoch = epoch, .index = i});
    now = std::move(plan.slots);
    return header.slots ? header : PoolHeader{};
  }

  void plan_sources(Work& work, const std::set<abi::source_key>& wanted) {
    auto known = self.sources_.find(work.port->header.id);
    if (wanted.empty() && known == self.sources_.end()) return;
    std::set<abi::source_key>& now = self.sources_[work.port->header.id];
    for (const abi::source_key& key : wanted)
      if (!now.contains(key)) sources.add(&work, key, 1);
    for (const abi::source_key& key : now)
      if (!wanted.contains(key)) work.old_sources.push_back(key);
  }

  // Rows that shall be and rows that shall go, each once: what the kernel holds and should not is dirty.
  template <class K, class V>
  static size_t rows_at_most(const Rows<K, V>& rows) {
    size_t count = rows.rows().size();
    for (const K& key : rows.dirty()) count += rows.find(key) == nullptr;
    return count;
  }

  void make_room() {
    if (!self.doors_.reserve) return;
    const size_t services = rows_at_most(self.desired_.frontends) + rows_at_most(self.desired_.addresses);
    const MapRoom room{.services = static_cast<uint32_t>(services),
                       .slots = static_cast<uint32_t>(self.slot_rows_ + new_slots),
                       .backends = self.numbers_.end(),
                       .source_ranges = static_cast<uint32_t>(self.source_rows_ + sources.rows.size())};
    // What does not fit is named when it is written, by its port.
    auto made = self.doors_.reserve(room);
    if (made) return;
    if (self.doors_.programs_behind && self.doors_.programs_behind())
      fail_object("self", std::move(made.error()));
    else
      no_room = std::move(made.error());
  }
  std::optional<Error> no_room;

  // --- the writes ---

  void write_rows() {
    Batch<abi::service_key, abi::service_value> batch;
    for (Work& work : works) {
      if (work.error) continue;
      for (const FrontendKey& key : work.rows) {
        const auto* row = self.desired_.frontends.find(key);
        if (!row) continue;
        const auto value = encode(row->value, work.port->header);
        if (self.kernel_)
          if (auto is = self.kernel_->frontends.find(key); is != self.kernel_->frontends.end() && is->second == value)
            continue;
        batch.add(&work, encode(key), value);
      }
    }
    put("row", self.doors_.services, batch);
    if (!self.kernel_) return;
    for (const auto& [key, value] : batch.rows) self.kernel_->frontends.insert_or_assign(decode(key), value);
  }

  void remove_rows() {
    std::vector<abi::service_key> keys;
    for (const auto& [key, work] : removed) keys.push_back(encode(key));
    if (keys.empty()) return;
    if (auto gone = self.doors_.services.remove(keys); !gone) {
      for (const auto& [key, work] : removed)
        if (work) fail_work(*work, Error(gone.error()).with("remove {}", key));
      if (failures.empty()) fail_object("self", std::move(gone.error()).with("remove rows of services"));
      return;
    }
    self.writes_ += keys.size();
    for (const auto& [key, work] : removed) {
      if (self.kernel_) self.kernel_->frontends.erase(key);
      self.desired_.frontends.clean(key);
    }
  }

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
        fail_object(row ? to_string(row->owner) : fmt::format("{} {}", name, keys[i]),
                    Error(written.error()).with("{} {}", name, keys[i]));
      }
    }
  }
  void clients(bool puts) {
    sync(
        "client", self.desired_.clients, puts, puts || complete, self.doors_.clients,
        [](uint64_t cookie) { return cookie; }, [](const Client& row) { return encode(row); });
  }
  void node_addresses(bool puts) {
    sync(
        "node address", self.desired_.node_addresses, puts, puts || complete, self.doors_.node_addresses,
        [](const Ip& ip) { return datapath::to_abi(ip); }, [](const NodeAddress& row) { return encode(row); });
  }
  void addresses(bool puts) {
    sync(
        "Service address", self.desired_.addresses, puts, complete, self.doors_.services,
        [](const Ip& ip) { return encode_address(ip); }, [](const cluster::ServiceKey&) { return address_row(); });
  }
  void ranges(bool puts) {
    sync(
        "Service range", self.desired_.ranges, puts, complete && (puts || ranges_known), self.doors_.ranges,
        [](const Cidr& range) { return encode(range); }, [](const Present&) { return 1u; });
  }

  // After the flip: nobody is sent there any more.
  void lower() {
    Batch<uint32_t, abi::backend_value> batch;
    std::vector<abi::source_key> old_sources;
    for (Work& work : works) {
      if (!work.done()) continue;
      for (const auto& [number, value] : work.lower) batch.add(&work, number, value);
      old_sources.insert(old_sources.end(), work.old_sources.begin(), work.old_sources.end());
    }
    if (self.kernel_ && complete) lower_leftovers(batch, old_sources);
    put("backend", self.doors_.backends, batch);
    for (size_t i = 0; i < batch.rows.size(); ++i) {
      const auto& [number, value] = batch.rows[i];
      self.numbers_.wrote(number, value);
      if (!batch.of[i]) self.numbers_.release(number);
    }
    for (Work& work : works) {
      if (!work.done()) continue;
      for (uint32_t number : work.released) self.numbers_.release(number);
      for (const abi::slot_key& key : work.old_slots) self.retire(key);
    }
    if (old_sources.empty()) return;
    if (auto gone = self.doors_.sources.remove(old_sources); !gone) {
      fail_object("self", std::move(gone.error()).with("remove source ranges"));
      return;
    }
    self.writes_ += old_sources.size();
    self.source_rows_ -= std::min(self.source_rows_, old_sources.size());
    for (const abi::source_key& key : old_sources)
      if (auto of = self.sources_.find(key.service); of != self.sources_.end()) {
        of->second.erase(key);
        if (of->second.empty()) self.sources_.erase(of);
      }
  }

  // What a former agent left and nobody asked for.
  void lower_leftovers(Batch<uint32_t, abi::backend_value>& batch, std::vector<abi::source_key>& old_sources) {
    std::set<uint32_t> adopted = self.kernel_->adopted;
    for (const auto& [key, row] : self.kernel_->frontends) adopted.insert(row.id);  // could not be removed
    for (const auto& [id, number] : self.kernel_->backends) {
      if (adopted.contains(id)) continue;
      batch.add(nullptr, number, gone(self.numbers_.row(number)));
    }
    for (const KernelSlot& slot : self.kernel_->slots)
      if (!adopted.contains(id_of_pool(slot.pool)))
        self.retire({.pool = slot.pool, .epoch = slot.epoch, .index = slot.index});
    for (const auto& [id, port] : self.ports_) adopted.insert(port.header.id);
    for (const auto& [id, keys] : self.sources_)
      if (!adopted.contains(id)) old_sources.insert(old_sources.end(), keys.begin(), keys.end());
  }

  void finish() {
    for (Work& work : works) {
      if (!work.done()) continue;
      for (const FrontendKey& key : work.rows)
        if (self.desired_.frontends.find(key)) self.desired_.frontends.clean(key);
      self.desired_.ports.clean(work.port->id);
      if (!work.port->frontends.empty()) continue;
      const PortId id = work.port->id;  // the key that is erased
      self.ports_.erase(id);
    }
    for (const PortId& id : std::set<PortId>(self.desired_.ports.dirty()))
      if (complete && !self.ports_.contains(id)) self.desired_.ports.clean(id);  // has no rows
    if (complete && failures.empty()) self.kernel_.reset();
    self.rest_and_clean();
  }

  void run() {
    assign();
    for (Work& work : works) plan(work);
    make_room();
    // What rows refer to comes first.
    clients(true);
    node_addresses(true);
    put("backend", self.doors_.backends, backends);
    for (const auto& [number, value] : backends.rows) self.numbers_.wrote(number, value);
    put("count of connections", self.doors_.connections, connections);
    put("slot", self.doors_.slots, slots);
    self.slot_rows_ += new_slots;
    put("source range", self.doors_.sources, sources);
    for (const auto& [key, one] : sources.rows) self.source_rows_ += self.sources_[key.service].insert(key).second;
    write_rows();
    addresses(true);
    ranges(true);
    // And the other way round.
    ranges(false);
    remove_rows();
    addresses(false);
    lower();
    node_addresses(false);
    clients(false);
    finish();
  }
};

Result<std::vector<Failure>> BpfMaps::apply(bool complete, bool ranges) {
  const bool look = !observed_;
  if (look) TRY(observe(), "read the maps of Services");
  // A row that appears while not all is known may be one of a former life.
  if (kernel_) TRY(observe_small());
  Pass pass(*this, complete, ranges);
  if (look && doors_.repair_hooks)
    if (auto attached = doors_.repair_hooks(); !attached) pass.fail_object("self", std::move(attached.error()));
  pass.run();
  if (pass.no_room && !pass.failures.empty())
    for (Failure& failure : pass.failures) failure.error = std::move(failure.error).with("{}", pass.no_room->message());
  return std::move(pass.failures);
}

}  // namespace causeway::service
