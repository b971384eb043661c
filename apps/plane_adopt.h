// Services change hands to plane bpf: connections that netfilter's rules carry through them (of plane netfilter before
// a drained node changed, or of a kube-proxy that ended) go on by the programs, and only then the rules go.
#pragma once

#include "async/loop.h"
#include "async/task.h"
#include "datapath/datapath.h"
#include "kernel/netlink/rtnetlink.h"
#include "service/apply.h"

namespace causeway::apps {

// Ends when there is nothing left to take over: once `services` is all in the kernel and no kube-proxy runs here. What
// fails is logged and tried again.
Task<Status> take_over_services(Loop& loop, netlink::Rtnetlink& net, service::Applier& services,
                                datapath::Datapath& datapath);

}  // namespace causeway::apps
