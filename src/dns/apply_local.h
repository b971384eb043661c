// The addresses of cluster DNS as this node's own, while a process of the node answers there. Each is a route of the
// table `local` (`ip route show table local proto 203`), not an address of a device: so nothing that lists the node's
// addresses changes, and who asks from the node itself does so from the node's own address, which is still right when
// another node answers a moment later (docs/decisions/dns-at-its-address.md).
#pragma once

#include <map>

#include "dns/local.h"
#include "kernel/netlink/rtnetlink.h"

namespace causeway::dns {

// The tag of these routes: those of Services by IPVS are local ones too.
inline constexpr uint8_t kRouteProtocol = 203;

// The data path of the node: what is sent to port 53 of these goes to the node's own process, past Services.
class LocalDoor {
 public:
  virtual ~LocalDoor() = default;
  virtual Status answer(const std::set<Ip>& here) = 0;
  // What the kernel holds, by whomever it was written.
  virtual Result<std::set<Ip>> answering() = 0;
};

class LocalAddresses {
 public:
  // Borrows both.
  LocalAddresses(netlink::Rtnetlink& net, LocalDoor& door) : net_(net), door_(door) {}

  // `sources`: the node's address of each family. Idempotent: writes what differs. No packet is sent to an address that
  // the node has not.
  Status bring(const std::set<Ip>& here, const std::map<Family, Ip>& sources);

 private:
  netlink::Rtnetlink& net_;
  LocalDoor& door_;
};

// The node has none of them any more.
Status remove_local_addresses(netlink::Rtnetlink& net);

}  // namespace causeway::dns
