// What the API server does to a tree before it stores it: defaults, then validation. Trees, not typed objects, because
// fields that we do not know must survive. Pure; the order of errors follows Kubernetes.
//
// Every function expects a tree that check_schema() found no wrong type in: it reads fields by their schema type and
// passes over what has another.
#pragma once

#include <boost/json/object.hpp>

#include "kube/api/field_error.h"
#include "kube/api/kind.h"

namespace causeway::kube {

// Fills what is absent as Kubernetes 1.36 does on every write and read ("protocol": "TCP", "replicas": 1, probe
// periods ...), brings quantities written as numbers to strings, and merges Secret.stringData into data. Of a Namespace
// also the "kubernetes" finalizer and the phase of a new one. Idempotent. Kinds that it does not know stay as they are.
// Not here, because it needs state: uid, times, cluster IPs and node ports.
void set_defaults(const KindInfo& kind, boost::json::object& object);

// For a POST, after metadata.name has been made from generateName. `ns` of a namespaced kind is in metadata already.
FieldErrors validate_create(const KindInfo& kind, const boost::json::object& object);

// For PUT and PATCH of the object itself. Includes what validate_create() asks of `updated`, with ratcheting where
// Kubernetes has it: what was stored stays legal while it is unchanged.
FieldErrors validate_update(const KindInfo& kind, const boost::json::object& old, const boost::json::object& updated);

// For the status subresource.
FieldErrors validate_status_update(const KindInfo& kind, const boost::json::object& old,
                                   const boost::json::object& updated);

// Deprecations and habits worth a Warning header; one line each.
std::vector<std::string> warnings_for(const KindInfo& kind, const boost::json::object& object);

}  // namespace causeway::kube
