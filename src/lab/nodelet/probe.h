// Probes by TCP and HTTP, from the node's own network as kubelet's.
#pragma once

#include <string>

#include "async/loop.h"
#include "base/ip.h"
#include "kube/api/types.h"

namespace causeway::lab {

// The number of a port that a probe names. Errors: NotFound.
Result<uint16_t> port_number(const kube::Container& container, const kube::IntOrString& port);

// One try: Ok, or what went wrong in kubelet's words. `pod_ip` is asked when the probe names no host.
Task<Status> probe_once(Loop& loop, kube::Probe probe, kube::Container container, Ip pod_ip);

}  // namespace causeway::lab
