// What the server itself writes into objects: metadata, and the parts of each kind that a client does not decide
// (the strategies of Kubernetes' registries). Pure but for the time and randomness that are given.
#pragma once

#include "apiserver/json_tree.h"
#include "apiserver/kinds.h"
#include "apiserver/random.h"
#include "apiserver/status.h"
#include "async/loop.h"

namespace causeway::apiserver {

// "2026-07-30T10:00:00Z".
std::string now_text(WallTime now);

// Name from generateName, namespace, uid, creationTimestamp, generation; takes away what clients may not set.
// Errors: 400.
ApiResult<void> prepare_create(const Kind& kind, const std::string& ns, json::object& object, Random& random,
                               WallTime now);

// Keeps what an update may not change. `subresource`: empty, "status" or "finalize": decides which half of the object
// the update is about.
void prepare_update(const Kind& kind, std::string_view subresource, const json::object& old, json::object& updated);

// After all else: one more generation when the spec has changed.
void count_generation(const Kind& kind, const json::object& old, json::object& updated);

}  // namespace causeway::apiserver
