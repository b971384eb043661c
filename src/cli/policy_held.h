// What the kernels of both ends of a connection hold for it, asked of their agents.
#pragma once

#include "cli/observe_socket.h"
#include "policy/flow.h"

namespace causeway::cli {

struct HeldAnswer {
  std::string text;      // a line for each end that is a Pod: "  kernel of node-1: egress of shop/web: allowed"
  bool asked = false;    // a kernel answered for some end
  bool whole = true;     // for each end that policies judge
  bool allowed = true;   // by all that answered
  bool differs = false;  // some kernel holds something else than what its agent compiled
};
// `place`: a lab, or this machine's agent, which answers for its own Pods alone. Not for what is exempt from policies.
HeldAnswer ask_kernels(const AgentPlace& place, const policy::Party& from, const policy::Party& to, Family family,
                       const policy::Port& port);

}  // namespace causeway::cli
