// What our path is measured against, built with `ip link` in the same run.
#pragma once

#include "measure.h"

namespace causeway::bench {

// Two namespaces, one veth: the least that two Pods can cost.
struct BareVeth {
  test::Ns one, two;
  BareVeth();
  Path path() const;
};

// A Linux bridge with two Pods, as the bridge CNI plugin makes it.
struct Bridge {
  test::Ns node, one, two;
  Bridge();
  Path path() const;
};

// Two nodes on one wire, each with a bridge, its Pod and a kernel VXLAN device between the bridges (flannel's classic
// layout, with a static forwarding table).
struct BridgeVxlan {
  test::Ns node_one, node_two, one, two;
  BridgeVxlan();
  Path path() const;
};

}  // namespace causeway::bench
