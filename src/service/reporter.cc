#include "service/reporter.h"

namespace causeway::service {

namespace {

constexpr std::string_view kReason = "NotFullyServed";

}  // namespace

Task<Status> Reporter::run() {
  for (;; CO_TRY(co_await api_.loop().sleep(kLook))) CO_TRY(co_await look());
}

Task<Status> Reporter::look() {
  const auto& rows = desired_.refused.rows();
  told_.keep([&](const std::string& object) { return rows.contains(object); });
  const TimePoint now = api_.loop().now();
  std::vector<std::pair<Key, std::string>> due;
  for (const auto& [object, row] : rows) {
    // What is of a Pod here, no other node knows.
    const bool shared = std::holds_alternative<cluster::ServiceKey>(row.owner());
    if (told_.due(object, row.value, shared, model_, now)) due.emplace_back(row.owner(), row.value);
  }
  for (auto& [key, reason] : due) CO_TRY(co_await tell(std::move(key), std::move(reason)));
  co_return ok();
}

Task<Status> Reporter::tell(Key key, std::string reason) {
  if (const auto* name = std::get_if<cluster::ServiceKey>(&key)) {
    // `kubectl describe` finds Events by the uid of their object.
    auto service = co_await api_.get<kube::Service>({.ns = name->ns, .name = name->name});
    if (!service && service.error().code() == Errc::Cancelled) co_return fail(std::move(service.error()));
    if (!service) {
      // Gone, or the API server is away: another look finds out.
      told_.again(to_string(key), api_.loop().now() + cluster::Told::kNext);
      co_return ok();
    }
    const std::string id = cluster::event_id(service->metadata.uid, reason, api_.loop().wall_now());
    events_.record_once(
        id, kube::reference_to(*service), kube::EventType::Warning, std::string(kReason),
        cluster::shortened(std::move(reason), fmt::format("all by `causeway service show {}` on a node", *name)));
  } else if (const auto* attached = std::get_if<AttachmentName>(&key)) {
    const cluster::Attachment* attachment = model_.attachment(attached->key());
    if (!attachment || attachment->pod.name.empty()) co_return ok();
    kube::ObjectReference pod;
    pod.kind = std::string(kube::Pod::kKind.kind);
    pod.api_version = api_version(kube::Pod::kKind);
    pod.ns = attachment->pod.ns;
    pod.name = attachment->pod.name;
    pod.uid = attachment->pod_uid;
    events_.record(std::move(pod), kube::EventType::Warning, std::string(kReason), std::move(reason));
  }
  co_return ok();
}

}  // namespace causeway::service
