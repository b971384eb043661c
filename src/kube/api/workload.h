// ReplicaSet and Deployment. Their Pod template stays JSON: what we do not understand of it must reach the Pods.
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

}  // namespace causeway::kube
