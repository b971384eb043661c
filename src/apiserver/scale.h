// The scale subresource: a Deployment's or ReplicaSet's replicas, seen and written as an autoscaling/v1 Scale.
#pragma once

#include "apiserver/json_tree.h"
#include "apiserver/status.h"

namespace causeway::apiserver {

constexpr kube::KindInfo kScaleKind{"autoscaling", "v1", "Scale", "scales", true};

json::object scale_of(const json::object& workload);

// Puts what a Scale may change into the object. Errors: 422.
ApiResult<void> apply_scale(json::object& workload, const json::object& scale);

}  // namespace causeway::apiserver
