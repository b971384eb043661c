#include "service/encode.h"

#include <arpa/inet.h>

#include "datapath/rows.h"
#include "service/numbers.h"

namespace causeway::service {

namespace {

uint8_t encode(Kind kind) {
  switch (kind) {
    case Kind::ClusterIp: return abi::SERVICE_CLUSTER_IP;
    case Kind::NodePort: return abi::SERVICE_NODE_PORT;
    case Kind::ExternalIp: return abi::SERVICE_EXTERNAL_IP;
    case Kind::LoadBalancer: return abi::SERVICE_LOAD_BALANCER;
    case Kind::HostPort: return abi::SERVICE_HOST_PORT;
  }
  return 0;
}

uint8_t encode(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::Random: return abi::SERVICE_RANDOM;
    case Algorithm::RoundRobin: return abi::SERVICE_ROUND_ROBIN;
    case Algorithm::LeastConnections: return abi::SERVICE_LEAST_CONNECTIONS;
    case Algorithm::LeastLoad: return abi::SERVICE_LEAST_LOAD;
    case Algorithm::SourceHash: return abi::SERVICE_SOURCE_HASH;
  }
  return 0;
}

uint8_t encode(Verdict verdict) {
  switch (verdict) {
    case Verdict::Balance: return abi::SERVICE_BALANCE;
    case Verdict::Reject: return abi::SERVICE_REJECT;
    case Verdict::Drop: return abi::SERVICE_DROP;
  }
  return abi::SERVICE_REJECT;
}

abi::service_side encode(const Side& side, const PortHeader& header) {
  const PoolHeader& pool = header.pool(side.pool);
  if (side.verdict != Verdict::Balance || !pool.slots)
    return {.verdict =
                side.verdict == Verdict::Balance ? static_cast<uint8_t>(abi::SERVICE_REJECT) : encode(side.verdict)};
  return {.pool = pool_number(header.id, side.pool),
          .epoch = pool.epoch,
          .slots = pool.slots,
          .verdict = abi::SERVICE_BALANCE,
          .masquerade = side.masquerade};
}

uint32_t prefix_bits(const Cidr& prefix) {
  return static_cast<uint32_t>(prefix.prefix() + (prefix.family() == Family::V4 ? 96 : 0));
}

}  // namespace

abi::service_key encode(const FrontendKey& key) {
  return {.net = abi::NET_THIS_CLUSTER,
          .addr = datapath::to_abi(key.ip),
          .port = htons(key.port),
          .proto = static_cast<uint8_t>(key.protocol)};
}

FrontendKey decode(const abi::service_key& key) {
  return {.ip = datapath::from_abi(key.addr), .port = ntohs(key.port), .protocol = static_cast<Protocol>(key.proto)};
}

abi::service_key encode_address(const Ip& ip) { return {.net = abi::NET_THIS_CLUSTER, .addr = datapath::to_abi(ip)}; }

abi::service_value encode(const Frontend& frontend, const PortHeader& header) {
  uint32_t flags = 0;
  // Only the per-packet path sees that a SYN stays unanswered, and how many flows are open.
  if (header.retry) flags |= abi::SERVICE_F_RETRY | abi::SERVICE_F_PER_PACKET;
  if (header.algorithm == Algorithm::LeastConnections) flags |= abi::SERVICE_F_PER_PACKET;
  if (!frontend.sources.empty()) flags |= abi::SERVICE_F_SOURCE_RANGES;
  return {.id = header.id,
          .flags = flags,
          .affinity = header.affinity,
          .kind = encode(frontend.kind),
          .algorithm = encode(header.algorithm),
          .inside = encode(frontend.inside, header),
          .outside = encode(frontend.outside, header)};
}

abi::service_value address_row() {
  return {.kind = abi::SERVICE_ADDRESS,
          .inside = {.verdict = abi::SERVICE_REJECT},
          .outside = {.verdict = abi::SERVICE_REJECT}};
}

abi::backend_value encode(const Backend& backend, Protocol protocol, uint32_t id, uint32_t generation) {
  const int pools =
      (backend.cluster_pool ? abi::BACKEND_IN_CLUSTER : 0) | (backend.local_pool ? abi::BACKEND_IN_LOCAL : 0);
  return {.addr = datapath::to_abi(backend.at.ip),
          .port = htons(backend.at.port),
          .proto = static_cast<uint8_t>(protocol),
          .state = static_cast<uint8_t>(pools ? pools : int{abi::BACKEND_SERVING}),
          .generation = generation,
          .service = id,
          .load = backend.load,
          .weight = backend.weight};
}

abi::backend_value gone(abi::backend_value row) {
  row.state = abi::BACKEND_GONE;
  row.generation = next_generation(row.generation);
  return row;
}

uint32_t encode(const NodeAddress& row) { return row.node_ports ? abi::NODE_ADDRESS_NODE_PORTS : 0; }

abi::range_key encode(const Cidr& range) {
  return {.prefixlen = prefix_bits(range), .addr = datapath::to_abi(range.address())};
}

Cidr decode(const abi::range_key& key) {
  const Ip ip = datapath::from_abi(key.addr);
  return Cidr(ip, static_cast<int>(key.prefixlen) - (ip.is_v4() ? 96 : 0));
}

abi::source_key encode_source(uint32_t id, const Cidr& source) {
  return {.prefixlen = 32 + prefix_bits(source), .service = id, .addr = datapath::to_abi(source.address())};
}

abi::client_value encode(const Client& row) {
  return {.addr4 = row.v4 ? datapath::to_abi(*row.v4) : abi::ip_addr{},
          .addr6 = row.v6 ? datapath::to_abi(*row.v6) : abi::ip_addr{}};
}

}  // namespace causeway::service
