// What the server does on its own: the objects that every cluster has, the emptying of namespaces that are deleted, the
// end of old Events. On a Kubernetes cluster these are parts of kube-apiserver and kube-controller-manager.
#pragma once

#include <vector>

#include "apiserver/write.h"
#include "base/ip.h"

namespace causeway::apiserver {

// Makes the namespaces default, kube-system, kube-public and kube-node-lease, the Service `kubernetes`, and its
// EndpointSlices from `advertise`. Changes nothing when all is there.
Task<Status> bootstrap(Context context, std::vector<Endpoint> advertise);

// A namespace that is Terminating loses its objects and then its finalizer. Runs until cancelled.
Task<Status> empty_namespaces(Context context);

// Deletes Events that were seen last longer ago than `lifetime`. Runs until cancelled.
Task<Status> expire_events(Context context, Duration lifetime);

}  // namespace causeway::apiserver
