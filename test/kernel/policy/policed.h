// NetworkPolicies as people write them, compiled and applied to the nodes of test/kernel/bpf, and packets between Pods.
#pragma once

#include <optional>

#include "async/loop.h"
#include "policy/apply_bpf.h"
#include "policy/policy_world.h"
#include "policy/seen.h"
#include "talk.h"
#include "world.h"

namespace causeway::test {

inline constexpr auto kTcp = policy::Protocol::Tcp, kUdp = policy::Protocol::Udp, kSctp = policy::Protocol::Sctp;
inline constexpr std::optional<policy::Protocol> kIcmp = std::nullopt;

// x/a and x/b on node a, y/c on node b, y/d on node c; labels pod=a ..., their namespaces team=x, team=y. Each has the
// port "web": 80/tcp, and "dns": 53/udp.
class Policed {
 public:
  explicit Policed(Setup setup = {});
  ~Policed();

  World world;

  // One Pod of the world by its name.
  Pod& pod(std::string_view name);
  // These labels and no others.
  void label(std::string_view pod, std::string_view labels);
  void label_namespace(std::string_view ns, std::string_view labels);
  // "x/web": a NetworkPolicy; "web": a ClusterNetworkPolicy.
  void policy(std::string_view name, std::string_view spec);
  void remove(std::string_view policy);
  // Whatever else there is in the cluster.
  void change(const std::function<void(cluster::Model&)>& change);
  // Where the kernels of both nodes hold something else than they should.
  std::string differences();
  policy::BpfApplier& applier(const Node& node);
  // As after an agent's restart, over the same kernel.
  void restart(Node& node);

  // What becomes of a first packet: "allow"; "ingress", "egress" or "unknown": who drops it; "lost": nobody knows.
  // `to`: where it is sent, `server`: who should get it.
  std::string ask(const Ns& client, const Ns& server, Ip to, uint16_t port,
                  std::optional<policy::Protocol> protocol = kTcp);
  std::string ask(std::string_view from, std::string_view to, Family family, uint16_t port,
                  std::optional<policy::Protocol> protocol = kTcp);
  // Waits until a counter of any node is above what it was.
  uint64_t drops(abi::counter_reason reason) const;
  void apply();

 private:
  struct Side;
  Side& side(const Node& node);
  void to_all(const std::function<void(cluster::Model&)>& change);

  std::unique_ptr<Loop> loop_;
  std::vector<std::unique_ptr<Side>> sides_;
};

}  // namespace causeway::test
