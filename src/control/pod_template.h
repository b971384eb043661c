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

// The Pod to create for a ReplicaSet, as JSON: generateName, owner, and the template.
Result<std::string> pod_for(const kube::ReplicaSet& set);

}  // namespace causeway::control
