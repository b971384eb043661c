// What the maps hold that no Service of ours has been found for yet. After a restart every port looks here for the
// numbers that the former agent gave it.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "kernel/bpf/table.h"
#include "service/encode.h"

namespace causeway::service {

struct KernelSlot {
  uint32_t pool = 0, epoch = 0, index = 0, backend = 0;
  auto operator<=>(const KernelSlot&) const = default;
};

struct KernelRows {
  std::map<FrontendKey, abi::service_value> frontends;
  std::map<Ip, abi::service_value> addresses;
  std::vector<KernelSlot> slots;                          // sorted
  std::vector<std::pair<uint32_t, uint32_t>> backends;    // sorted: id of the Service, number; those not GONE
  std::map<uint32_t, std::set<abi::source_key>> sources;  // by id of the Service
  std::set<uint32_t> adopted;                             // ids that have a port again
  uint32_t last_id = 0;                                   // the highest ever given, as far as can be seen

  // Those of one pool, all epochs; those of one Service.
  std::span<const KernelSlot> slots_of(uint32_t pool) const;
  std::span<const std::pair<uint32_t, uint32_t>> backends_of(uint32_t id) const;
};

using Services = bpf::Table<abi::service_key, abi::service_value>;
using Slots = bpf::Table<abi::slot_key, uint32_t>;
using Backends = bpf::Table<uint32_t, abi::backend_value>;
using Sources = bpf::Table<abi::source_key, uint32_t>;

// Also all of `backends`, by number.
Result<KernelRows> read_rows(const Services& services, const Slots& slots, const Backends& backends,
                             const Sources& sources, std::vector<abi::backend_value>& numbers);

}  // namespace causeway::service
