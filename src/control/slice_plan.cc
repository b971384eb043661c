#include "control/slice_plan.h"

#include <algorithm>

#include "base/format.h"
#include "control/endpoint_of.h"

namespace causeway::control {
namespace {

// The Service's own labels but those that mean something on a slice, and these.
kube::StringMap slice_labels(const kube::Service& service) {
  auto labels = service.metadata.labels;
  labels.erase(kHeadlessLabel);
  if (!has_cluster_ip(service)) labels[kHeadlessLabel] = "";
  labels[kServiceNameLabel] = service.metadata.name;
  labels[kManagedByLabel] = kSliceController;
  return labels;
}

EndpointGroups wanted_groups(const SliceInput& input, const std::string& address_type,
                             std::set<std::string>& unknown_nodes) {
  EndpointGroups groups;
  for (const auto* pod : input.pods) {
    if (!may_be_endpoint(*pod)) continue;
    const auto* node = input.node(pod->spec.node_name);
    // A Pod that names a Node which does not exist is about to go; unless its owner wants it listed whatever it is.
    if (!node && !input.service.spec.publish_not_ready_addresses) {
      unknown_nodes.insert(pod->spec.node_name);
      continue;
    }
    auto endpoint = endpoint_of(input.service, *pod, node, address_type);
    if (endpoint.addresses.empty()) continue;
    auto ports = endpoint_ports(input.service, *pod);
    auto& group = groups[ports_key(ports)];
    group.ports = std::move(ports);
    auto [at, fresh] = group.endpoints.try_emplace(key_of(endpoint), endpoint);
    if (!fresh) at->second = std::move(endpoint);
  }
  return groups;
}

void append(SliceSet& to, SliceSet from) {
  std::ranges::move(from.create, std::back_inserter(to.create));
  std::ranges::move(from.update, std::back_inserter(to.update));
  std::ranges::move(from.remove, std::back_inserter(to.remove));
  std::ranges::move(from.unchanged, std::back_inserter(to.unchanged));
}

}  // namespace

SlicePlan plan_slices(SliceInput input) {
  const auto& service = input.service;
  const SliceOwner owner{.reference = {.api_version = "v1",
                                       .kind = "Service",
                                       .name = service.metadata.name,
                                       .uid = service.metadata.uid,
                                       .controller = true,
                                       .block_owner_deletion = true},
                         .ns = service.metadata.ns,
                         .labels = slice_labels(service),
                         .annotations = std::nullopt,
                         .max_endpoints = input.max_endpoints};
  const auto mode = hint_mode(service);
  const auto types = address_types(service);
  SlicePlan plan;
  for (const auto& type : types) {
    std::vector<kube::EndpointSlice> existing, others;
    for (auto& slice : input.existing) (slice.address_type == type ? existing : others).push_back(std::move(slice));
    input.existing = std::move(others);
    auto slices = pack(owner, type, std::move(existing), wanted_groups(input, type, plan.unknown_nodes));
    auto outcome = write_hints(mode, input.shares, slices);
    const bool had = input.dealt.contains(type);
    const auto notice = [&](bool warning, std::string_view text) {
      plan.notices.push_back({.warning = warning,
                              .reason = warning ? "TopologyAwareHintsDisabled" : "TopologyAwareHintsEnabled",
                              .message = fmt::format("{}, addressType: {}", text, type)});
    };
    if (!outcome.refused.empty())
      notice(true, outcome.refused);
    else if (mode == HintMode::Auto && !had)
      notice(false, "Topology Aware Hints has been enabled");
    else if (mode != HintMode::Auto && had)
      notice(true, "Topology Aware Hints has been disabled");
    if (mode == HintMode::Auto && outcome.refused.empty()) plan.dealt[type] = std::move(outcome.dealt);
    append(plan.slices, std::move(slices));
  }
  // What is left is of families that the Service no longer has.
  std::ranges::move(input.existing, std::back_inserter(plan.slices.remove));
  reuse_removed(plan.slices, owner.reference);
  // The garbage collector takes away what a Service that goes has; nothing is made behind its back.
  if (service.metadata.deletion_timestamp) plan.slices.create.clear();
  return plan;
}

}  // namespace causeway::control
