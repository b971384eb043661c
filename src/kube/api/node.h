// Namespace and Node.
#pragma once

#include "kube/api/meta.h"

namespace causeway::kube {

struct NamespaceSpec {
  std::vector<std::string> finalizers;
  bool operator==(const NamespaceSpec&) const = default;
};
struct NamespaceStatus {
  std::string phase;  // Active, Terminating
  std::vector<Condition> conditions;
  bool operator==(const NamespaceStatus&) const = default;
};
struct Namespace {
  static constexpr KindInfo kKind{"", "v1", "Namespace", "namespaces", false};
  ObjectMeta metadata;
  NamespaceSpec spec;
  NamespaceStatus status;
  bool operator==(const Namespace&) const = default;
};

struct Taint {
  std::string key;
  std::string value;
  std::string effect;  // NoSchedule, PreferNoSchedule, NoExecute
  std::optional<Time> time_added;
  bool operator==(const Taint&) const = default;
};
struct NodeSpec {
  std::string pod_cidr;
  std::vector<std::string> pod_cidrs;  // "podCIDRs", at most one per family, the primary one first
  std::string provider_id;
  bool unschedulable = false;
  std::vector<Taint> taints;
  bool operator==(const NodeSpec&) const = default;
};
struct NodeAddress {
  std::string type;  // Hostname, InternalIP, ExternalIP, InternalDNS, ExternalDNS
  std::string address;
  bool operator==(const NodeAddress&) const = default;
};
struct NodeSystemInfo {
  std::string machine_id;
  std::string system_uuid;
  std::string boot_id;
  std::string kernel_version;
  std::string os_image;
  std::string container_runtime_version;
  std::string kubelet_version;
  std::string kube_proxy_version;
  std::string operating_system;
  std::string architecture;
  bool operator==(const NodeSystemInfo&) const = default;
};
struct DaemonEndpoint {
  int32_t port = 0;  // "Port" on the wire
  bool operator==(const DaemonEndpoint&) const = default;
};
struct NodeDaemonEndpoints {
  std::optional<DaemonEndpoint> kubelet_endpoint;
  bool operator==(const NodeDaemonEndpoints&) const = default;
};
struct NodeStatus {
  StringMap capacity;  // resource name to quantity ("cpu": "2", "pods": "110")
  StringMap allocatable;
  std::vector<Condition> conditions;
  std::vector<NodeAddress> addresses;
  NodeDaemonEndpoints daemon_endpoints;
  NodeSystemInfo node_info;
  bool operator==(const NodeStatus&) const = default;
};
struct Node {
  static constexpr KindInfo kKind{"", "v1", "Node", "nodes", false};
  ObjectMeta metadata;
  NodeSpec spec;
  NodeStatus status;
  bool operator==(const Node&) const = default;
};

}  // namespace causeway::kube
