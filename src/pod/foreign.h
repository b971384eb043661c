// What is added to an interface that another plugin made: found by its name in the Pod, shaped and tuned in place.
#pragma once

#include "pod/wiring.h"

namespace causeway::pod {

// The interface of that name in the namespace, with its end on the node. NotFound: there is none.
Result<ForeignLink> find_foreign_link(Doors& doors, netlink::Rtnetlink& node, int netns, const std::string& ifname);

// Bandwidth and sysctls of the record. On error some of it may be there: untune_foreign_link(). Unsupported: what comes
// in cannot be limited where the interface has no end on the node.
Status tune_foreign_link(Doors& doors, netlink::Rtnetlink& node, int netns, const Record& record);
// Takes the shaping away. Sysctls stay: they end with the Pod.
Status untune_foreign_link(Doors& doors, netlink::Rtnetlink& node, int netns, const Record& record);

}  // namespace causeway::pod
