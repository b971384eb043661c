// ClusterNetworkPolicy (policy.networking.k8s.io/v1alpha2, sigs.k8s.io/network-policy-api v0.2.0): a custom resource on
// Kubernetes, built into the embedded API server. What must hold exactly one field is a struct of optionals: with none
// set, the API server knows a field that we do not, and the reader fails closed (network-policy-api, types of
// v1alpha2).
#pragma once

#include "kube/api/meta.h"

namespace causeway::kube {

struct NamespacedPods {
  LabelSelector namespace_selector;
  LabelSelector pod_selector;
  bool operator==(const NamespacedPods&) const = default;
};
struct ClusterPolicySubject {  // one of
  std::optional<LabelSelector> namespaces;
  std::optional<NamespacedPods> pods;
  bool operator==(const ClusterPolicySubject&) const = default;
};
struct ClusterPolicyPeer {  // one of; of ingress rules the first two
  std::optional<LabelSelector> namespaces;
  std::optional<NamespacedPods> pods;
  std::optional<LabelSelector> nodes;
  std::optional<std::vector<std::string>> networks;
  std::optional<std::vector<std::string>> domain_names;
  bool operator==(const ClusterPolicyPeer&) const = default;
};
struct ClusterPolicyPortRange {
  int32_t start = 0;
  int32_t end = 0;
  bool operator==(const ClusterPolicyPortRange&) const = default;
};
struct ClusterPolicyPort {  // one of
  std::optional<int32_t> number;
  std::optional<ClusterPolicyPortRange> range;
  bool operator==(const ClusterPolicyPort&) const = default;
};
struct ClusterPolicyTransport {
  std::optional<ClusterPolicyPort> destination_port;
  bool operator==(const ClusterPolicyTransport&) const = default;
};
struct ClusterPolicyProtocol {  // one of
  std::optional<ClusterPolicyTransport> tcp, udp, sctp;
  std::optional<std::string> destination_named_port;
  bool operator==(const ClusterPolicyProtocol&) const = default;
};
struct ClusterPolicyRule {
  std::string name;
  std::string action;                                           // Accept, Deny, Pass
  std::vector<ClusterPolicyPeer> from;                          // of an ingress rule
  std::vector<ClusterPolicyPeer> to;                            // of an egress rule
  std::optional<std::vector<ClusterPolicyProtocol>> protocols;  // absent: whatever it is
  bool operator==(const ClusterPolicyRule&) const = default;
};
struct ClusterPolicySpec {
  std::string tier;      // Admin, Baseline
  int32_t priority = 0;  // 0-1000, the lesser is judged first
  ClusterPolicySubject subject;
  std::vector<ClusterPolicyRule> ingress, egress;
  bool operator==(const ClusterPolicySpec&) const = default;
};
struct ClusterNetworkPolicy {
  static constexpr KindInfo kKind{"policy.networking.k8s.io", "v1alpha2", "ClusterNetworkPolicy",
                                  "clusternetworkpolicies", false};
  ObjectMeta metadata;
  ClusterPolicySpec spec;
  bool operator==(const ClusterNetworkPolicy&) const = default;
};

}  // namespace causeway::kube
