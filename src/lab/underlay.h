// The wires of a lab: makes the plan's links, addresses and routes in its network namespaces. Nothing is made in the
// caller's own.
#pragma once

#include "base/fd.h"
#include "lab/plan.h"

namespace causeway::lab {

// Bridges, addresses and forwarding of the router's namespace. May be repeated.
Status wire_router(int router_netns, const Plan& plan);
// One wire between `space_netns` and the router, with addresses, default routes and the settings of an end host. A wire
// of the same port that an earlier namespace left is replaced.
Status wire_space(int router_netns, int space_netns, const Wire& wire, const Plan& plan);

}  // namespace causeway::lab
