// Looks at a Pod in the kernel, for CHECK and for who adds to an interface that another plugin made. Changes nothing.
#pragma once

#include "pod/wiring.h"

namespace causeway::pod {

// Ok, or the first thing that is not as record and answer say. `node` is a door of the node, `netns` the Pod's
// (borrowed).
Status check_pod(Doors& doors, netlink::Rtnetlink& node, const Record& record, int netns, const PrevResult& previous);

// The interface of that name in the namespace, with its end on the node. NotFound: there is none.
Result<ForeignLink> find_foreign_link(Doors& doors, netlink::Rtnetlink& node, int netns, const std::string& ifname);

}  // namespace causeway::pod
