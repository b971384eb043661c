#include "service/reporter.h"

#include <algorithm>

namespace causeway::service {

namespace {

constexpr std::string_view kReason = "NotFullyServed";

uint64_t hash(std::string_view text, uint64_t seed = 0xcbf29ce484222325) {  // FNV-1a
  for (const char c : text) seed = (seed ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return seed;
}

// An Event has room for 1024 bytes.
std::string shortened(std::string reason, const cluster::ServiceKey& service) {
  constexpr size_t kMost = 900;
  if (reason.size() <= kMost) return reason;
  const auto end = reason.rfind("; ", kMost);
  reason.resize(end == reason.npos ? kMost : end);
  return fmt::format("{}; and more, all by `causeway service show {}` on a node", reason, service);
}

}  // namespace

size_t reporters_before(const std::string& node, const std::map<std::string, cluster::Node>& nodes,
                        const std::string& object) {
  const uint64_t of_object = hash(object);
  const auto rank = [&](const std::string& name) { return std::pair(hash(name, of_object), std::string_view(name)); };
  const auto ours = rank(node);
  return static_cast<size_t>(
      std::ranges::count_if(nodes, [&](const auto& other) { return other.first != node && rank(other.first) < ours; }));
}

Task<Status> Reporter::run() {
  for (;; CO_TRY(co_await api_.loop().sleep(kLook))) CO_TRY(co_await look());
}

Task<Status> Reporter::look() {
  const auto& rows = desired_.refused.rows();
  std::erase_if(told_, [&](const auto& told) { return !rows.contains(told.first); });
  const TimePoint now = api_.loop().now();
  std::vector<std::pair<Key, std::string>> due;
  for (const auto& [object, row] : rows) {
    auto [told, fresh] = told_.try_emplace(object);
    if (fresh || told->second.reason != row.value) {
      told->second.reason = row.value;
      // What is of a Pod here, no other node knows.
      const bool shared = std::holds_alternative<cluster::ServiceKey>(row.owner());
      const size_t before = shared ? reporters_before(model_.facts().name, model_.nodes(), object) : 0;
      told->second.due = before < kReporters ? TimePoint(now + before * kNext) : TimePoint::max();
    }
    if (told->second.due > now) continue;
    told->second.due = now + kAgain;
    due.emplace_back(row.owner(), row.value);
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
      if (auto told = told_.find(to_string(key)); told != told_.end()) told->second.due = api_.loop().now() + kNext;
      co_return ok();
    }
    const auto hour = api_.loop().wall_now().time_since_epoch() / kAgain;
    const uint64_t id = hash(reason, hash(service->metadata.uid)) + static_cast<uint64_t>(hour);
    events_.record_once(fmt::format("{:016x}", id), kube::reference_to(*service), kube::EventType::Warning,
                        std::string(kReason), shortened(std::move(reason), *name));
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
