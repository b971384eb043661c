// What the agent shows of policies: /policy.
#pragma once

#include "observe/endpoint.h"
#include "policy/apply.h"

namespace causeway::apps {

// Borrows the applier.
void describe_policies(observe::Endpoint& endpoint, policy::Applier& applier, const std::string& node);

}  // namespace causeway::apps
