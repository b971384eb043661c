// What the kernel says about this node: which device leads to the others, and our addresses.
#pragma once

#include "cluster/model/objects.h"
#include "kernel/netlink/rtnetlink.h"

namespace causeway::fabric {

struct UplinkChoice {
  std::string device;         // by name; "" lets the addresses decide
  std::vector<Ip> addresses;  // of our Node object: the device that has one of them
};

// The device: the one named; else the one with an address of the Node; else the one of the default route. Errors:
// NotFound, naming what was looked for.
Result<cluster::NodeFacts> observe_facts(netlink::Rtnetlink& net, std::string node, const UplinkChoice& choice);

}  // namespace causeway::fabric
