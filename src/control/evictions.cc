#include "control/evictions.h"

#include <algorithm>

#include "base/format.h"

namespace causeway::control {

namespace {

bool matches(const kube::Toleration& toleration, const kube::Taint& taint) {
  if (!toleration.effect.empty() && toleration.effect != taint.effect) return false;
  if (toleration.op == "Exists") return toleration.key.empty() || toleration.key == taint.key;
  return toleration.key == taint.key && toleration.value == taint.value;
}

bool has_no_execute(const kube::Node& node) {
  return std::ranges::any_of(node.spec.taints, [](const auto& taint) { return taint.effect == "NoExecute"; });
}

}  // namespace

Stay plan_stay(const kube::Pod& pod, const kube::Node& node, kube::Time now, kube::Time first_seen) {
  Stay stay;
  for (const auto& taint : node.spec.taints) {
    if (taint.effect != "NoExecute") continue;
    const std::string name = taint.value.empty() ? fmt::format("{}:NoExecute", taint.key)
                                                 : fmt::format("{}={}:NoExecute", taint.key, taint.value);
    bool tolerated = false;
    std::optional<std::chrono::seconds> bound;  // the shortest of the tolerations that match
    for (const auto& toleration : pod.spec.tolerations) {
      if (!matches(toleration, taint)) continue;
      tolerated = true;
      if (!toleration.toleration_seconds) continue;
      const std::chrono::seconds seconds(std::max<int64_t>(0, *toleration.toleration_seconds));
      bound = bound ? std::min(*bound, seconds) : seconds;
    }
    if (!tolerated) return {.evict = true, .taint = name};
    if (!bound) continue;
    const auto left = taint.time_added.value_or(first_seen) + *bound - now;
    if (left.count() <= 0) return {.evict = true, .taint = name};
    if (!stay.until_then || left < *stay.until_then) stay = {.until_then = left, .taint = name};
  }
  return stay;
}

Evictions::Evictions(Loop& loop, kube::Client& api, kube::Cache<kube::Node>& nodes, kube::Cache<kube::Pod>& pods,
                     kube::EventRecorder& events)
    : loop_(loop),
      api_(api),
      nodes_(nodes),
      pods_(pods),
      events_(events),
      queue_(loop, "taint eviction", 8, [this](kube::Ref pod) { return reconcile(std::move(pod)); }) {
  nodes_.on_change([this](const kube::Node* old, const kube::Node* now) {
    if (!now || !has_no_execute(*now)) {
      tainted_.erase((now ? now : old)->metadata.name);
      return;
    }
    tainted_.try_emplace(now->metadata.name, std::chrono::time_point_cast<std::chrono::microseconds>(loop_.wall_now()));
    if (!old || old->spec.taints != now->spec.taints) look_at_pods_of(now->metadata.name);
  });
  pods_.on_change([this](const kube::Pod* old, const kube::Pod* now) {
    if (!now || now->spec.node_name.empty() || !tainted_.contains(now->spec.node_name)) return;
    if (!old || old->spec.node_name != now->spec.node_name || old->spec.tolerations != now->spec.tolerations)
      queue_.add(kube::ref_of(now->metadata));
  });
}

void Evictions::look_at_pods_of(const std::string& node) {
  pods_.for_each([&](const kube::Pod& pod) {
    if (pod.spec.node_name == node) queue_.add(kube::ref_of(pod.metadata));
  });
}

Task<Status> Evictions::reconcile(kube::Ref ref) {
  const auto* pod = pods_.find(ref);
  if (!pod || pod->metadata.deletion_timestamp || kube::is_finished(*pod)) co_return ok();
  const auto* node = nodes_.find({.name = pod->spec.node_name});
  const auto known = tainted_.find(pod->spec.node_name);
  if (!node || known == tainted_.end()) co_return ok();
  const auto now = std::chrono::time_point_cast<std::chrono::microseconds>(loop_.wall_now());
  const auto stay = plan_stay(*pod, *node, now, known->second);
  if (stay.until_then) queue_.add_after(ref, *stay.until_then);
  if (!stay.evict) co_return ok();
  events_.record(
      *pod, kube::EventType::Normal, "TaintManagerEviction",
      fmt::format("Marking for deletion Pod {}: node {} has the taint {}", ref, node->metadata.name, stay.taint));
  auto gone = co_await api_.remove<kube::Pod>(ref, {.uid = pod->metadata.uid});
  if (!gone && gone.error().code() != Errc::NotFound) co_return gone;
  co_return ok();
}

}  // namespace causeway::control
