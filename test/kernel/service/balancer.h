// Tables of Services as the applier writes them, by hand.
#pragma once

#include <netinet/in.h>

#include <string>
#include <vector>

#include "abi/service.h"
#include "world.h"

namespace causeway::test {

struct Shape {
  abi::service_kind kind = abi::SERVICE_CLUSTER_IP;
  uint32_t flags = 0;
  abi::service_algorithm algorithm = abi::SERVICE_RANDOM;
  uint32_t affinity = 0;
  abi::service_verdict inside = abi::SERVICE_BALANCE;
  abi::service_verdict outside = abi::SERVICE_DROP;  // of a ClusterIP
  bool masquerade_inside = false;
  bool masquerade_outside = false;
};

// A Service open to everybody, whose endpoints see the node (policy Cluster) or the client (policy Local).
Shape node_port(bool masquerade);
Shape load_balancer(bool masquerade);

class Balancer {
 public:
  explicit Balancer(Node& node) : node_(node) {}

  // The endpoints of pool `id` from now on; each gets a number of its own, in order.
  std::vector<uint32_t> endpoints(uint32_t id, const std::vector<Endpoint>& at, int protocol = IPPROTO_TCP);
  // The Service `id` at an address; the unspecified address: every address of the node.
  void serve(uint32_t id, Ip ip, uint16_t port, int protocol = IPPROTO_TCP, Shape shape = {});
  void remove(Ip ip, uint16_t port, int protocol = IPPROTO_TCP);
  // The endpoint no longer serves: another generation.
  void retire(uint32_t backend);
  void range(const Cidr& cidr);
  void allow(uint32_t id, const Cidr& source);

 private:
  struct Pool {
    uint32_t epoch = 0;
    uint32_t slots = 0;
  };
  Node& node_;
  std::map<uint32_t, Pool> pools_;
  uint32_t next_backend_ = 1;
};

// The cluster's Service address of either family: 10.96.0.10, fd00:96::10. Some that come from outside.
Ip cluster_ip(Family family, int number = 10);
Ip public_ip(Family family);  // 198.18.0.1, 2001:db8:aaaa::1
// The router sends what is for the public address to this node.
void publish(World& world, const Node& node);

}  // namespace causeway::test
