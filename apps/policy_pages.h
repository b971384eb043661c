// What the agent shows of policies: /policy.
#pragma once

#include "observe/endpoint.h"
#include "policy/apply.h"

namespace causeway::apps {

// Borrows both.
void describe_policies(observe::Endpoint& endpoint, policy::Applier& applier, const cluster::Model& model);

}  // namespace causeway::apps
