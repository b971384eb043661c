// What a Pod says about the nodes that it can run on: node name, selector and affinity, and tolerations of taints.
// Pure; the scheduler and the DaemonSet controller ask alike.
#pragma once

#include <string>
#include <vector>

#include "kube/api/types.h"

namespace causeway::control {

bool tolerates(const kube::Toleration& toleration, const kube::Taint& taint);
bool tolerated(const kube::Pod& pod, const kube::Taint& taint);
// The taints of the node, and those that a node lifecycle controller would set: a node that is not Ready gets no Pods.
std::vector<kube::Taint> taints_of(const kube::Node& node);

bool matches(const kube::NodeSelectorTerm& term, const kube::Node& node);
// spec.nodeSelector and the required node affinity.
bool selects(const kube::Pod& pod, const kube::Node& node);
// The weights of the preferred node affinity that the node earns.
int64_t preference(const kube::Pod& pod, const kube::Node& node);

// The node that the Pod runs on, or the only one that its required affinity names by metadata.name; empty: any.
std::string destined_node(const kube::Pod& pod);

}  // namespace causeway::control
