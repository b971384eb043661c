// How plane netfilter balances Services: by nftables, iptables or IPVS (--proxy-mode). The plane is the same for all.
#pragma once

#include "apps/plane.h"
#include "kernel/conntrack/conntrack.h"
#include "kernel/nftables/nftables.h"

namespace causeway::apps {

class NetfilterServices {
 public:
  virtual ~NetfilterServices() = default;
  virtual service::Applier& applier() = 0;
  // Its own endless works.
  virtual void start(Scope&, cluster::Feed&) {}
  // What the kernel shall hold, for people.
  virtual std::string rules() = 0;
};

// Borrowed from the plane.
struct NetfilterDoors {
  nftables::Nftables& nft;
  conntrack::Conntrack& conntrack;
};
// By options.proxy_mode. Unsupported: the programs or parts of the kernel that it needs are not there.
Result<std::unique_ptr<NetfilterServices>> open_netfilter_services(const PlaneSetup& setup, NetfilterDoors doors);

// What another way of balancing left on this node. A connection that it translated goes on (nf_conntrack knows it), but
// for those of IPVS. `mode`: whose rules stay; "": nobody's.
Status remove_other_services(netlink::Rtnetlink& net, nftables::Nftables& nft, const std::string& mode);

}  // namespace causeway::apps
