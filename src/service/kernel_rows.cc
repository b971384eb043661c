#include "service/kernel_rows.h"

#include <algorithm>

#include "datapath/rows.h"

namespace causeway::service {

std::span<const KernelSlot> KernelRows::slots_of(uint32_t pool) const {
  const auto range = std::ranges::equal_range(slots, pool, {}, &KernelSlot::pool);
  return {range.begin(), range.end()};
}

std::span<const std::pair<uint32_t, uint32_t>> KernelRows::backends_of(uint32_t id) const {
  const auto range = std::ranges::equal_range(backends, id, {}, &std::pair<uint32_t, uint32_t>::first);
  return {range.begin(), range.end()};
}

Result<KernelRows> read_rows(const Services& services, const Slots& slots, const Backends& backends,
                             const Sources& sources, std::vector<abi::backend_value>& numbers) {
  KernelRows rows;
  auto seen = [&](uint32_t id) { rows.last_id = std::max(rows.last_id, id); };
  TRY(services.each([&](const abi::service_key& key, const abi::service_value& value) {
    if (key.net != abi::NET_THIS_CLUSTER) return;
    if (is_address(key)) {
      rows.addresses.emplace(datapath::from_abi(key.addr), value);
    } else {
      rows.frontends.emplace(decode(key), value);
      seen(value.id);
    }
  }),
      "read map services");
  TRY(slots.each([&](const abi::slot_key& key, const uint32_t& backend) {
    rows.slots.push_back({key.pool, key.epoch, key.index, backend});
    seen(id_of_pool(key.pool));
  }),
      "read map slots");
  std::ranges::sort(rows.slots);
  numbers.clear();
  TRY(backends.each([&](const uint32_t& number, const abi::backend_value& value) {
    if (value == abi::backend_value{}) return;
    if (number >= numbers.size()) numbers.resize(number + 1);
    numbers[number] = value;
    seen(value.service);
    if (value.state != abi::BACKEND_GONE) rows.backends.emplace_back(value.service, number);
  }),
      "read map backends");
  std::ranges::sort(rows.backends);
  TRY(sources.each([&](const abi::source_key& key, const uint32_t&) {
    rows.sources[key.service].insert(key);
    seen(key.service);
  }),
      "read map source_ranges");
  return rows;
}

}  // namespace causeway::service
