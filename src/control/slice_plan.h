// The EndpointSlices that a Service shall have, from its Pods and those it has. Pure.
#pragma once

#include <functional>
#include <set>

#include "control/zone_hints.h"

namespace causeway::control {

inline constexpr const char* kServiceNameLabel = "kubernetes.io/service-name";
inline constexpr const char* kManagedByLabel = "endpointslice.kubernetes.io/managed-by";
inline constexpr const char* kHeadlessLabel = "service.kubernetes.io/headless";
inline constexpr const char* kSliceController = "endpointslice-controller.k8s.io";

struct SliceInput {
  const kube::Service& service;
  std::vector<const kube::Pod*> pods;         // that the Service selects
  std::vector<kube::EndpointSlice> existing;  // of this controller, labelled with the Service's name
  std::function<const kube::Node*(const std::string& name)> node;
  const ZoneShares& shares;
  std::set<std::string> dealt;  // the address types for which topology-mode had hints before
  size_t max_endpoints = 100;
};

struct SliceNotice {  // an Event about the Service
  bool warning = true;
  std::string reason, message;
};

struct SlicePlan {
  SliceSet slices;                          // `create` is empty for a Service that is being deleted
  std::set<std::string> unknown_nodes;      // whose Pods had to be left out; look again when one appears
  std::map<std::string, ZoneCounts> dealt;  // by address type, for topology-mode
  std::vector<SliceNotice> notices;
};
SlicePlan plan_slices(SliceInput input);

}  // namespace causeway::control
