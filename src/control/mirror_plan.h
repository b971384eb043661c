// The EndpointSlices that mirror an Endpoints object which somebody wrote by hand for a Service without a selector: so
// that who reads only slices sees it. Pure.
#pragma once

#include "control/slice_pack.h"

namespace causeway::control {

inline constexpr const char* kMirrorController = "endpointslicemirroring-controller.k8s.io";
inline constexpr size_t kMostMirrored = 1000;  // addresses of one subset

bool is_mirrored(const kube::Endpoints& endpoints, const kube::Service* service);

struct MirrorPlan {
  SliceSet slices;
  size_t invalid = 0;  // addresses that are none
  size_t surplus = 0;  // beyond kMostMirrored of their subset
};
// Without addresses, or for an object that is_mirrored() says no to (pass null): all slices go.
MirrorPlan plan_mirror(const kube::Endpoints* endpoints, std::vector<kube::EndpointSlice> existing);

}  // namespace causeway::control
