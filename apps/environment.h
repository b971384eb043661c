// Every flag is also an environment variable: --cluster-cidr is CAUSEWAY_CLUSTER_CIDR; an empty one is as good as none,
// and the flag wins. A Pod's settings come from a ConfigMap, mounted as a folder.
#pragma once

#include <string>

#include "base/result.h"

namespace CLI {
class App;
}

namespace causeway::apps {

// After the last flag was added.
void take_environment(CLI::App& command);

// Each file of the folder is a variable: its name, and its content without the newline at the end. A CAUSEWAY_ variable
// that is set already wins; KUBERNETES_SERVICE_HOST and _PORT do not, as kubelet sets those of the ClusterIP in every
// Pod. Names that no variable can have are skipped. Before the flags are parsed, while there is one thread; errors name
// the file.
//
// Not envFrom: kubelet cannot start a container with it while the API server is away, not even again
// (CreateContainerConfigError: failed to sync configmap cache); what it has mounted stays.
Status take_settings(const std::string& folder);

}  // namespace causeway::apps
