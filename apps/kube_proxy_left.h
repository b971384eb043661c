// What a kube-proxy that ended left on this node: opens what it may be in, and removes it.
#pragma once

#include "service/kube_proxy.h"

namespace causeway::apps {

// May run on any thread. `look`: into tables of iptables too; looking makes them, and with them hooks that every packet
// of the node pays for. Where a kube-proxy in mode ipvs left anything, there are some.
Result<service::KubeProxyRemoved> remove_left_by_kube_proxy(bool look);

}  // namespace causeway::apps
