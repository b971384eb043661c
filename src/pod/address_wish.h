// Which addresses a Pod is to have, of what it and its runtime ask for. Pure.
//
//   causeway.io/addresses: 10.244.1.50,fd10:244::50     these, at most one for each family
#pragma once

#include "cluster/model/objects.h"
#include "pod/cni_error.h"

namespace causeway::pod {

inline constexpr std::string_view kPodAddresses = "causeway.io/addresses";

// `asked`: the capability `ips` and its like. InvalidConfig: what cannot be read, two of a family, or runtime and Pod
// that want different ones; the message names the annotation.
CniResult<std::vector<Ip>> address_wish(const cluster::Labels& annotations, const std::vector<Ip>& asked);

}  // namespace causeway::pod
