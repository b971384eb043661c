#include <algorithm>
#include <boost/json.hpp>

#include "apiserver/prepare.h"
#include "apiserver/write.h"
#include "kube/api/codec.h"

namespace causeway::apiserver {

namespace {

constexpr std::string_view kOrphan = "orphan";
constexpr std::string_view kForeground = "foregroundDeletion";

// The garbage collector acts on these two finalizers and removes them.
void set_propagation(json::object& object, std::string_view policy) {
  if (policy.empty()) return;
  json::array finalizers;
  for (const json::value& finalizer : array_at(object, "metadata.finalizers"))
    if (finalizer != json::string_view(kOrphan.data(), kOrphan.size()) &&
        finalizer != json::string_view(kForeground.data(), kForeground.size()))
      finalizers.push_back(finalizer);
  if (policy == "Orphan") finalizers.push_back(json::value_from(kOrphan));
  if (policy == "Foreground") finalizers.push_back(json::value_from(kForeground));
  if (finalizers.empty())
    erase_at(object, "metadata.finalizers");
  else
    set_at(object, "metadata.finalizers", std::move(finalizers));
}

// How long a Pod's containers may take to end: what the request says, else the Pod; nothing when nothing runs.
int64_t grace_of(const Kind& kind, const json::object& object, const DeleteOptions& options) {
  if (kind.info.kind != "Pod") return 0;
  const std::string_view phase = text_at(object, "status.phase");
  if (text_at(object, "spec.nodeName").empty() || phase == "Succeeded" || phase == "Failed") return 0;
  if (options.grace_period_seconds) return std::max<int64_t>(0, *options.grace_period_seconds);
  return int_at(object, "spec.terminationGracePeriodSeconds", 30);
}

ApiResult<void> check_delete(const Call& call, const Object& old, const json::object& tree,
                             const DeleteOptions& options) {
  const kube::KindInfo& info = call.kind->info;
  auto failed = [&](std::string_view what, std::string_view wanted, std::string_view is) {
    return conflict(
        info, call.name,
        fmt::format("Precondition failed: {} in precondition: {}, {} in object meta: {}", what, wanted, what, is));
  };
  if (!options.uid.empty() && options.uid != old.index.uid) return failed("UID", options.uid, old.index.uid);
  if (const std::string revision = std::to_string(old.revision);
      !options.resource_version.empty() && options.resource_version != revision)
    return failed("ResourceVersion", options.resource_version, revision);
  if (info.kind != "Namespace") return {};
  if (call.name == "default" || call.name == "kube-system" || call.name == "kube-public")
    return forbidden(info, call.name, "this namespace may not be deleted");
  if (find_at(tree, "metadata.deletionTimestamp") && !array_at(tree, "spec.finalizers").empty())
    return conflict(
        info, call.name,
        "The system is ensuring all content is removed from this namespace.  Upon completion, this namespace will "
        "automatically be purged by the system.");
  return {};
}

// Marks the object as going. False: it was marked already, and no later end was asked for.
bool mark_deleted(const Kind& kind, json::object& object, int64_t grace, WallTime now) {
  const bool marked = find_at(object, "metadata.deletionTimestamp") != nullptr;
  if (marked && grace >= int_at(object, "metadata.deletionGracePeriodSeconds")) return false;
  const WallTime end = now + std::chrono::seconds(grace);
  set_at(object, "metadata.deletionTimestamp", json::value_from(now_text(end)));
  set_at(object, "metadata.deletionGracePeriodSeconds", grace);
  if (!marked && kind.has_generation) set_at(object, "metadata.generation", int_at(object, "metadata.generation") + 1);
  if (kind.info.kind == "Namespace") set_at(object, "status.phase", "Terminating");
  return true;
}

bool is_held(const Kind& kind, const json::object& object) {
  if (!array_at(object, "metadata.finalizers").empty()) return true;
  return kind.info.kind == "Namespace" && !array_at(object, "spec.finalizers").empty();
}

}  // namespace

Task<ApiResult<Written>> delete_object(Context context, Call call, DeleteOptions options) {
  const Kind& kind = *call.kind;
  const ObjectPtr old = context.store.latest(storage_of(kind), call.key());
  if (!old) {
    auto refusal = not_found(kind.info, call.name);
    co_return refusal;
  }
  auto tree = parse_object(old->json);
  CO_TRY(check_delete(call, *old, *tree, options));
  json::object going = *tree;
  set_propagation(going, options.propagation_policy);
  const int64_t grace = grace_of(kind, going, options);
  const bool held = is_held(kind, going);
  mark_deleted(kind, going, grace, context.loop.wall_now());
  const bool remove = !held && grace == 0;

  Written written{.object = old, .removed = remove};
  if (!remove && going == *tree) co_return written;  // it is going already
  if (options.dry_run) co_return written;
  written.object = CO_TRY(co_await store_object(context, kind, std::move(going), old, remove));
  co_return written;
}

}  // namespace causeway::apiserver
