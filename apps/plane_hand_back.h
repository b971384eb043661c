// What plane netfilter takes over from plane bpf: its packets, and the connections that its rows translate.
#pragma once

#include "apps/freeze.h"
#include "apps/plane_change.h"

namespace causeway::apps {

// Before any rule of plane netfilter is in the kernel: what the node itself opened passes netfilter also on plane bpf,
// so it is netfilter's from here on. The result keeps translations alive until the plane has changed.
Result<Freeze> take_over_own(const PlaneChange& change, nftables::Nftables& nft);

// Plane bpf carries the node's packets. Once all is in place: what its rows translate is told to nf_conntrack, and
// plane bpf goes. In the milliseconds between, a TCP segment that netfilter does not know is dropped, and sent again.
// Then only returns. What fails is logged and tried again.
Task<Status> take_over_from_bpf(Loop& loop, cluster::Feed& feed, const PlaneChange& change, netlink::Rtnetlink& net,
                                Freeze& freeze, const service::Applier* services);

}  // namespace causeway::apps
