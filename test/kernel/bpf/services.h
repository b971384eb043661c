// Services as rows of a node's maps, written by hand as the agent's applier would, and the cgroup in which the sockets
// of these tests are made.
#pragma once

#include <string>
#include <vector>

#include "world.h"

namespace causeway::test {

// A cgroup of its own for this process, until the end of the process; made at the first call.
const std::string& own_cgroup();

struct ServiceSpec {
  Ip ip;  // the unspecified address: all of the node's
  uint16_t port = 0;
  uint8_t proto = 6;  // IPPROTO_*
  abi::service_kind kind = abi::SERVICE_CLUSTER_IP;
  std::vector<Endpoint> backends;  // none: SERVICE_REJECT, or `verdict`
  abi::service_verdict verdict = abi::SERVICE_BALANCE;
  abi::service_algorithm algorithm = abi::SERVICE_RANDOM;
  uint32_t flags = 0;
  uint32_t affinity = 0;  // seconds
  std::vector<uint16_t> weights = {}, loads = {};
  bool masquerade = false;
};

class ServiceRows {
 public:
  explicit ServiceRows(Node& node) : node_(node) {}

  // The Service's id; its backends' numbers follow from first_backend(id).
  uint32_t add(const ServiceSpec& spec);
  static uint32_t first_backend(uint32_t id) { return id * 100; }
  // Ports of this address without a row are refused.
  void known(Ip ip);
  // GONE takes a new generation.
  void set_state(uint32_t backend, abi::backend_state state);
  // The slots are now these backends, under a new epoch.
  void flip(const ServiceSpec& spec, uint32_t id, const std::vector<uint32_t>& backends);
  void node_address(Ip ip, bool node_ports = true);
  void client(const Pod& pod, uint32_t flags = 0);
  void source_range(uint32_t id, const Cidr& range);

 private:
  void write(const ServiceSpec& spec, uint32_t id, const std::vector<uint32_t>& slots);
  Node& node_;
  uint32_t ids_ = 0;
  uint32_t epoch_ = 0;
};

uint64_t netns_cookie(const Ns& ns);

}  // namespace causeway::test
