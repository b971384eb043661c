// The nodelet: pid 1 of a lab's node and what kubelet and the container runtime are elsewhere. It keeps the agent
// running, registers the Node, keeps its Lease, and runs the Pods that are assigned to it.
#pragma once

#include <string>
#include <vector>

namespace causeway::lab {

struct NodeletOptions {
  std::string node;
  std::vector<std::string> addresses;  // the node's own, the primary family first
  std::string plane = "bpf";
  std::string fabric = "auto";
  std::string attach = "auto";
  std::string cluster_cidr;              // handed to the agent
  std::vector<std::string> agent_flags;  // so are these
  std::vector<std::string> cluster_dns;  // addresses of the Service, one for each family; empty: no cluster DNS
};

// Runs for ever: the node ends with it. Returns an exit status when it cannot start.
int run_nodelet(const NodeletOptions& options);

}  // namespace causeway::lab
