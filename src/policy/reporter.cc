#include "policy/reporter.h"

#include "kube/api/cluster_policy.h"

namespace causeway::policy {

namespace {

constexpr std::string_view kReason = "NotFullyEnforced";

std::string object_of(const PolicyKey& key) { return "policy " + to_string(key); }

}  // namespace

Task<Status> Reporter::run() {
  for (;; CO_TRY(co_await api_.loop().sleep(kLook))) CO_TRY(co_await look());
}

Task<Status> Reporter::look() {
  if (!desired_.complete()) co_return ok();
  std::map<PolicyKey, std::string> found = desired_.rules.problems.values();
  for (auto& [key, tie] : cluster::priority_ties(model_.policies())) {
    std::string& text = found[key];
    text += (text.empty() ? "" : "; ") + tie;
  }
  std::set<std::string> objects;
  for (const auto& [key, reason] : found) objects.insert(object_of(key));
  told_.keep([&](const std::string& object) { return objects.contains(object); });
  const TimePoint now = api_.loop().now();
  for (auto& [key, reason] : found)
    if (told_.due(object_of(key), reason, true, model_, now)) CO_TRY(co_await tell(key, std::move(reason)));
  co_return ok();
}

Task<Status> Reporter::tell(PolicyKey key, std::string reason) {
  // `kubectl describe` finds Events by the uid of their object.
  const auto& kind = key.ns.empty() ? kube::ClusterNetworkPolicy::kKind : kube::NetworkPolicy::kKind;
  auto object = co_await api_.request("GET", object_path(kind, key.ns, key.name));
  if (!object && object.error().code() == Errc::Cancelled) co_return fail(std::move(object.error()));
  auto known = object ? kube::decode<kube::PartialObject>(*object)
                      : Result<kube::PartialObject>(fail(std::move(object.error())));
  if (!known) {
    // Gone, or the API server is away: another look finds out.
    told_.again(object_of(key), api_.loop().now() + cluster::Told::kNext);
    co_return ok();
  }
  kube::ObjectReference about;
  about.kind = std::string(kind.kind);
  about.api_version = api_version(kind);
  about.ns = std::string(key.ns);
  about.name = std::string(key.name);
  about.uid = known->metadata.uid;
  about.resource_version = known->metadata.resource_version;
  const std::string id = cluster::event_id(about.uid, reason, api_.loop().wall_now());
  events_.record_once(id, std::move(about), kube::EventType::Warning, std::string(kReason),
                      cluster::shortened(std::move(reason), "all on the page /policy of a node"));
  co_return ok();
}

}  // namespace causeway::policy
