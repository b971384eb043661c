#include "datapath/service_tables.h"

#include "datapath/open_map.h"

namespace causeway::datapath {

Result<ServiceTables> ServiceTables::open(const std::string& folder) {
  return ServiceTables{
      .services = TRY((open_map<abi::service_key, abi::service_value>(folder, "services"))),
      .slots = TRY((open_map<abi::slot_key, uint32_t>(folder, "slots"))),
      .backends = ArrayTable(TRY((open_map<uint32_t, abi::backend_value>(folder, "backends")))),
      .backend_connections = ArrayTable(TRY((open_map<uint32_t, uint32_t>(folder, "backend_connections")))),
      .affinity = TRY((open_map<abi::affinity_key, abi::affinity_value>(folder, "affinity"))),
      .socket_flows = TRY((open_map<abi::socket_key, abi::socket_value>(folder, "socket_flows"))),
      .node_addresses = TRY((open_map<abi::ip_addr, uint32_t>(folder, "node_addresses"))),
      .service_ranges = TRY((open_map<abi::range_key, uint32_t>(folder, "service_ranges"))),
      .source_ranges = TRY((open_map<abi::source_key, uint32_t>(folder, "source_ranges"))),
      .clients = TRY((open_map<uint64_t, abi::client_value>(folder, "clients"))),
      .marks = ArrayTable(TRY((open_map<uint32_t, uint32_t>(folder, "service_marks")))),
      .dns_here = ArrayTable(TRY((open_map<uint32_t, uint32_t>(folder, "dns_here")))),
  };
}

}  // namespace causeway::datapath
