// Who has which Pod CIDR: the options of node IPAM as kube-controller-manager has them, and the allocation as a pure
// state that the controller drives (node_ipam.h).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "control/cidr_set.h"

namespace causeway::control {

// As given on the command line; comma-separated lists. Zero mask sizes are "not given".
struct NodeIpamOptions {
  bool allocate_node_cidrs = false;                    // --allocate-node-cidrs
  std::string cluster_cidr;                            // --cluster-cidr, one or two, two of different families
  std::string service_cluster_ip_range;                // --service-cluster-ip-range, one or two: never given to a node
  int node_cidr_mask_size = 0;                         // --node-cidr-mask-size, only with one cluster CIDR
  int node_cidr_mask_size_ipv4 = 0;                    // --node-cidr-mask-size-ipv4, 24
  int node_cidr_mask_size_ipv6 = 0;                    // --node-cidr-mask-size-ipv6, 64
  std::string cidr_allocator_type = "RangeAllocator";  // --cidr-allocator-type: no other
};

class NodeCidrs {
 public:
  // Refuses, naming the flag: no or more than two cluster CIDRs, two of one family, a mask size with two families, a
  // mask size of a family that has no CIDR, another allocator.
  static Result<NodeCidrs> make(const NodeIpamOptions& options);

  // A node that has its CIDRs already (after a restart): they are taken from now on. What lies outside of the cluster
  // CIDRs, or is another node's, comes back as a warning; the node keeps it, since podCIDRs never change.
  Status adopt(const std::string& node, const std::vector<Cidr>& cidrs);
  // One CIDR of each family for the node, or Exhausted and nothing taken. The same answer again for the same node.
  Result<std::vector<Cidr>> assign(const std::string& node);
  // The node is gone: its CIDRs are free.
  void release(const std::string& node);

  const std::vector<CidrSet>& sets() const { return sets_; }

 private:
  std::vector<CidrSet> sets_;  // in the order of --cluster-cidr: the first is the primary family
  std::map<std::string, std::vector<Cidr>> nodes_;
};

// "10.0.0.0/8, fd00::/8" as CIDRs of different families, at most two; `flag` names them in errors.
Result<std::vector<Cidr>> parse_cidr_list(std::string_view flag, std::string_view text);

}  // namespace causeway::control
