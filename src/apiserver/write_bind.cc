#include <boost/json.hpp>

#include "apiserver/prepare.h"
#include "apiserver/write.h"
#include "kube/api/pod.h"

namespace causeway::apiserver {

Task<ApiResult<Written>> bind_pod(Context context, Call call, json::object binding, bool dry_run) {
  const std::string node(text_at(binding, "target.name"));
  const std::string_view kind = text_at(binding, "target.kind", "Node");
  if (node.empty() || (kind != "Node" && !kind.empty())) {
    auto refusal =
        invalid({"", "v1", "Binding", "bindings", true}, call.name,
                {node.empty() ? cause("FieldValueRequired", "target.name", "Required value")
                              : cause("FieldValueNotSupported", "target.kind",
                                      fmt::format("Unsupported value: \"{}\": supported values: \"Node\"", kind))});
    co_return refusal;
  }
  const ObjectPtr old = context.store.latest(storage_of(*call.kind), call.key());
  if (!old) {
    auto refusal = not_found(call.kind->info, call.name);
    co_return refusal;
  }
  auto pod = parse_object(old->json);
  auto refuse = [&](std::string why) {
    return conflict({"", "v1", "Binding", "pods/binding", true}, call.name, std::move(why));
  };
  const std::string_view assigned = text_at(*pod, "spec.nodeName");
  const std::string_view uid = text_at(binding, "metadata.uid");
  if (find_at(*pod, "metadata.deletionTimestamp")) {
    auto refusal = refuse(fmt::format("pod {} is being deleted, cannot be assigned to a host", call.name));
    co_return refusal;
  }
  if (!assigned.empty()) {
    auto refusal = refuse(fmt::format("pod {} is already assigned to node \"{}\"", call.name, assigned));
    co_return refusal;
  }
  if (!array_at(*pod, "spec.schedulingGates").empty()) {
    auto refusal = refuse(fmt::format("pod {} has non-empty .spec.schedulingGates", call.name));
    co_return refusal;
  }
  if (!uid.empty() && uid != old->index.uid) {
    auto refusal = refuse(
        fmt::format("Precondition failed: UID in precondition: {}, UID in object meta: {}", uid, old->index.uid));
    co_return refusal;
  }
  set_at(*pod, "spec.nodeName", json::value_from(node));
  for (const auto& [name, value] : strings_at(binding, "metadata.annotations"))
    make_object_at(*pod, "metadata.annotations")[name] = value;
  json::array conditions;
  for (const json::value& condition : array_at(*pod, "status.conditions"))
    if (!condition.is_object() || text_at(condition.get_object(), "type") != "PodScheduled")
      conditions.push_back(condition);
  conditions.push_back(
      {{"type", "PodScheduled"}, {"status", "True"}, {"lastTransitionTime", now_text(context.loop.wall_now())}});
  set_at(*pod, "status.conditions", std::move(conditions));
  Written written{.status = 201, .object = old};
  if (!dry_run) written.object = CO_TRY(co_await store_object(context, *call.kind, std::move(*pod), old, false));
  co_return written;
}

}  // namespace causeway::apiserver
