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
struct ResourceFieldSelector {
  std::string container_name;  // empty: the container itself
  std::string resource;        // "limits.cpu", "requests.memory"
  std::string divisor;         // a quantity; empty means 1
  bool operator==(const ResourceFieldSelector&) const = default;
};
struct EnvVarSource {
  std::optional<ObjectFieldSelector> field_ref;
  std::optional<ResourceFieldSelector> resource_field_ref;
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
struct GrpcAction {
  int32_t port = 0;
  std::string service;
  bool operator==(const GrpcAction&) const = default;
};
struct SleepAction {
  int64_t seconds = 0;
  bool operator==(const SleepAction&) const = default;
};
struct LifecycleHandler {
  std::optional<ExecAction> exec;
  std::optional<HttpGetAction> http_get;
  std::optional<TcpSocketAction> tcp_socket;
  std::optional<SleepAction> sleep;
  bool operator==(const LifecycleHandler&) const = default;
};
struct Lifecycle {
  std::optional<LifecycleHandler> post_start;
  std::optional<LifecycleHandler> pre_stop;
  std::string stop_signal;  // "SIGUSR1"; empty: the image's, else SIGTERM
  bool operator==(const Lifecycle&) const = default;
};
struct Probe {
  std::optional<HttpGetAction> http_get;
  std::optional<TcpSocketAction> tcp_socket;
  std::optional<ExecAction> exec;
  std::optional<GrpcAction> grpc;
  int32_t initial_delay_seconds = 0;
  int32_t timeout_seconds = 0;                              // 0 (unset): 1
  int32_t period_seconds = 0;                               // 0 (unset): 10
  int32_t success_threshold = 0;                            // 0 (unset): 1
  int32_t failure_threshold = 0;                            // 0 (unset): 3
  std::optional<int64_t> termination_grace_period_seconds;  // absent: the Pod's
  bool operator==(const Probe&) const = default;
};

struct ResourceRequirements {
  StringMap limits;
  StringMap requests;
  bool operator==(const ResourceRequirements&) const = default;
};

struct Capabilities {
  std::vector<std::string> add;  // "NET_ADMIN", "ALL"
  std::vector<std::string> drop;
  bool operator==(const Capabilities&) const = default;
};
struct SecurityContext {  // of a container
  std::optional<Capabilities> capabilities;
  std::optional<bool> privileged;
  std::optional<int64_t> run_as_user;
  std::optional<int64_t> run_as_group;
  std::optional<bool> run_as_non_root;
  std::optional<bool> read_only_root_filesystem;
  std::optional<bool> allow_privilege_escalation;
  bool operator==(const SecurityContext&) const = default;
};
struct VolumeMount {
  std::string name;
  bool read_only = false;
  std::string mount_path;
  std::string sub_path;
  std::string sub_path_expr;
  bool operator==(const VolumeMount&) const = default;
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
  std::optional<Lifecycle> lifecycle;
  std::optional<SecurityContext> security_context;
  std::vector<VolumeMount> volume_mounts;
  std::string restart_policy;  // only init containers: "Always" makes it a sidecar
  std::string image_pull_policy;
  std::string termination_message_path;
  std::string termination_message_policy;  // File, FallbackToLogsOnError
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
  std::optional<int64_t> run_as_user;
  std::optional<int64_t> run_as_group;
  std::optional<bool> run_as_non_root;
  std::optional<int64_t> fs_group;
  std::vector<int64_t> supplemental_groups;
  bool operator==(const PodSecurityContext&) const = default;
};
struct KeyToPath {
  std::string key;
  std::string path;
  std::optional<int32_t> mode;
  bool operator==(const KeyToPath&) const = default;
};
struct ObjectVolume {  // of a ConfigMap or Secret
  std::string name;    // "secretName" of a Secret's volume
  std::vector<KeyToPath> items;
  std::optional<int32_t> default_mode;  // absent in a projection
  std::optional<bool> optional;
  bool operator==(const ObjectVolume&) const = default;
};
struct SecretVolume {  // as ObjectVolume; another name on the wire
  std::string name;
  std::vector<KeyToPath> items;
  std::optional<int32_t> default_mode;
  std::optional<bool> optional;
  bool operator==(const SecretVolume&) const = default;
};
struct DownwardApiFile {
  std::string path;
  std::optional<ObjectFieldSelector> field_ref;
  std::optional<ResourceFieldSelector> resource_field_ref;
  std::optional<int32_t> mode;
  bool operator==(const DownwardApiFile&) const = default;
};
struct DownwardApiVolume {
  std::vector<DownwardApiFile> items;
  std::optional<int32_t> default_mode;
  bool operator==(const DownwardApiVolume&) const = default;
};
struct VolumeProjection {
  std::optional<ObjectVolume> config_map;
  std::optional<ObjectVolume> secret;
  std::optional<DownwardApiVolume> downward_api;
  RawJson service_account_token;  // not done; present is told apart from absent
  bool operator==(const VolumeProjection&) const = default;
};
struct ProjectedVolume {
  std::vector<VolumeProjection> sources;
  std::optional<int32_t> default_mode;
  bool operator==(const ProjectedVolume&) const = default;
};
struct EmptyDirVolume {
  std::string medium;      // "", Memory
  std::string size_limit;  // a quantity
  bool operator==(const EmptyDirVolume&) const = default;
};
struct HostPathVolume {
  std::string path;
  std::string type;  // "", Directory, DirectoryOrCreate, File, FileOrCreate, Socket, CharDevice, BlockDevice
  bool operator==(const HostPathVolume&) const = default;
};
struct ClaimVolume {
  std::string claim_name;
  bool operator==(const ClaimVolume&) const = default;
};
// One with none of these is of a type that we do not know.
struct Volume {
  std::string name;
  std::optional<EmptyDirVolume> empty_dir;
  std::optional<ObjectVolume> config_map;
  std::optional<SecretVolume> secret;
  std::optional<DownwardApiVolume> downward_api;
  std::optional<ProjectedVolume> projected;
  std::optional<HostPathVolume> host_path;
  std::optional<ClaimVolume> persistent_volume_claim;
  bool operator==(const Volume&) const = default;
};

struct NodeSelectorRequirement {
  std::string key;
  std::string op;  // "operator": In, NotIn, Exists, DoesNotExist, Gt, Lt
  std::vector<std::string> values;
  bool operator==(const NodeSelectorRequirement&) const = default;
};
struct NodeSelectorTerm {  // an empty one matches nothing
  std::vector<NodeSelectorRequirement> match_expressions;
  std::vector<NodeSelectorRequirement> match_fields;  // metadata.name only
  bool operator==(const NodeSelectorTerm&) const = default;
};
struct NodeSelector {
  std::vector<NodeSelectorTerm> node_selector_terms;  // one of them must match
  bool operator==(const NodeSelector&) const = default;
};
struct PreferredSchedulingTerm {
  int32_t weight = 0;
  NodeSelectorTerm preference;
  bool operator==(const PreferredSchedulingTerm&) const = default;
};
struct NodeAffinity {
  std::optional<NodeSelector> required;  // "requiredDuringSchedulingIgnoredDuringExecution"
  std::vector<PreferredSchedulingTerm> preferred;
  bool operator==(const NodeAffinity&) const = default;
};
struct PodAffinityTerm {
  std::optional<LabelSelector> label_selector;
  std::vector<std::string> namespaces;
  std::string topology_key;
  std::optional<LabelSelector> namespace_selector;
  bool operator==(const PodAffinityTerm&) const = default;
};
struct PodAffinity {  // and PodAntiAffinity; what is preferred is not read
  std::vector<PodAffinityTerm> required;
  bool operator==(const PodAffinity&) const = default;
};
struct Affinity {
  std::optional<NodeAffinity> node_affinity;
  std::optional<PodAffinity> pod_affinity;
  std::optional<PodAffinity> pod_anti_affinity;
  bool operator==(const Affinity&) const = default;
};

struct PodReadinessGate {
  std::string condition_type;
  bool operator==(const PodReadinessGate&) const = default;
};

struct PodSchedulingGate {
  std::string name;
  bool operator==(const PodSchedulingGate&) const = default;
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
  std::vector<PodSchedulingGate> scheduling_gates;  // no node while there is one (KEP-3521)
  std::optional<PodSecurityContext> security_context;
  std::vector<Volume> volumes;
  std::optional<Affinity> affinity;
  std::optional<bool> enable_service_links;  // absent: true
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
