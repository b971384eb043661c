// Waiting for the cluster, by watching it.
#pragma once

#include <functional>

#include "kube/client/client.h"

namespace causeway::cli {

class Steps;

// Until `count` Nodes are Ready. Timeout names those that are not, with their reason; Io as soon as the agent of one
// ends again and again at its start, with its last line.
Task<Status> wait_for_nodes(kube::Client& api, int count, Duration limit);
// Until so many nodes answer the names of the cluster: ready endpoints of kube-system/kube-dns. Timeout names them.
Task<Status> wait_for_dns(kube::Client& api, int nodes, Duration limit);
// Until every Pod of `ns` (empty: all) is Ready or finished, or `expected` says that it is as it should be; at least
// `at_least` Pods. Timeout names those that are not.
Task<Status> wait_for_pods(kube::Client& api, std::string ns, size_t at_least, Duration limit,
                           std::function<bool(const kube::Pod&)> expected = {});

}  // namespace causeway::cli
