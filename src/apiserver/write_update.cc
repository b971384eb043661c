#include <boost/json.hpp>

#include "apiserver/prepare.h"
#include "apiserver/service_change.h"
#include "apiserver/write.h"
#include "kube/api/validation.h"

namespace causeway::apiserver {

namespace {

constexpr std::string_view kModified =
    "the object has been modified; please apply your changes to the latest version and try again";

// Nothing holds a deleted object any more: its finalizers are gone, and a Pod's grace period is over.
bool is_released(const Kind& kind, const json::object& object) {
  if (!find_at(object, "metadata.deletionTimestamp")) return false;
  if (!array_at(object, "metadata.finalizers").empty()) return false;
  if (kind.info.kind == "Namespace") return array_at(object, "spec.finalizers").empty();
  return int_at(object, "metadata.deletionGracePeriodSeconds") == 0;
}

ApiResult<void> check_preconditions(const Call& call, const Object& old, const json::object& updated) {
  const kube::KindInfo& info = call.kind->info;
  const std::string_view name = text_at(updated, "metadata.name");
  if (!name.empty() && name != call.name)
    return bad_request(
        fmt::format("the name of the object ({}) does not match the name on the URL ({})", name, call.name));
  const std::string_view ns = text_at(updated, "metadata.namespace");
  if (!ns.empty() && ns != call.ns)
    return bad_request("the namespace of the provided object does not match the namespace sent on the request");
  const std::string_view uid = text_at(updated, "metadata.uid");
  if (!uid.empty() && uid != old.index.uid)
    return conflict(
        info, call.name,
        fmt::format("Precondition failed: UID in precondition: {}, UID in object meta: {}", uid, old.index.uid));
  const std::string_view revision = text_at(updated, "metadata.resourceVersion");
  if (revision.empty() || revision == "0") {
    if (call.kind->needs_resource_version)
      return invalid(info, call.name,
                     {cause("FieldValueInvalid", "metadata.resourceVersion",
                            "Invalid value: 0: must be specified for an update")});
  } else if (revision != std::to_string(old.revision)) {
    return conflict(info, call.name, std::string(kModified));
  }
  return {};
}

}  // namespace

Task<ApiResult<Written>> commit_update(Context context, Call call, ObjectPtr old, json::object old_tree, Body body,
                                       bool dry_run) {
  const Kind& kind = *call.kind;
  json::object& updated = body.object;
  CO_TRY(check_preconditions(call, *old, updated));
  prepare_update(kind, call.subresource, old_tree, updated);
  kube::set_defaults(kind.info, updated);
  ServiceHold hold;
  if (kind.info.kind == "Service" && call.subresource.empty()) {
    normalize_cluster_ips(updated, &old_tree);
    settle_service_change(updated, old_tree);
    hold = CO_TRY(allocate(context, updated, &old_tree));
  }
  if (call.subresource == "status")
    CO_TRY(check_valid(kind.info, updated, kube::validate_status_update(kind.info, old_tree, updated)));
  else if (call.subresource.empty())
    CO_TRY(check_valid(kind.info, updated, kube::validate_update(kind.info, old_tree, updated)));
  count_generation(kind, old_tree, updated);
  if (call.subresource.empty())
    for (std::string& warning : kube::warnings_for(kind.info, updated)) body.warnings.push_back(std::move(warning));

  Written written{.object = old, .warnings = std::move(body.warnings)};
  // A write that changes nothing is none: it keeps its resourceVersion and wakes no watch.
  set_at(updated, "metadata.resourceVersion", json::value_from(std::to_string(old->revision)));
  const bool released = is_released(kind, updated);
  if (updated == old_tree && !released) co_return written;
  if (dry_run) {
    auto shown = std::make_shared<Object>(*old);
    shown->json = json::serialize(ordered(std::move(updated)));
    written.object = std::move(shown);
    co_return written;
  }
  written.object = CO_TRY(co_await store_object(context, kind, std::move(updated), old, released));
  written.removed = released;
  co_return written;
}

Task<ApiResult<Written>> update_object(Context context, Call call, Body body, bool dry_run) {
  const ObjectPtr old = context.store.latest(storage_of(*call.kind), call.key());
  if (!old) {
    auto refusal = not_found(call.kind->info, call.name);
    co_return refusal;
  }
  auto tree = parse_object(old->json);
  if (text_at(body.object, "metadata.name").empty()) {
    auto refusal = bad_request("metadata.name of the object is missing; it is the name on the URL");
    co_return refusal;
  }
  co_return co_await commit_update(context, std::move(call), old, std::move(*tree), std::move(body), dry_run);
}

}  // namespace causeway::apiserver
