// Pod templates as JSON: whatever a user wrote reaches the Pods, also what we do not understand. Pure.
#pragma once

#include <string>

#include "base/result.h"
#include "kube/api/types.h"

namespace causeway::control {

inline constexpr const char* kTemplateHashLabel = "pod-template-hash";

// The hash that names a Deployment's ReplicaSet: of the canonical template without its pod-template-hash label, and of
// `collisions` (status.collisionCount). Only letters that cannot form words, as upstream (SafeEncodeString).
Result<std::string> template_hash(const std::string& pod_template, int32_t collisions);
// Whether two templates make the same Pods: all but the pod-template-hash label is equal.
Result<bool> same_template(const std::string& a, const std::string& b);
// The template with one more label.
Result<std::string> with_label(const std::string& pod_template, std::string_view key, std::string_view value);
// Its metadata.labels.
Result<kube::StringMap> template_labels(const std::string& pod_template);

// What its controller gives a Pod beside the template.
struct PodIdentity {
  std::string kind;                           // of the owner, in apps/v1
  const kube::ObjectMeta& owner;              // its namespace is the Pod's
  std::string name;                           // empty: the owner's, with letters that the API server appends
  kube::StringMap labels;                     // over the template's
  std::string hostname, subdomain;            // over the template's, unless empty
  std::vector<std::string> scratch;           // volumes of this name become an emptyDir: they stand in for claims
  std::vector<kube::Toleration> tolerations;  // beside the template's, unless it has them
  std::string node;  // the only one that it may run on: a required node affinity, as upstream's DaemonSets
};
// The Pod to create, as JSON.
Result<std::string> pod_from(const std::string& pod_template, const PodIdentity& identity);
inline Result<std::string> pod_for(const kube::ReplicaSet& set) {
  return pod_from(set.spec.pod_template.text, {.kind = "ReplicaSet", .owner = set.metadata});
}

// A ControllerRevision's data: a strategic merge patch that puts the template back, and the template out of it.
Result<std::string> revision_data(const std::string& pod_template);
Result<std::string> template_of(const std::string& revision_data);

}  // namespace causeway::control
