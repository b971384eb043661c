// What plane bpf takes over: the packets that plane netfilter carried, and Services that netfilter's rules served (of
// that plane, or of a kube-proxy). Connections go on by the programs, and only then the rules go.
#pragma once

#include "apps/plane_change.h"
#include "datapath/datapath.h"
#include "fabric/apply_bpf.h"

namespace causeway::apps {

// Plane netfilter carries the node's packets and `fabric` is held. Once all is in place: connections become rows, the
// programs are attached, and plane netfilter goes, within some ten milliseconds in which no TCP connection is opened
// (its SYN is sent again). Then only returns. What fails is logged and tried again.
Task<Status> take_over_plane(Loop& loop, cluster::Feed& feed, const PlaneChange& change, netlink::Rtnetlink& net,
                             fabric::BpfApplier& fabric, const service::Applier* services,
                             datapath::Datapath& datapath);

// Ends when there is nothing left to take over: once `services` is all in the kernel and no kube-proxy runs here. What
// fails is logged and tried again.
Task<Status> take_over_services(Loop& loop, cluster::Feed& feed, netlink::Rtnetlink& net, service::Applier& services,
                                datapath::Datapath& datapath);

}  // namespace causeway::apps
