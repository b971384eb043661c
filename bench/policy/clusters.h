// Clusters of the shapes that policy engines are measured with, put straight into a model.
#pragma once

#include "cluster/model/model.h"

namespace causeway::bench {

// `namespaces` of four Pods and three policies each: one that denies all, two that let the Pods of one label talk to
// each other; Pods spread over 1,000 nodes. The shape that Antrea's controller is tested with (25,000 namespaces).
void small_namespaces(cluster::Model& model, uint32_t namespaces);
// Of these nodes.
std::string node_name(uint32_t number);

// One namespace, so many Pods and as many policies, each policy for every Pod and from every Pod. All of node 0.
void one_for_all(cluster::Model& model, uint32_t count);
cluster::Policy policy_for_all(uint32_t number, uint16_t port);

// One namespace; each Pod has a policy of its own, which admits one other Pod. All of node 0.
void one_for_each(cluster::Model& model, uint32_t count);
cluster::Policy policy_for_one(uint32_t number, uint32_t from, uint16_t port);
cluster::Pod pod_of_one(uint32_t number, uint32_t app);

// One namespace, one Pod of node 0, and `count` blocks in policies of 20,000: half of them single addresses, half /24.
void many_blocks(cluster::Model& model, uint32_t count);
cluster::Policy policy_of_blocks(uint32_t number, uint32_t first, uint32_t last);

}  // namespace causeway::bench
