// What a NetworkAttachmentDefinition says (spec.config: a CNI configuration), as an interface of one Pod. Pure.
//
// We read it ourselves and execute nothing: of the types that people use with Multus, macvlan and host-device (SR-IOV's
// shape: the device moves); of addresses static and host-local, by its ranges. The rest is refused by its name.
#pragma once

#include <functional>
#include <set>

#include "pod/extra/networks.h"

namespace causeway::pod {

// What of the cluster's own a route, or a subnet of the interface, overlaps, in words; "": nothing. Absent: nothing is
// the cluster's.
struct ClusterSpace {
  std::function<std::string(const Cidr&)> by_route, by_subnet;
};

// Reads the definition for this selection. `taken` are the addresses of this network that Pods of the node have.
// Unsupported: a type, or a key of it, that we do not have. Exhausted: no address is free. Denied: one that was asked
// for is another Pod's. Invalid: it can never work. What would lead the cluster's own traffic
// away, or give an address of it twice, is Unsupported too.
Result<ExtraInterface> parse_definition(std::string_view config, const Selection& selection, const std::set<Ip>& taken,
                                        const ClusterSpace& cluster = {});

}  // namespace causeway::pod
