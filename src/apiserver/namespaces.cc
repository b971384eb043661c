#include <boost/json.hpp>

#include "apiserver/background.h"
#include "base/log.h"
#include "kube/api/node.h"

namespace causeway::apiserver {

namespace {

constexpr Duration kRetry = 5s;  // objects that wait: finalizers, a Pod's grace period

bool is_terminating(const Object& object) {
  auto tree = parse_object(object.json);
  return tree && find_at(*tree, "metadata.deletionTimestamp") && !array_at(*tree, "spec.finalizers").empty();
}

// Deletes what the namespace holds. True: nothing is left.
Task<bool> empty_one(Context context, std::string ns) {
  bool empty = true;
  for (const Kind& kind : all_kinds()) {
    if (!kind.info.namespaced || kind.stored_as) continue;
    std::vector<std::string> names;
    const auto& current = context.store.shelf(storage_of(kind)).current();
    for (auto it = current.lower_bound({ns, ""}); it != current.end() && it->first.ns == ns; ++it)
      names.push_back(it->first.name);
    for (const std::string& name : names) {
      Call call{.verb = Verb::Delete, .kind = &kind, .ns = ns, .name = name};
      DeleteOptions options{.propagation_policy = "Background"};
      auto deleted = co_await delete_object(context, std::move(call), std::move(options));
      if (!deleted && deleted.error().status.code != 404)
        log::warning("empty namespace {}: {}", ns, deleted.error().status.message);
      if (deleted ? !deleted->removed : deleted.error().status.code != 404) empty = false;
    }
  }
  co_return empty;
}

Task<void> finalize(Context context, std::string ns) {
  const Kind& kind = kind_of(kube::Namespace::kKind);
  const ObjectPtr old = context.store.latest(storage_of(kind), {"", ns});
  if (!old) co_return;
  auto tree = parse_object(old->json);
  Body body{.object = *tree};
  erase_at(body.object, "spec.finalizers");
  Call call{.verb = Verb::Update, .kind = &kind, .name = ns, .subresource = "finalize"};
  auto done = co_await commit_update(context, std::move(call), old, std::move(*tree), std::move(body), false);
  if (!done) log::warning("end namespace {}: {}", ns, done.error().status.message);
}

}  // namespace

Task<Status> empty_namespaces(Context context) {
  Shelf& shelf = context.store.shelf(kube::Namespace::kKind.plural);
  Shelf::Subscription bell(shelf, context.loop);
  while (true) {
    std::vector<std::string> going;
    for (const auto& [key, object] : shelf.current())
      if (is_terminating(*object)) going.push_back(key.name);
    bool waiting = false;
    for (const std::string& ns : going) {
      const bool empty = co_await empty_one(context, ns);
      if (empty)
        co_await finalize(context, ns);
      else
        waiting = true;
    }
    // Something in a namespace waits for others; look again soon. Else until a namespace changes.
    auto again = waiting ? context.loop.call_after(kRetry, [&bell] { bell.ring(); }) : nullptr;
    CO_TRY(co_await bell.wait());
  }
}

}  // namespace causeway::apiserver
