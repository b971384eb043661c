// From rows with names to those of the maps (bpf/abi/service.h), and back where people read them. Pure.
#pragma once

#include "abi/service.h"
#include "service/tables.h"

namespace causeway::service {

// The slots of a pool as a row of `services` says where they are.
struct PoolHeader {
  uint32_t epoch = 0;
  uint32_t slots = 0;  // 0: no endpoint
  bool is_run() const { return epoch & abi::SLOTS_RUN; }
  bool operator==(const PoolHeader&) const = default;
};

// What all rows of one port say alike.
struct PortHeader {
  uint32_t id = 0;
  Algorithm algorithm = Algorithm::Random;
  uint32_t affinity = 0;
  bool retry = false;
  PoolHeader cluster, local;
  bool operator==(const PortHeader&) const = default;

  PoolHeader& pool(Pool which) { return which == Pool::Cluster ? cluster : local; }
  const PoolHeader& pool(Pool which) const { return which == Pool::Cluster ? cluster : local; }
};

// A pool's number follows from its Service's, below 2^31: nothing to keep, nothing to recognise.
inline uint32_t pool_number(uint32_t id, Pool pool) { return 2 * id + (pool == Pool::Local ? 1 : 0); }
inline uint32_t id_of_pool(uint32_t pool) { return pool / 2; }

abi::service_key encode(const FrontendKey& key);
FrontendKey decode(const abi::service_key& key);
abi::service_key encode_address(const Ip& ip);  // its row of kind SERVICE_ADDRESS
inline bool is_address(const abi::service_key& key) { return !key.port && !key.proto; }

// A side that balances over no slot refuses.
abi::service_value encode(const Frontend& frontend, const PortHeader& header);
abi::service_value address_row();
abi::backend_value encode(const Backend& backend, Protocol protocol, uint32_t id, uint32_t generation);
// The row of one that serves no more.
abi::backend_value gone(abi::backend_value row);
uint32_t encode(const NodeAddress& row);
abi::range_key encode(const Cidr& range);
Cidr decode(const abi::range_key& key);
abi::source_key encode_source(uint32_t id, const Cidr& source);
abi::client_value encode(const Client& row);

}  // namespace causeway::service
