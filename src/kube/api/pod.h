// Pod: what the network, the scheduler and a node that runs Pods need of it.
#pragma once

#include "kube/api/meta.h"

namespace causeway::kube {

struct ContainerPort {
  std::string name;
  int32_t container_port = 0;
  int32_t host_port = 0;  // 0: none
  std::string host_ip;
  std::string protocol;  // TCP, UDP, SCTP; empty means TCP
  bool operator==(const ContainerPort&) const = default;
};

struct ObjectFieldSelector {
  std::string api_version;
  std::string field_path;
  bool operator==(const ObjectFieldSelector&) const = default;
};
struct KeySelector {  // of a ConfigMap or Secret
  std::string name;
  std::string key;
  std::optional<bool> optional;
  bool operator==(const KeySelector&) const = default;
};
struct EnvVarSource {
  std::optional<ObjectFieldSelector> field_ref;
  std::optional<KeySelector> config_map_key_ref;
  std::optional<KeySelector> secret_key_ref;
  bool operator==(const EnvVarSource&) const = default;
};
struct EnvVar {
  std::string name;
  std::string value;
  std::optional<EnvVarSource> value_from;
  bool operator==(const EnvVar&) const = default;
};
struct EnvSourceRef {
  std::string name;
  std::optional<bool> optional;
  bool operator==(const EnvSourceRef&) const = default;
};
struct EnvFromSource {
  std::string prefix;
  std::optional<EnvSourceRef> config_map_ref;
  std::optional<EnvSourceRef> secret_ref;
  bool operator==(const EnvFromSource&) const = default;
};

struct HttpHeader {
  std::string name;
  std::string value;
  bool operator==(const HttpHeader&) const = default;
};
struct HttpGetAction {
  std::string path;
  IntOrString port;
  std::string host;    // empty: the Pod's address
  std::string scheme;  // HTTP, HTTPS
  std::vector<HttpHeader> http_headers;
  bool operator==(const HttpGetAction&) const = default;
};
struct TcpSocketAction {
  IntOrString port;
  std::string host;
  bool operator==(const TcpSocketAction&) const = default;
};
struct ExecAction {
  std::vector<std::string> command;
  bool operator==(const ExecAction&) const = default;
};
struct Probe {
  std::optional<HttpGetAction> http_get;
  std::optional<TcpSocketAction> tcp_socket;
  std::optional<ExecAction> exec;
  int32_t initial_delay_seconds = 0;
  int32_t timeout_seconds = 0;    // 0 (unset): 1
  int32_t period_seconds = 0;     // 0 (unset): 10
  int32_t success_threshold = 0;  // 0 (unset): 1
  int32_t failure_threshold = 0;  // 0 (unset): 3
  bool operator==(const Probe&) const = default;
};

struct ResourceRequirements {
  StringMap limits;
  StringMap requests;
  bool operator==(const ResourceRequirements&) const = default;
};

struct Container {
  std::string name;
  std::string image;
  std::vector<std::string> command;  // empty: the image's entry point
  std::vector<std::string> args;
  std::string working_dir;
  std::vector<ContainerPort> ports;
  std::vector<EnvFromSource> env_from;
  std::vector<EnvVar> env;
  ResourceRequirements resources;
  std::optional<Probe> liveness_probe;
  std::optional<Probe> readiness_probe;
  std::optional<Probe> startup_probe;
  std::string restart_policy;  // only init containers: "Always" makes it a sidecar
  std::string image_pull_policy;
  bool operator==(const Container&) const = default;
};

struct Toleration {
  std::string key;
  std::string op;  // "operator": Exists, Equal; empty means Equal
  std::string value;
  std::string effect;  // empty: every effect
  std::optional<int64_t> toleration_seconds;
  bool operator==(const Toleration&) const = default;
};

struct HostAlias {
  std::string ip;
  std::vector<std::string> hostnames;
  bool operator==(const HostAlias&) const = default;
};
struct PodDnsConfigOption {
  std::string name;
  std::optional<std::string> value;
  bool operator==(const PodDnsConfigOption&) const = default;
};
struct PodDnsConfig {
  std::vector<std::string> nameservers;
  std::vector<std::string> searches;
  std::vector<PodDnsConfigOption> options;
  bool operator==(const PodDnsConfig&) const = default;
};
struct Sysctl {
  std::string name;
  std::string value;
  bool operator==(const Sysctl&) const = default;
};
struct PodSecurityContext {
  std::vector<Sysctl> sysctls;
  bool operator==(const PodSecurityContext&) const = default;
};
struct PodReadinessGate {
  std::string condition_type;
  bool operator==(const PodReadinessGate&) const = default;
};

struct PodSpec {
  std::vector<Container> init_containers;
  std::vector<Container> containers;
  std::string restart_policy;  // Always, OnFailure, Never
  std::optional<int64_t> termination_grace_period_seconds;
  std::string dns_policy;  // ClusterFirst, ClusterFirstWithHostNet, Default, None
  std::optional<PodDnsConfig> dns_config;
  StringMap node_selector;
  std::string service_account_name;
  std::string node_name;
  bool host_network = false;
  std::string hostname;
  std::string subdomain;
  std::optional<std::string> hostname_override;
  std::optional<bool> set_hostname_as_fqdn;
  std::vector<Toleration> tolerations;
  std::vector<HostAlias> host_aliases;
  std::string scheduler_name;
  std::vector<PodReadinessGate> readiness_gates;
  std::optional<PodSecurityContext> security_context;
  bool operator==(const PodSpec&) const = default;
};

struct ContainerStateWaiting {
  std::string reason;
  std::string message;
  bool operator==(const ContainerStateWaiting&) const = default;
};
struct ContainerStateRunning {
  std::optional<Time> started_at;
  bool operator==(const ContainerStateRunning&) const = default;
};
struct ContainerStateTerminated {
  int32_t exit_code = 0;
  int32_t signal = 0;
  std::string reason;
  std::string message;
  std::optional<Time> started_at;
  std::optional<Time> finished_at;
  std::string container_id;
  bool operator==(const ContainerStateTerminated&) const = default;
};
struct ContainerState {
  std::optional<ContainerStateWaiting> waiting;
  std::optional<ContainerStateRunning> running;
  std::optional<ContainerStateTerminated> terminated;
  bool operator==(const ContainerState&) const = default;
};
struct ContainerStatus {
  std::string name;
  ContainerState state;
  ContainerState last_state;
  bool ready = false;
  int32_t restart_count = 0;
  std::string image;
  std::string image_id;
  std::string container_id;
  std::optional<bool> started;
  bool operator==(const ContainerStatus&) const = default;
};

struct IpEntry {  // of podIPs and hostIPs
  std::string ip;
  bool operator==(const IpEntry&) const = default;
};
struct PodStatus {
  std::string phase;  // Pending, Running, Succeeded, Failed, Unknown
  std::vector<Condition> conditions;
  std::string message;
  std::string reason;
  std::string host_ip;
  std::vector<IpEntry> host_ips;
  std::string pod_ip;
  std::vector<IpEntry> pod_ips;  // "podIPs", at most one per family, the primary one first
  std::optional<Time> start_time;
  std::vector<ContainerStatus> init_container_statuses;
  std::vector<ContainerStatus> container_statuses;
  std::string qos_class;
  std::optional<int64_t> observed_generation;
  bool operator==(const PodStatus&) const = default;
};

struct Pod {
  static constexpr KindInfo kKind{"", "v1", "Pod", "pods", true};
  ObjectMeta metadata;
  PodSpec spec;
  PodStatus status;
  bool operator==(const Pod&) const = default;
};

// The Ready condition is True.
bool is_ready(const Pod& pod);
// Succeeded or Failed: it will never run again.
bool is_finished(const Pod& pod);

}  // namespace causeway::kube
