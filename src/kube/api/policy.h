// NetworkPolicy. Empty and absent differ nearly everywhere here, and mean opposite things.
#pragma once

#include "kube/api/meta.h"

namespace causeway::kube {

struct IpBlock {
  std::string cidr;
  std::vector<std::string> except;
  bool operator==(const IpBlock&) const = default;
};
struct NetworkPolicyPeer {
  std::optional<LabelSelector> pod_selector;
  std::optional<LabelSelector> namespace_selector;  // present but empty: every namespace
  std::optional<IpBlock> ip_block;
  bool operator==(const NetworkPolicyPeer&) const = default;
};
struct NetworkPolicyPort {
  std::optional<std::string> protocol;  // absent: TCP
  std::optional<IntOrString> port;      // absent: every port
  std::optional<int32_t> end_port;
  bool operator==(const NetworkPolicyPort&) const = default;
};
struct NetworkPolicyIngressRule {
  std::vector<NetworkPolicyPort> ports;  // empty: every port
  std::vector<NetworkPolicyPeer> from;   // empty: everybody
  bool operator==(const NetworkPolicyIngressRule&) const = default;
};
struct NetworkPolicyEgressRule {
  std::vector<NetworkPolicyPort> ports;
  std::vector<NetworkPolicyPeer> to;
  bool operator==(const NetworkPolicyEgressRule&) const = default;
};
struct NetworkPolicySpec {
  LabelSelector pod_selector;  // empty: every Pod of the namespace
  std::vector<NetworkPolicyIngressRule> ingress;
  std::vector<NetworkPolicyEgressRule> egress;
  // Absent: Ingress always, Egress if there is an egress rule. The API server defaults it.
  std::optional<std::vector<std::string>> policy_types;
  bool operator==(const NetworkPolicySpec&) const = default;
};
struct NetworkPolicy {
  static constexpr KindInfo kKind{"networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", true};
  ObjectMeta metadata;
  NetworkPolicySpec spec;
  bool operator==(const NetworkPolicy&) const = default;
};

}  // namespace causeway::kube
