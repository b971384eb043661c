// What the agent shows of Services: /services, /services/show and /services/trace; `causeway service` asks for them.
#pragma once

#include "apps/cluster_dns.h"
#include "fabric/options.h"
#include "observe/endpoint.h"
#include "service/apply.h"

namespace causeway::apps {

// Borrows all. `dns`: what is answered before Services; nullptr: nothing.
void describe_services(observe::Endpoint& endpoint, service::Applier& applier, const cluster::Model& model,
                       fabric::Plane plane, const ClusterDns* dns);

}  // namespace causeway::apps
