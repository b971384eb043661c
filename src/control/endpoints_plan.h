// The Endpoints object of a Service, the older form of its EndpointSlices: one family, one list. Pure.
#pragma once

#include "kube/api/types.h"

namespace causeway::control {

inline constexpr size_t kMostAddresses = 1000;  // of one Endpoints object
inline constexpr const char* kOverCapacity = "endpoints.kubernetes.io/over-capacity";
inline constexpr const char* kEndpointsManagedBy = "endpoints.kubernetes.io/managed-by";
inline constexpr const char* kEndpointsController = "endpoint-controller";

// Subsets of a Service: addresses with the same ports are together. Sorted, so that equal input gives equal output.
std::vector<kube::EndpointSubset> plan_subsets(const kube::Service& service, const std::vector<const kube::Pod*>& pods);

// Cuts down to kMostAddresses: not ready ones first, each subset in proportion. Whether anything was cut.
bool truncate(std::vector<kube::EndpointSubset>& subsets);

// What the object shall be; `old` may be null. Absent: it is so already. `annotations` but ours stay.
std::optional<kube::Endpoints> plan_endpoints(const kube::Service& service, const std::vector<const kube::Pod*>& pods,
                                              const kube::Endpoints* old);

}  // namespace causeway::control
