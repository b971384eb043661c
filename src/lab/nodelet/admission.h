// Whether a node takes a Pod that was bound to it past the scheduler, as kubelet asks once when it meets the Pod. Pure.
#pragma once

#include <string>
#include <vector>

#include "kube/api/types.h"

namespace causeway::lab {

inline constexpr const char* kNodePorts = "NodePorts";  // reason of the refusal

// The scheduler's predicate NodePorts over the Pods of the node that are not over: "" where all host ports are free,
// else kubelet's sentence and who has which.
std::string host_port_conflict(const kube::Pod& pod, const std::vector<const kube::Pod*>& others);

}  // namespace causeway::lab
