#include <boost/json.hpp>

#include "apiserver/json_patch.h"
#include "apiserver/strategic_patch.h"
#include "apiserver/write.h"

namespace causeway::apiserver {

namespace {

constexpr std::string_view kJsonPatch = "application/json-patch+json";
constexpr std::string_view kMergePatch = "application/merge-patch+json";
constexpr std::string_view kStrategicPatch = "application/strategic-merge-patch+json";

// Said first, so that server-side apply of a new object hears why it cannot be, not that there is no such object.
ApiResult<void> require_patch_type(const http::Request& request) {
  const std::string type = media_type(request);
  if (type.starts_with("application/apply-patch"))
    return unsupported_media_type(fmt::format(
        "server-side apply ({}) is not served; use kubectl apply without --server-side, which sends {}. Accepted "
        "patch types: {}, {}, {}",
        type, kStrategicPatch, kJsonPatch, kMergePatch, kStrategicPatch));
  if (type != kJsonPatch && type != kMergePatch && type != kStrategicPatch)
    return unsupported_media_type(
        fmt::format("the body of the request was in an unknown format ({}); accepted media types: {}, {}, {}",
                    type.empty() ? "no Content-Type" : type, kJsonPatch, kMergePatch, kStrategicPatch));
  return {};
}

}  // namespace

ApiResult<void> apply_patch(json::object& target, const http::Request& request, const kube::KindInfo& kind,
                            std::vector<std::string>& duplicates) {
  TRY(require_patch_type(request));
  const std::string type = media_type(request);
  auto patch = parse_value(request.body);
  if (!patch) return bad_request(fmt::format("error decoding patch: {}", patch.error().message()));
  json::value tree = target;
  Status applied = ok();
  if (type == kJsonPatch) {
    applied = apply_json_patch(tree, *patch);
  } else {
    if (!patch->is_object()) return bad_request("error decoding patch: it is no JSON object");
    duplicates = kube::duplicate_fields(request.body);
    if (type == kMergePatch) {
      apply_merge_patch(tree, *patch);
    } else {
      const kube::TypeSchema* schema = kube::schema_of(kind);
      if (!schema) return internal(fmt::format("the schema lacks {}", kind.kind));
      applied = apply_strategic_patch(tree.get_object(), patch->get_object(), *schema);
    }
  }
  if (!applied) {
    if (applied.error().code() == Errc::Conflict) return unprocessable(applied.error().message());
    return bad_request(applied.error().message());
  }
  if (!tree.is_object()) return bad_request("the patch leaves no JSON object");
  target = std::move(tree.get_object());
  return {};
}

Task<ApiResult<Written>> patch_object(Context context, Call call, http::Request request, bool dry_run) {
  CO_TRY(require_patch_type(request));
  const ObjectPtr old = context.store.latest(storage_of(*call.kind), call.key());
  if (!old) {
    auto refusal = not_found(call.kind->info, call.name);
    co_return refusal;
  }
  auto tree = parse_object(old->json);
  json::object patched = *tree;
  std::vector<std::string> duplicates;
  CO_TRY(apply_patch(patched, request, call.kind->info, duplicates));
  // A patch may not make another kind of it.
  for (std::string_view member : {"apiVersion", "kind"})
    if (text_at(patched, member) != text_at(*tree, member)) {
      auto refusal = bad_request(fmt::format("a patch cannot change {}", member));
      co_return refusal;
    }
  Body body = CO_TRY(check_body(std::move(patched), std::move(duplicates), call.target, call.kind->info));
  co_return co_await commit_update(context, std::move(call), old, std::move(*tree), std::move(body), dry_run);
}

}  // namespace causeway::apiserver
