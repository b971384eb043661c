// Every flag is also an environment variable: --cluster-cidr is CAUSEWAY_CLUSTER_CIDR. A DaemonSet takes them from a
// ConfigMap as a whole; an empty one is as good as none, and the flag wins.
#pragma once

namespace CLI {
class App;
}

namespace causeway::apps {

// After the last flag was added.
void take_environment(CLI::App& command);

}  // namespace causeway::apps
