// The maps of Services, opened by their pins.
#pragma once

#include <string>

#include "abi/service.h"
#include "datapath/array.h"

namespace causeway::datapath {

struct ServiceTables {
  bpf::Map<abi::service_key, abi::service_value> services;
  bpf::Map<abi::slot_key, uint32_t> slots;
  ArrayTable<abi::backend_value> backends;
  ArrayTable<uint32_t> backend_connections;
  bpf::Map<abi::affinity_key, abi::affinity_value> affinity;
  bpf::Map<abi::socket_key, abi::socket_value> socket_flows;
  bpf::Map<abi::ip_addr, uint32_t> node_addresses;
  bpf::Map<abi::range_key, uint32_t> service_ranges;
  bpf::Map<abi::source_key, uint32_t> source_ranges;
  bpf::Map<uint64_t, abi::client_value> clients;
  ArrayTable<uint32_t> marks;
  ArrayTable<uint32_t> dns_here;

  static Result<ServiceTables> open(const std::string& map_folder);
};

}  // namespace causeway::datapath
