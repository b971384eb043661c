// Changing objects: what POST, PUT, PATCH and DELETE do between reading the body and storing the result.
//
// Every function reads the newest state, decides, and commits without suspending in between, so optimistic concurrency
// needs no locks. What each adds to an object on its own is in prepare.h.
#pragma once

#include "apiserver/body.h"
#include "apiserver/filter.h"
#include "apiserver/node_ports.h"
#include "apiserver/random.h"
#include "apiserver/request.h"
#include "apiserver/service_addresses.h"
#include "apiserver/store.h"
#include "kube/api/field_error.h"

namespace causeway::apiserver {

struct Context {
  Loop& loop;
  Store& store;
  Random& random;
  ServiceAddresses& addresses;
  NodePorts& ports;
};

// What a write made, and what its sender is warned of.
struct Written {
  int status = 200;
  ObjectPtr object;
  std::vector<std::string> warnings;
  bool removed = false;  // a deletion took the object away; else it only marked it
};

// Stores a new object of this kind. `object` is checked against the schema already. Errors: 403, 404 (namespace), 409,
// 422, 507.
Task<ApiResult<Written>> create_object(Context context, Call call, Body body, bool dry_run);

// PUT of an object or its status. Errors: 404, 409, 422, 507.
Task<ApiResult<Written>> update_object(Context context, Call call, Body body, bool dry_run);

// PATCH of an object or its status, by the request's media type. Errors: those of update, and 400, 415.
Task<ApiResult<Written>> patch_object(Context context, Call call, http::Request request, bool dry_run);

// DELETE: takes the object away, or marks it when a finalizer or a Pod's grace period stands before. Errors: 403, 404,
// 409.
Task<ApiResult<Written>> delete_object(Context context, Call call, DeleteOptions options);

// POST of a Binding or an Eviction; `Written.object` is the Pod.
Task<ApiResult<Written>> bind_pod(Context context, Call call, json::object binding, bool dry_run);

// --- shared by the write_*.cc files

// What a Service that is being written has been given, until it is stored.
struct ServiceHold {
  ServiceAddresses::Hold addresses;
  NodePorts::Hold ports;
};
// Completes a Service: addresses, families, node ports. `old` is null for a new one. Errors: 422.
ApiResult<ServiceHold> allocate(Context& context, json::object& service, const json::object* old);

// The patched tree: `target` after the request's patch. Errors: 400, 415, 422.
ApiResult<void> apply_patch(json::object& target, const http::Request& request, const kube::KindInfo& kind,
                            std::vector<std::string>& duplicates);

// Validates and stores the change of an object that exists; also removes it when nothing holds it any more.
Task<ApiResult<Written>> commit_update(Context context, Call call, ObjectPtr old, json::object old_tree, Body body,
                                       bool dry_run);

// Puts the revision in, makes the bytes and commits.
Task<ApiResult<ObjectPtr>> store_object(Context context, const Kind& kind, json::object tree, ObjectPtr previous,
                                        bool deleted);

ApiResult<void> check_valid(const kube::KindInfo& kind, const json::object& object, const kube::FieldErrors& errors);

}  // namespace causeway::apiserver
