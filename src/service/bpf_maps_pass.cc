#include "service/bpf_maps_pass.h"

#include "datapath/rows.h"

namespace causeway::service {

void BpfMaps::Pass::write_rows() {
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

void BpfMaps::Pass::remove_rows() {
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

void BpfMaps::Pass::hooks() {
  if (auto attached = self.repair_hooks(); !attached) fail_object("self", std::move(attached.error()));
}

void BpfMaps::Pass::clients(bool puts) {
  sync(
      "client", self.desired_.clients, puts, puts || complete, self.doors_.clients,
      [](uint64_t cookie) { return cookie; }, [](const Client& row) { return encode(row); });
}

void BpfMaps::Pass::node_addresses(bool puts) {
  sync(
      "node address", self.desired_.node_addresses, puts, puts || complete, self.doors_.node_addresses,
      [](const Ip& ip) { return datapath::to_abi(ip); }, [](const NodeAddress& row) { return encode(row); });
}

void BpfMaps::Pass::addresses(bool puts) {
  sync(
      "Service address", self.desired_.addresses, puts, complete, self.doors_.services,
      [](const Ip& ip) { return encode_address(ip); }, [](const cluster::ServiceKey&) { return address_row(); });
}

void BpfMaps::Pass::ranges(bool puts) {
  sync(
      "Service range", self.desired_.ranges, puts, complete && (puts || ranges_known), self.doors_.ranges,
      [](const Cidr& range) { return encode(range); }, [](const Present&) { return 1u; });
}

// After the flip: nobody is sent there any more.
void BpfMaps::Pass::lower() {
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
void BpfMaps::Pass::lower_leftovers(Batch<uint32_t, abi::backend_value>& batch,
                                    std::vector<abi::source_key>& old_sources) {
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

void BpfMaps::Pass::finish() {
  for (Work& work : works) {
    if (!work.done()) continue;
    for (const FrontendKey& key : work.rows)
      if (self.desired_.frontends.find(key)) self.desired_.frontends.clean(key);
    self.desired_.ports.clean(*work.port->id);
    if (!work.port->frontends.empty()) continue;
    const PortId id = *work.port->id;  // the key that is erased
    self.ports_.erase(id);
  }
  const auto& dirty = self.desired_.ports.dirty();
  for (const PortId& id : std::vector<PortId>(dirty.begin(), dirty.end()))
    if (complete && !self.ports_.contains(id)) self.desired_.ports.clean(id);  // has no rows
  if (complete && failures.empty()) self.kernel_.reset();
  self.rest_and_clean();
}

// What rows refer to comes first; then the other way round.
bool BpfMaps::Pass::step() {
  constexpr size_t kPorts = 1000;  // some ms
  switch (at_++) {
    case 0: assign(); return true;
    case 1:
      for (size_t i = 0; i < kPorts && planned_ < works.size(); ++i) plan(works[planned_++]);
      if (planned_ < works.size()) --at_;
      return true;
    case 2: make_room(); return true;
    case 3:
      clients(true);
      node_addresses(true);
      put("backend", self.doors_.backends, backends);
      for (const auto& [number, value] : backends.rows) self.numbers_.wrote(number, value);
      put("count of connections", self.doors_.connections, connections);
      return true;
    case 4:
      put("slot", self.doors_.slots, slots);
      self.slot_rows_ += new_slots;
      put("source range", self.doors_.sources, sources);
      for (const auto& [key, one] : sources.rows) self.source_rows_ += self.sources_[key.service].insert(key).second;
      return true;
    case 5: write_rows(); return true;
    case 6:
      addresses(true);
      ranges(true);
      return true;
    case 7:
      ranges(false);
      remove_rows();
      addresses(false);
      return true;
    case 8:
      lower();
      node_addresses(false);
      clients(false);
      finish();
      return true;
    default: return false;
  }
}

Status BpfMaps::look() {
  if (!observed_) TRY(observe(), "read the maps of Services");
  // A row that appears while not all is known may be one of a former life.
  if (kernel_) TRY(observe_small());
  return ok();
}

std::vector<Failure> BpfMaps::Pass::result() {
  if (no_room && !failures.empty())
    for (Failure& failure : failures) failure.error = std::move(failure.error).with("{}", no_room->message());
  return std::move(failures);
}

Result<std::vector<Failure>> BpfMaps::apply(bool complete, bool ranges) {
  const bool first = !observed_;
  TRY(look());
  Pass pass(*this, complete, ranges);
  if (first) pass.hooks();
  while (pass.step()) continue;
  return pass.result();
}

Task<Result<std::vector<Failure>>> BpfMaps::apply_in_turns(bool complete, bool ranges) {
  const bool first = !observed_;
  CO_TRY(look());
  Pass pass(*this, complete, ranges);
  if (first) pass.hooks();
  // What a handful of changes costs is not worth a turn.
  const bool many = desired_.frontends.dirty().size() + desired_.ports.dirty().size() > kAtOnce;
  while (pass.step()) {
    if (!many) continue;
    if (auto turn = co_await doors_.loop.sleep(Duration(0)); !turn) {  // cancelled: half of it is written
      observed_ = false;
      co_return fail(std::move(turn.error()));
    }
  }
  co_return pass.result();
}

}  // namespace causeway::service
