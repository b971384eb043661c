// What the API says of cluster DNS: the Service that Pods ask, and where a node answers for it. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/ip.h"
#include "kube/api/types.h"

namespace causeway::lab {

// kube-system/kube-dns, with the labels, selector and port names that programs look for everywhere. `addresses`: one
// for each family, the primary one first.
kube::Service dns_service(const std::vector<Ip>& addresses);

// The endpoint of a node, in a slice for each family that it has an address of. Hints name the node itself: its own
// DNS is asked while it is ready, then any other (KEP-3015).
std::vector<kube::EndpointSlice> dns_slices(const std::string& node, const std::vector<Ip>& node_addresses, bool ready);

}  // namespace causeway::lab
