// What the agent shows of Services: /services, /services/show and /services/trace; `causeway service` asks for them.
#pragma once

#include "fabric/options.h"
#include "observe/endpoint.h"
#include "service/apply.h"

namespace causeway::apps {

// Borrows applier and model.
void describe_services(observe::Endpoint& endpoint, service::Applier& applier, const cluster::Model& model,
                       fabric::Plane plane);

}  // namespace causeway::apps
