// Looks at a Pod in the kernel, for CHECK. Changes nothing.
#pragma once

#include "pod/wiring.h"

namespace causeway::pod {

// Ok, or the first thing that is not as record and answer say. `node` is a door of the node, `netns` the Pod's
// (borrowed).
Status check_pod(Doors& doors, netlink::Rtnetlink& node, const Record& record, int netns, const PrevResult& previous);

}  // namespace causeway::pod
