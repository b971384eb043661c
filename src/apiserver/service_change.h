// What an update of a Service means for the fields that depend on its type: Services are a union by `type`, and clients
// change the type without tidying up. Pure; the rules are those of Kubernetes (pkg/registry/core/service).
#pragma once

#include "apiserver/json_tree.h"

namespace causeway::apiserver {

// clusterIP and clusterIPs are one thing: whichever the client wrote or changed decides. `old` is null for a new one.
void normalize_cluster_ips(json::object& service, const json::object* old);

// Gives back what was allocated and the client did not mention: clusterIP, node ports (by the names of ports), the
// health check's port; takes away what the new type has no use for, unless the client changed it too (validation then
// refuses it).
void settle_service_change(json::object& service, const json::object& old);

}  // namespace causeway::apiserver
