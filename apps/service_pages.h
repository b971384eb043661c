// What the agent shows of Services: /services, /services/show and /services/trace; `causeway service` asks for them.
#pragma once

#include "observe/endpoint.h"
#include "service/apply.h"

namespace causeway::apps {

// Borrows both.
void describe_services(observe::Endpoint& endpoint, service::Applier& applier, const cluster::Model& model);

}  // namespace causeway::apps
