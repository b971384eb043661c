#include "service/bpf_maps.h"

#include <arpa/inet.h>

#include <algorithm>
#include <numeric>

#include "base/log.h"
#include "datapath/rows.h"

namespace causeway::service {

namespace {

template <class K, class V, class MapKey, class MapValue, class Decode, class Encode>
Status compare(Rows<K, V>& rows, const bpf::Table<MapKey, MapValue>& table, Decode decode, Encode encode) {
  std::map<K, MapValue> actual;
  TRY(table.each([&](const MapKey& key, const MapValue& value) { actual.emplace(decode(key), value); }));
  rows.compare(actual, [&](const V& row, const MapValue& value) { return encode(row) == value; });
  return ok();
}

}  // namespace

Status BpfMaps::observe() {
  std::vector<abi::backend_value> numbers;
  kernel_ = TRY(read_rows(doors_.services, doors_.slots, doors_.backends, doors_.sources, numbers));
  numbers_.seed(std::move(numbers));
  ports_.clear();
  port_of_.clear();
  retired_.clear();
  resting_.clear();
  sources_ = std::move(kernel_->sources);
  source_rows_ = 0;
  for (const auto& [id, keys] : sources_) source_rows_ += keys.size();
  slot_rows_ = kernel_->slots.size();
  last_id_ = std::max(last_id_, kernel_->last_id);

  // Every port looks for its numbers first; what its rows then say is compared with `kernel_`.
  desired_.ports.compare(std::map<PortId, Present>{}, [](auto&, auto&) { return false; });
  desired_.frontends.compare(kernel_->frontends, [](auto&, auto&) { return false; });
  observed_ = true;
  return ok();
}

Status BpfMaps::observe_small() {
  desired_.addresses.compare(kernel_->addresses,
                             [](auto&, const abi::service_value& actual) { return actual == address_row(); });
  TRY(compare(
          desired_.node_addresses, doors_.node_addresses,
          [](const abi::ip_addr& addr) { return datapath::from_abi(addr); },
          [](const NodeAddress& row) { return encode(row); }),
      "read map node_addresses");
  TRY(compare(
          desired_.ranges, doors_.ranges, [](const abi::range_key& key) { return decode(key); },
          [](const Present&) { return 1u; }),
      "read map service_ranges");
  TRY(compare(
          desired_.clients, doors_.clients, [](uint64_t cookie) { return cookie; },
          [](const Client& row) { return encode(row); }),
      "read map clients");
  return ok();
}

BpfMaps::PortState& BpfMaps::state_of(const PortId& id) {
  auto [it, fresh] = ports_.try_emplace(id);
  if (fresh) it->second.id = &it->first;
  return it->second;
}

std::vector<uint32_t> BpfMaps::PortState::slots_now(Pool pool) const {
  const PoolHeader& now = header.pool(pool);
  const auto& rows = pool == Pool::Cluster ? cluster : local;
  if (!now.is_run()) return {rows.begin(), rows.end()};
  std::vector<uint32_t> slots(now.slots);
  std::iota(slots.begin(), slots.end(), now.epoch & ~abi::SLOTS_RUN);
  return slots;
}

Endpoint BpfMaps::at(uint32_t number) const {
  const abi::backend_value& row = numbers_.row(number);
  return {datapath::from_abi(row.addr), ntohs(row.port)};
}

// The numbers that the port had before a restart, by any of its rows; else new ones.
void BpfMaps::adopt(PortState& port) {
  uint32_t& id = port.header.id;
  std::vector<const abi::service_value*> rows;
  for (const FrontendKey& key : port.frontends) {
    if (!kernel_) break;
    auto row = kernel_->frontends.find(key);
    if (row == kernel_->frontends.end()) continue;
    rows.push_back(&row->second);
    // An id that another port of ours found first is that one's.
    if (!id && row->second.id && kernel_->adopted.insert(row->second.id).second) id = row->second.id;
  }
  if (!id) {
    id = ++last_id_;
    return;
  }
  for (const auto& [service, number] : kernel_->backends_of(id)) port.members.push_back(number);
  std::ranges::sort(port.members, {}, [this](uint32_t number) { return at(number); });
  adopt_slots(port, Pool::Cluster, rows);
  adopt_slots(port, Pool::Local, rows);
}

void BpfMaps::adopt_slots(PortState& port, Pool pool, const std::vector<const abi::service_value*>& rows) {
  const uint32_t number = pool_number(port.header.id, pool);
  // Rows of one port name two epochs where the former agent ended between them: what the later one names is whole.
  PoolHeader& header = port.header.pool(pool);
  for (const abi::service_value* row : rows)
    for (const abi::service_side& side : {row->inside, row->outside})
      if (side.pool == number && side.epoch >= header.epoch) header = {side.epoch, side.slots};
  CompactVector<uint32_t>& slots = port.slots(pool);
  for (const KernelSlot& slot : kernel_->slots_of(number)) {
    port.epoch(pool) = std::max(port.epoch(pool), slot.epoch);
    if (slot.epoch == header.epoch && slot.index == slots.size() && slots.size() < header.slots)
      slots.push_back(slot.backend);
    else
      retire({.pool = slot.pool, .epoch = slot.epoch, .index = slot.index});
  }
  if (header.is_run()) {
    const uint64_t end = uint64_t{header.epoch & ~abi::SLOTS_RUN} + header.slots;
    if (end > numbers_.end()) header = {};
    return;
  }
  if (slots.size() == header.slots) return;
  for (uint32_t index = 0; index < slots.size(); ++index)  // somebody took slots away: all anew
    retire({.pool = number, .epoch = header.epoch, .index = index});
  port.epoch(pool) = std::max(port.epoch(pool), header.epoch);
  slots.clear();
  header = {};
}

// What was released in this pass is free in a while.
void BpfMaps::rest_and_clean() {
  if (auto numbers = numbers_.take_resting(); !numbers.empty())
    resting_.emplace_back(doors_.loop.now() + kRest, std::move(numbers));
  if (!cleaning_ && (!retired_.empty() || !resting_.empty()))
    cleaning_ = doors_.loop.call_after(kRest, [this] {
      cleaning_.reset();
      clean();
    });
}

void BpfMaps::clean() {
  const TimePoint now = doors_.loop.now();
  std::vector<abi::slot_key> slots;
  std::erase_if(retired_, [&](const auto& entry) {
    if (entry.second > now) return false;
    slots.push_back(entry.first);
    return true;
  });
  if (auto removed = doors_.slots.remove(slots); removed) {
    slot_rows_ -= std::min(slot_rows_, slots.size());
    writes_ += slots.size();
  } else {
    log::warning("service: remove slots that nobody uses: {}", removed.error().message());
    observed_ = false;
  }
  std::erase_if(resting_, [&](const auto& entry) {
    if (entry.first > now) return false;
    numbers_.rested(entry.second);
    return true;
  });
  rest_and_clean();
}

std::string BpfMaps::name_of(uint32_t backend) const {
  const abi::backend_value& row = numbers_.row(backend);
  if (row.state == abi::BACKEND_GONE) return "";
  for (const auto& [id, port] : ports_)
    if (port.header.id == row.service) return fmt::format("{} -> {}", id, at(backend));
  return "";
}

uint32_t BpfMaps::id_of(const PortId& port) const {
  auto it = ports_.find(port);
  return it == ports_.end() ? 0 : it->second.header.id;
}

bool BpfMaps::counts_connections() const {
  return std::ranges::any_of(
      ports_, [](const auto& port) { return port.second.header.algorithm == Algorithm::LeastConnections; });
}

Status BpfMaps::count_connections(const std::map<uint32_t, uint32_t>& open) {
  for (const auto& [id, port] : ports_) {
    if (port.header.algorithm != Algorithm::LeastConnections) continue;
    for (const uint32_t number : port.members) {
      auto counted = open.find(number);
      const uint32_t now = counted == open.end() ? 0 : counted->second;
      if (TRY(doors_.connections.get(number)).value_or(0) == now) continue;
      TRY(doors_.connections.put(number, now), "correct the connections of {}", at(number));
    }
  }
  return ok();
}

}  // namespace causeway::service
