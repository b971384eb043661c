// `causeway dns lookup`: what a client gets for a name, as the node's DNS process says it.
#pragma once

#include "cli/observe_socket.h"

namespace causeway::cli {

struct DnsLookup {
  AgentPlace place;
  std::string name;
  std::string type;  // "": A and AAAA
  std::string pod;   // "": no search list
};

// Exit status 1: there is no such name, or it cannot be asked.
int dns_lookup(const DnsLookup& options);

}  // namespace causeway::cli
