// What a lab's resolvers read: the Corefile of its nodes, that of the outside host, and the nodes' resolv.conf. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/ip.h"

namespace causeway::lab {

// The zone that the outside host serves: every name in it has the host's own addresses, and no other name exists there.
inline constexpr const char* kOutsideZone = "outside.example";

// Of every node's `causeway dns`: the names of the cluster, all others by the node's own resolv.conf.
std::string node_corefile();
// Of the outside host, which has these addresses.
std::string outside_corefile(const std::vector<Ip>& addresses);
// The nodes' /etc/resolv.conf: the outside host is their resolver. No addresses: none is.
std::string node_resolv_conf(const std::vector<Ip>& outside_addresses);

}  // namespace causeway::lab
