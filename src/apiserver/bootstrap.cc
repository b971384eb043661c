#include <algorithm>
#include <boost/json.hpp>

#include "apiserver/background.h"
#include "base/log.h"
#include "kube/api/node.h"
#include "kube/api/service.h"

namespace causeway::apiserver {

namespace {

Call call_to(Verb verb, const kube::KindInfo& info, std::string ns, std::string name) {
  return {.verb = verb, .kind = &kind_of(info), .ns = std::move(ns), .name = std::move(name)};
}

// Creates the object unless one of its name is there.
Task<Status> ensure(Context context, kube::KindInfo info, std::string ns, json::object object) {
  const std::string name(text_at(object, "metadata.name"));
  object["apiVersion"] = kube::api_version(info);
  object["kind"] = info.kind;
  if (context.store.exists(storage_of(kind_of(info)), {ns, name})) co_return ok();
  Call call = call_to(Verb::Create, info, std::move(ns), "");
  auto created = co_await create_object(context, std::move(call), Body{.object = std::move(object)}, false);
  if (!created) co_return fail(Errc::Internal, "create {} {}: {}", info.kind, name, created.error().status.message);
  co_return ok();
}

json::object kubernetes_service(const ServiceAddresses& addresses, uint16_t port) {
  return {{"metadata", {{"name", "kubernetes"}, {"labels", {{"component", "apiserver"}, {"provider", "kubernetes"}}}}},
          {"spec",
           {{"type", "ClusterIP"},
            {"clusterIP", to_string(addresses.first())},
            {"ports",
             json::array{json::object{{"name", "https"}, {"protocol", "TCP"}, {"port", 443}, {"targetPort", port}}}}}}};
}

// The flags as an object. What is there already stays, but for a second family that the flags have gained.
Task<Status> ensure_service_cidr(Context context) {
  json::array cidrs;
  for (const Cidr& range : context.addresses.flag_ranges()) cidrs.push_back(json::value_from(to_string(range)));
  const kube::KindInfo info = kube::ServiceCidr::kKind;
  const ObjectPtr old = context.store.latest(storage_of(kind_of(info)), {"", kDefaultServiceCidr});
  if (!old) {
    json::object object{
        {"metadata", {{"name", kDefaultServiceCidr}, {"finalizers", json::array{kServiceCidrFinalizer}}}},
        {"spec", {{"cidrs", cidrs}}}};
    co_return co_await ensure(context, info, "", std::move(object));
  }
  auto tree = parse_object(old->json);
  if (array_at(*tree, "spec.cidrs") == cidrs) co_return ok();
  Body body{.object = *tree};
  set_at(body.object, "spec.cidrs", std::move(cidrs));
  Call call = call_to(Verb::Update, info, "", kDefaultServiceCidr);
  auto updated = co_await commit_update(context, std::move(call), old, std::move(*tree), std::move(body), false);
  // Both count: addresses that were given out of the old range stay legal.
  if (!updated) log::warning("ServiceCIDR kubernetes is not what the flags say: {}", updated.error().status.message);
  co_return ok();
}

// For who reads Endpoints still; its slices are written beside it, hence it is not mirrored.
json::object kubernetes_endpoints(const std::vector<Endpoint>& advertise, Family family) {
  json::array addresses;
  int64_t port = 0;
  for (const Endpoint& endpoint : advertise) {
    if (endpoint.ip.family() != family) continue;
    port = endpoint.port;
    addresses.push_back(json::object{{"ip", to_string(endpoint.ip)}});
  }
  json::array subsets;
  if (!addresses.empty())
    subsets.push_back(
        json::object{{"addresses", std::move(addresses)},
                     {"ports", json::array{json::object{{"name", "https"}, {"port", port}, {"protocol", "TCP"}}}}});
  return {{"metadata", {{"name", "kubernetes"}, {"labels", {{"endpointslice.kubernetes.io/skip-mirror", "true"}}}}},
          {"subsets", std::move(subsets)}};
}

json::object kubernetes_slice(Family family, const std::vector<Endpoint>& endpoints, std::string_view name) {
  json::array shown;
  uint16_t port = 0;
  for (const Endpoint& endpoint : endpoints) {
    if (endpoint.ip.family() != family) continue;
    port = endpoint.port;
    shown.push_back({{"addresses", json::array{to_string(endpoint.ip)}}, {"conditions", {{"ready", true}}}});
  }
  return {{"metadata", {{"name", name}, {"labels", {{"kubernetes.io/service-name", "kubernetes"}}}}},
          {"addressType", family == Family::V6 ? "IPv6" : "IPv4"},
          {"endpoints", std::move(shown)},
          {"ports", json::array{json::object{{"name", "https"}, {"protocol", "TCP"}, {"port", port}}}}};
}

// The addresses may be others than when the store was made: writes these members of the object anew.
Task<Status> ensure_current(Context context, kube::KindInfo info, json::object object,
                            std::vector<std::string_view> members) {
  const std::string name(text_at(object, "metadata.name"));
  const ObjectPtr old = context.store.latest(storage_of(kind_of(info)), {"default", name});
  if (!old) co_return co_await ensure(context, info, "default", std::move(object));
  auto tree = parse_object(old->json);
  Body body{.object = *tree};
  for (const std::string_view member : members) body.object[member] = object[member];
  Call call = call_to(Verb::Update, info, "default", name);
  auto updated = co_await commit_update(context, std::move(call), old, std::move(*tree), std::move(body), false);
  if (!updated) co_return fail(Errc::Internal, "update {} {}: {}", info.kind, name, updated.error().status.message);
  co_return ok();
}

}  // namespace

Task<Status> bootstrap(Context context, std::vector<Endpoint> advertise) {
  for (std::string_view name : {"default", "kube-node-lease", "kube-public", "kube-system"}) {
    json::object object{{"metadata", {{"name", name}}}};
    CO_TRY(co_await ensure(context, kube::Namespace::kKind, "", std::move(object)));
  }
  CO_TRY(co_await ensure_service_cidr(context));
  const uint16_t port = advertise.empty() ? 6443 : advertise.front().port;
  CO_TRY(co_await ensure(context, kube::Service::kKind, "default", kubernetes_service(context.addresses, port)));
  const Family primary_family = context.addresses.flag_ranges().front().family();
  CO_TRY(co_await ensure_current(context, kube::Endpoints::kKind, kubernetes_endpoints(advertise, primary_family),
                                 {"subsets"}));
  for (Family family : {Family::V4, Family::V6}) {
    const bool any = std::any_of(advertise.begin(), advertise.end(),
                                 [&](const Endpoint& endpoint) { return endpoint.ip.family() == family; });
    if (!any) continue;
    // The slice of the Service's own family has its name.
    const bool primary = family == primary_family;
    const std::string name = primary ? "kubernetes" : family == Family::V4 ? "kubernetes-ipv4" : "kubernetes-ipv6";
    CO_TRY(co_await ensure_current(context, kube::EndpointSlice::kKind, kubernetes_slice(family, advertise, name),
                                   {"endpoints", "ports"}));
  }
  co_return ok();
}

}  // namespace causeway::apiserver
