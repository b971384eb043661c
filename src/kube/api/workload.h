// ReplicaSet, Deployment, StatefulSet and DaemonSet. Their Pod template stays JSON: what we do not understand of it
// must reach the Pods.
#pragma once

#include "kube/api/meta.h"

namespace causeway::kube {

struct ReplicaSetSpec {
  std::optional<int32_t> replicas;  // absent: 1
  int32_t min_ready_seconds = 0;
  LabelSelector selector;
  RawJson pod_template;  // "template" on the wire
  bool operator==(const ReplicaSetSpec&) const = default;
};
struct ReplicaSetStatus {
  int32_t replicas = 0;
  int32_t fully_labeled_replicas = 0;
  int32_t ready_replicas = 0;
  int32_t available_replicas = 0;
  int64_t observed_generation = 0;
  std::vector<Condition> conditions;
  bool operator==(const ReplicaSetStatus&) const = default;
};
struct ReplicaSet {
  static constexpr KindInfo kKind{"apps", "v1", "ReplicaSet", "replicasets", true};
  ObjectMeta metadata;
  ReplicaSetSpec spec;
  ReplicaSetStatus status;
  bool operator==(const ReplicaSet&) const = default;
};

struct RollingUpdateDeployment {
  std::optional<IntOrString> max_unavailable;  // absent: 25%
  std::optional<IntOrString> max_surge;        // absent: 25%
  bool operator==(const RollingUpdateDeployment&) const = default;
};
struct DeploymentStrategy {
  std::string type;  // RollingUpdate, Recreate; empty means RollingUpdate
  std::optional<RollingUpdateDeployment> rolling_update;
  bool operator==(const DeploymentStrategy&) const = default;
};
struct DeploymentSpec {
  std::optional<int32_t> replicas;  // absent: 1
  LabelSelector selector;
  RawJson pod_template;  // "template" on the wire
  DeploymentStrategy strategy;
  int32_t min_ready_seconds = 0;
  std::optional<int32_t> revision_history_limit;  // absent: 10
  bool paused = false;
  std::optional<int32_t> progress_deadline_seconds;  // absent: 600
  bool operator==(const DeploymentSpec&) const = default;
};
struct DeploymentStatus {
  int64_t observed_generation = 0;
  int32_t replicas = 0;
  int32_t updated_replicas = 0;
  int32_t ready_replicas = 0;
  int32_t available_replicas = 0;
  int32_t unavailable_replicas = 0;
  std::optional<int32_t> collision_count;
  std::vector<Condition> conditions;
  bool operator==(const DeploymentStatus&) const = default;
};
struct Deployment {
  static constexpr KindInfo kKind{"apps", "v1", "Deployment", "deployments", true};
  ObjectMeta metadata;
  DeploymentSpec spec;
  DeploymentStatus status;
  bool operator==(const Deployment&) const = default;
};

struct RollingUpdateStatefulSet {
  std::optional<int32_t> partition;            // absent: 0
  std::optional<IntOrString> max_unavailable;  // absent: 1
  bool operator==(const RollingUpdateStatefulSet&) const = default;
};
struct StatefulSetUpdateStrategy {
  std::string type;  // RollingUpdate, OnDelete; empty means RollingUpdate
  std::optional<RollingUpdateStatefulSet> rolling_update;
  bool operator==(const StatefulSetUpdateStrategy&) const = default;
};
struct StatefulSetOrdinals {
  int32_t start = 0;
  bool operator==(const StatefulSetOrdinals&) const = default;
};
struct VolumeClaimTemplate {  // a PersistentVolumeClaim, of which only the name is read
  ObjectMeta metadata;
  bool operator==(const VolumeClaimTemplate&) const = default;
};
struct StatefulSetSpec {
  std::optional<int32_t> replicas;  // absent: 1
  LabelSelector selector;
  RawJson pod_template;  // "template" on the wire
  std::vector<VolumeClaimTemplate> volume_claim_templates;
  std::string service_name;
  std::string pod_management_policy;  // OrderedReady, Parallel; empty means OrderedReady
  StatefulSetUpdateStrategy update_strategy;
  std::optional<int32_t> revision_history_limit;  // absent: 10
  int32_t min_ready_seconds = 0;
  std::optional<StatefulSetOrdinals> ordinals;
  bool operator==(const StatefulSetSpec&) const = default;
};
struct StatefulSetStatus {
  int64_t observed_generation = 0;
  int32_t replicas = 0;
  int32_t ready_replicas = 0;
  int32_t current_replicas = 0;
  int32_t updated_replicas = 0;
  std::string current_revision;
  std::string update_revision;
  std::optional<int32_t> collision_count;
  std::vector<Condition> conditions;
  int32_t available_replicas = 0;
  bool operator==(const StatefulSetStatus&) const = default;
};
struct StatefulSet {
  static constexpr KindInfo kKind{"apps", "v1", "StatefulSet", "statefulsets", true};
  ObjectMeta metadata;
  StatefulSetSpec spec;
  StatefulSetStatus status;
  bool operator==(const StatefulSet&) const = default;
};

struct RollingUpdateDaemonSet {
  std::optional<IntOrString> max_unavailable;  // absent: 1
  std::optional<IntOrString> max_surge;        // absent: 0
  bool operator==(const RollingUpdateDaemonSet&) const = default;
};
struct DaemonSetUpdateStrategy {
  std::string type;  // RollingUpdate, OnDelete; empty means RollingUpdate
  std::optional<RollingUpdateDaemonSet> rolling_update;
  bool operator==(const DaemonSetUpdateStrategy&) const = default;
};
struct DaemonSetSpec {
  LabelSelector selector;
  RawJson pod_template;  // "template" on the wire
  DaemonSetUpdateStrategy update_strategy;
  int32_t min_ready_seconds = 0;
  std::optional<int32_t> revision_history_limit;  // absent: 10
  bool operator==(const DaemonSetSpec&) const = default;
};
struct DaemonSetStatus {
  int32_t current_number_scheduled = 0;
  int32_t number_misscheduled = 0;
  int32_t desired_number_scheduled = 0;
  int32_t number_ready = 0;
  int64_t observed_generation = 0;
  int32_t updated_number_scheduled = 0;
  int32_t number_available = 0;
  int32_t number_unavailable = 0;
  std::optional<int32_t> collision_count;
  std::vector<Condition> conditions;
  bool operator==(const DaemonSetStatus&) const = default;
};
struct DaemonSet {
  static constexpr KindInfo kKind{"apps", "v1", "DaemonSet", "daemonsets", true};
  ObjectMeta metadata;
  DaemonSetSpec spec;
  DaemonSetStatus status;
  bool operator==(const DaemonSet&) const = default;
};

// A Pod template that a StatefulSet or DaemonSet once had: what `kubectl rollout undo` goes back to.
struct ControllerRevision {
  static constexpr KindInfo kKind{"apps", "v1", "ControllerRevision", "controllerrevisions", true};
  ObjectMeta metadata;
  RawJson data;  // a strategic merge patch of the owner: {"spec":{"template":{...,"$patch":"replace"}}}
  int64_t revision = 0;
  bool operator==(const ControllerRevision&) const = default;
};

}  // namespace causeway::kube
