#include "balancer.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <stdexcept>

#include "datapath/rows.h"

namespace causeway::test {

namespace {

void must(Status status) {
  if (!status) throw std::runtime_error("tables of Services: " + status.error().message());
}

abi::service_key key_of(Ip ip, uint16_t port, int protocol) {
  return {.addr = datapath::to_abi(ip), .port = htons(port), .proto = static_cast<uint8_t>(protocol)};
}

}  // namespace

Shape node_port(bool masquerade) {
  return {.kind = abi::SERVICE_NODE_PORT, .outside = abi::SERVICE_BALANCE, .masquerade_outside = masquerade};
}
Shape load_balancer(bool masquerade) {
  return {.kind = abi::SERVICE_LOAD_BALANCER, .outside = abi::SERVICE_BALANCE, .masquerade_outside = masquerade};
}

std::vector<uint32_t> Balancer::endpoints(uint32_t id, const std::vector<Endpoint>& at, int protocol) {
  Pool& pool = pools_[id];
  // Both forms in which an applier says where endpoints are: even ids have no rows of slots.
  const bool run = id % 2 == 0 && !at.empty();
  pool.epoch = run ? abi::SLOTS_RUN | next_backend_ : (pool.epoch & ~abi::SLOTS_RUN) + 1;
  pool.slots = static_cast<uint32_t>(at.size());
  std::vector<uint32_t> numbers;
  for (uint32_t i = 0; i < at.size(); ++i) {
    numbers.push_back(next_backend_++);
    must(node_.plane->backends().put(numbers.back(), abi::backend_value{.addr = datapath::to_abi(at[i].ip),
                                                                        .port = htons(at[i].port),
                                                                        .proto = static_cast<uint8_t>(protocol),
                                                                        .state = abi::BACKEND_ELIGIBLE,
                                                                        .generation = 1,
                                                                        .service = id,
                                                                        .weight = 1}));
    if (!run)
      must(node_.plane->slots().put(abi::slot_key{.pool = 2 * id, .epoch = pool.epoch, .index = i}, numbers.back()));
  }
  return numbers;
}

void Balancer::serve(uint32_t id, Ip ip, uint16_t port, int protocol, Shape shape) {
  const Pool& pool = pools_[id];
  auto side = [&](abi::service_verdict verdict, bool masquerade) {
    if (verdict != abi::SERVICE_BALANCE) return abi::service_side{.verdict = static_cast<uint8_t>(verdict)};
    return abi::service_side{.pool = 2 * id,
                             .epoch = pool.epoch,
                             .slots = pool.slots,
                             .verdict = static_cast<uint8_t>(verdict),
                             .masquerade = masquerade};
  };
  must(node_.plane->services().put(key_of(ip, port, protocol),
                                   abi::service_value{.id = id,
                                                      .flags = shape.flags,
                                                      .affinity = shape.affinity,
                                                      .kind = static_cast<uint8_t>(shape.kind),
                                                      .algorithm = static_cast<uint8_t>(shape.algorithm),
                                                      .inside = side(shape.inside, shape.masquerade_inside),
                                                      .outside = side(shape.outside, shape.masquerade_outside)}));
  if (shape.kind != abi::SERVICE_CLUSTER_IP) return;
  must(node_.plane->services().put(key_of(ip, 0, 0), abi::service_value{.kind = abi::SERVICE_ADDRESS,
                                                                        .inside = {.verdict = abi::SERVICE_REJECT},
                                                                        .outside = {.verdict = abi::SERVICE_REJECT}}));
}

void Balancer::remove(Ip ip, uint16_t port, int protocol) {
  must(node_.plane->services().remove(key_of(ip, port, protocol)));
}

void Balancer::retire(uint32_t backend) {
  auto row = node_.plane->backends().get(backend);
  if (!row || !*row) throw std::runtime_error("no such backend");
  abi::backend_value value = **row;
  value.state = abi::BACKEND_GONE;
  ++value.generation;
  must(node_.plane->backends().put(backend, value));
}

void Balancer::range(const Cidr& cidr) {
  must(node_.plane->service_ranges().put(
      abi::range_key{.prefixlen = static_cast<uint32_t>(cidr.prefix()) + (cidr.address().is_v4() ? 96u : 0u),
                     .addr = datapath::to_abi(cidr.address())},
      1u));
}

void Balancer::allow(uint32_t id, const Cidr& source) {
  must(node_.plane->source_ranges().put(
      abi::source_key{.prefixlen = 32 + static_cast<uint32_t>(source.prefix()) + (source.address().is_v4() ? 96u : 0u),
                      .service = id,
                      .addr = datapath::to_abi(source.address())},
      1u));
}

Ip cluster_ip(Family family, int number) {
  return Ip::parse(family == Family::V4 ? fmt::format("10.96.0.{}", number) : fmt::format("fd00:96::{}", number))
      .value();
}

Ip public_ip(Family family) { return Ip::parse(family == Family::V4 ? "198.18.0.1" : "2001:db8:aaaa::1").value(); }

void publish(World& world, const Node& node) {
  for (auto family : kFamilies)
    ip(world.router,
       fmt::format("route replace {} via {}\n", to_string(host_cidr(public_ip(family))), to_string(node.ip(family))));
}

}  // namespace causeway::test
