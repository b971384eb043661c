// The load of this node as the agent reports it: from /proc/stat to its own Node, while a Service balances by it.
#pragma once

#include "kube/client/client.h"
#include "service/apply.h"
#include "service/node_load.h"

namespace causeway::apps {

// Borrows both.
service::NodeLoad::Doors load_doors(kube::Client& api, std::string node, const service::Applier& services);

}  // namespace causeway::apps
