// The Node as its kubelet registers it. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/ip.h"
#include "kube/api/types.h"

namespace causeway::lab {

inline constexpr int kNodeletPort = 10250;

struct NodeIdentity {
  std::string name;
  std::vector<Ip> addresses;  // the primary one first
  std::string boot_id;
  std::string kernel;
  std::string os;
  int cpus = 1;
  uint64_t memory_kib = 0;
};
// Read from the machine.
NodeIdentity observe_identity(const std::string& name, const std::vector<Ip>& addresses);

// Reason of the condition Ready while the agent ends again and again before the network is there: waiting is no use.
inline constexpr const char* kAgentEnds = "AgentEnds";

// Why a node is not Ready; empty message: it is.
struct NodeProblem {
  std::string message;
  std::string reason = "KubeletNotReady";
  bool operator==(const NodeProblem&) const = default;
};

// Transition times are taken over from `before` where the condition is the same.
kube::Node build_node(const NodeIdentity& identity, const NodeProblem& problem,
                      const std::vector<kube::Condition>& before, kube::Time now);

}  // namespace causeway::lab
