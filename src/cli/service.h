// `causeway service`: what a node does for Services, and whether its kernel holds just that. All return the exit
// status: 1 where the kernel differs, where nobody answers or what is asked for is not there; 2 where the question
// makes no sense.
#pragma once

#include "cli/observe_socket.h"

namespace causeway::cli {

int service_ls(const AgentPlace& place);
int service_show(const AgentPlace& place, const std::string& service);  // NS/NAME
struct TraceOptions {
  AgentPlace place;
  std::string from;  // an address, a Pod of the node (NS/NAME), or "node"
  std::string to;    // ADDRESS:PORT[/PROTOCOL]
};
int service_trace(const TraceOptions& options);

}  // namespace causeway::cli
