#include <unordered_map>

#include "datapath/rows.h"
#include "service/bpf_maps.h"

namespace causeway::service {

namespace {

// Whether every row of the map is one that `right` knows, and there are so many of them.
template <class K, class V, class Right>
Result<bool> all_right(const bpf::Table<K, V>& table, size_t rows, Right right) {
  size_t seen = 0;
  bool wrong = false;
  TRY(table.each([&](const K& key, const V& value) {
    const std::optional<bool> is = right(key, value);  // none: does not count
    wrong |= is == false;
    seen += is == true;
  }));
  return !wrong && seen == rows;
}

}  // namespace

Result<bool> BpfMaps::services_intact() const {
  const size_t rows = desired_.frontends.rows().size() + desired_.addresses.rows().size();
  return all_right(doors_.services, rows,
                   [&](const abi::service_key& key, const abi::service_value& value) -> std::optional<bool> {
                     if (key.net != abi::NET_THIS_CLUSTER) return std::nullopt;
                     if (is_address(key))
                       return desired_.addresses.find(datapath::from_abi(key.addr)) && value == address_row();
                     const auto* row = desired_.frontends.find(decode(key));
                     if (!row) return false;
                     const auto port = ports_.find(row->value.port);
                     return value == encode(row->value, port == ports_.end() ? PortHeader{} : port->second.header);
                   });
}

Result<bool> BpfMaps::slots_intact() const {
  std::unordered_map<uint32_t, const PortState*> by_id;
  by_id.reserve(ports_.size());
  size_t rows = 0;
  for (const auto& [id, port] : ports_) {
    by_id.emplace(port.header.id, &port);
    rows += port.cluster.size() + port.local.size();
  }
  return all_right(doors_.slots, rows, [&](const abi::slot_key& key, const uint32_t& backend) -> std::optional<bool> {
    if (retired_.contains(key)) return std::nullopt;
    const auto port = by_id.find(id_of_pool(key.pool));
    if (port == by_id.end()) return false;
    const Pool pool = key.pool % 2 ? Pool::Local : Pool::Cluster;
    const auto& slots = pool == Pool::Local ? port->second->local : port->second->cluster;
    return key.epoch == port->second->header.pool(pool).epoch && key.index < slots.size() &&
           slots[key.index] == backend;
  });
}

Result<bool> BpfMaps::backends_intact() const {
  return all_right(doors_.backends, numbers_.written(),
                   [&](const uint32_t& number, const abi::backend_value& value) -> std::optional<bool> {
                     return value == numbers_.row(number);
                   });
}

Result<bool> BpfMaps::sources_intact() const {
  return all_right(doors_.sources, source_rows_, [&](const abi::source_key& key, const uint32_t&) {
    const auto of = sources_.find(key.service);
    return std::optional(of != sources_.end() && of->second.contains(key));
  });
}

Result<bool> BpfMaps::small_intact() const {
  const bool addresses = TRY(all_right(doors_.node_addresses, desired_.node_addresses.rows().size(),
                                       [&](const abi::ip_addr& addr, const uint32_t& is) {
                                         const auto* row = desired_.node_addresses.find(datapath::from_abi(addr));
                                         return std::optional(row && encode(row->value) == is);
                                       }));
  const bool ranges =
      TRY(all_right(doors_.ranges, desired_.ranges.rows().size(), [&](const abi::range_key& key, const uint32_t& is) {
        return std::optional(desired_.ranges.find(decode(key)) && is == 1);
      }));
  return addresses && ranges &&
         TRY(all_right(doors_.clients, desired_.clients.rows().size(),
                       [&](const uint64_t& cookie, const abi::client_value& is) {
                         const auto* row = desired_.clients.find(cookie);
                         return std::optional(row && encode(row->value) == is);
                       }));
}

bool BpfMaps::settled() const {
  return observed_ && !kernel_ && desired_.frontends.dirty().empty() && desired_.ports.dirty().empty() &&
         desired_.addresses.dirty().empty() && desired_.ranges.dirty().empty() &&
         desired_.node_addresses.dirty().empty() && desired_.clients.dirty().empty();
}

Result<bool> BpfMaps::intact(Part part) const {
  switch (part) {
    case Part::Small: return small_intact();
    case Part::Services: return services_intact();
    case Part::Slots: return slots_intact();
    case Part::Backends: return backends_intact();
    case Part::Sources: return sources_intact();
  }
  return false;
}

Status BpfMaps::repair_hooks() { return doors_.repair_hooks ? doors_.repair_hooks() : ok(); }

}  // namespace causeway::service
