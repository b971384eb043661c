#include <boost/json.hpp>

#include "apiserver/prepare.h"
#include "apiserver/service_change.h"
#include "apiserver/write.h"
#include "kube/api/node.h"
#include "kube/api/validation.h"

namespace causeway::apiserver {

namespace {

// Objects may only be put into a namespace that is there and stays.
ApiResult<void> check_namespace(const Store& store, const Kind& kind, const std::string& ns,
                                const json::object& object) {
  const ObjectPtr found = store.latest(kube::Namespace::kKind.plural, {"", ns});
  if (!found) return not_found(kube::Namespace::kKind, ns);
  auto tree = parse_object(found->json);
  if (!tree || !find_at(*tree, "metadata.deletionTimestamp")) return {};
  const std::string name(text_at(object, "metadata.name"));
  auto refusal = forbidden(
      kind.info, name, fmt::format("unable to create new content in namespace {} because it is being terminated", ns));
  refusal.error().status.details->causes = {
      cause("NamespaceTerminating", "metadata.namespace", fmt::format("namespace {} is being terminated", ns))};
  return refusal;
}

}  // namespace

ApiResult<void> check_valid(const kube::KindInfo& kind, const json::object& object, const kube::FieldErrors& errors) {
  if (errors.empty()) return {};
  std::vector<kube::StatusCause> causes;
  for (const kube::FieldError& error : errors)
    causes.push_back(cause(std::string(kube::reason_of(error.type)), error.field, kube::body_of(error)));
  return invalid(kind, text_at(object, "metadata.name"), std::move(causes));
}

ApiResult<ServiceHold> allocate(Context& context, json::object& service, const json::object* old) {
  ServiceHold hold;
  hold.addresses = TRY(context.addresses.assign(service, old));
  hold.ports = TRY(context.ports.assign(service, old, context.random));
  return hold;
}

Task<ApiResult<ObjectPtr>> store_object(Context context, const Kind& kind, json::object tree, ObjectPtr previous,
                                        bool deleted) {
  const Revision revision = context.store.next_revision();
  set_at(tree, "metadata.resourceVersion", json::value_from(std::to_string(revision)));
  tree = ordered(std::move(tree));
  auto object = std::make_shared<Object>();
  object->resource = storage_of(kind);
  object->key = {std::string(text_at(tree, "metadata.namespace")), std::string(text_at(tree, "metadata.name"))};
  object->revision = revision;
  object->json = json::serialize(tree);
  object->index = index_of(kind, tree);
  Status stored = co_await context.store.commit({object, std::move(previous), deleted});
  if (!stored) {
    auto refusal = refusal_of(stored.error());
    co_return refusal;
  }
  co_return ObjectPtr(std::move(object));
}

Task<ApiResult<Written>> create_object(Context context, Call call, Body body, bool dry_run) {
  const Kind& kind = *call.kind;
  json::object& object = body.object;
  const bool generated = text_at(object, "metadata.name").empty() && !text_at(object, "metadata.generateName").empty();
  CO_TRY(prepare_create(kind, call.ns, object, context.random, context.loop.wall_now()));
  const std::string resource = storage_of(kind);
  auto key = [&] { return Key{call.ns, std::string(text_at(object, "metadata.name"))}; };
  constexpr int kTries = 8;  // a suffix is one of 14 million
  for (int i = 0; generated && i < kTries && context.store.exists(resource, key()); ++i) {
    const std::string_view base = text_at(object, "metadata.generateName");
    set_at(object, "metadata.name", json::value_from(std::string(base.substr(0, 58)) + context.random.name_suffix()));
  }

  kube::set_defaults(kind.info, object);
  if (kind.info.kind == "Service") normalize_cluster_ips(object, nullptr);
  CO_TRY(check_valid(kind.info, object, kube::validate_create(kind.info, object)));
  if (kind.info.namespaced) CO_TRY(check_namespace(context.store, kind, call.ns, object));
  if (context.store.exists(resource, key())) {
    auto refusal = already_exists(kind.info, key().name);
    co_return refusal;
  }
  ServiceHold hold;
  if (kind.info.kind == "Service") hold = CO_TRY(allocate(context, object, nullptr));

  for (std::string& warning : kube::warnings_for(kind.info, object)) body.warnings.push_back(std::move(warning));
  Written written{.status = 201, .warnings = std::move(body.warnings)};
  if (dry_run) {
    auto shown = std::make_shared<Object>();
    shown->resource = resource;
    shown->key = key();
    shown->json = json::serialize(ordered(std::move(object)));
    written.object = std::move(shown);
    co_return written;
  }
  written.object = CO_TRY(co_await store_object(context, kind, std::move(object), nullptr, false));
  co_return written;
}

}  // namespace causeway::apiserver
