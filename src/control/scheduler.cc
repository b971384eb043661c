#include "control/scheduler.h"

#include "base/format.h"
#include "base/log.h"

namespace causeway::control {
namespace {

bool counts(const kube::Pod& pod) { return !pod.spec.node_name.empty() && !kube::is_finished(pod); }

}  // namespace

Scheduler::Scheduler(Loop& loop, kube::Client& api, kube::Cache<kube::Node>& nodes, kube::Cache<kube::Pod>& pods,
                     kube::EventRecorder& events)
    : loop_(loop), api_(api), nodes_(nodes), pods_(pods), events_(events), scope_(loop) {
  pods_.on_change([this](const kube::Pod* old, const kube::Pod* now) { pod_changed(old, now); });
  pods_.on_sync([this] { wake(); });
  nodes_.on_change([this](const kube::Node* old, const kube::Node* now) {
    // A heartbeat changes nothing that a Pod waits for.
    if (old && now && old->spec == now->spec && old->metadata.labels == now->metadata.labels &&
        old->status.conditions == now->status.conditions && old->status.allocatable == now->status.allocatable)
      return;
    retry_unfit();
  });
  nodes_.on_sync([this] { wake(); });
}

void Scheduler::pod_changed(const kube::Pod* old, const kube::Pod* now) {
  const auto ref = kube::ref_of((now ? now : old)->metadata);
  if (old && counts(*old)) loads_.remove(*old, old->spec.node_name);
  if (!now || !wants_scheduling(*now)) forget(ref);
  if (now && counts(*now)) loads_.add(*now, now->spec.node_name);
  if (now && wants_scheduling(*now) && !assumed_.contains(ref) && !unfit_.contains(ref)) {
    waiting_.insert(ref);
    wake();
  }
  if (old && counts(*old) && (!now || !counts(*now))) retry_unfit();  // room was made
}

void Scheduler::forget(const kube::Ref& ref) {
  waiting_.erase(ref);
  unfit_.erase(ref);
  if (auto assumed = assumed_.extract(ref)) loads_.remove(assumed.mapped().pod, assumed.mapped().node);
}

void Scheduler::retry_unfit() {
  for (const auto& [ref, reason] : unfit_) waiting_.insert(ref);
  if (!waiting_.empty()) wake();
}

// Once for everything that one burst of events brings.
void Scheduler::wake() {
  if (woken_ || !pods_.synced() || !nodes_.synced()) return;
  woken_ = true;
  scope_.spawn("scheduler", [](Scheduler& self) -> Task<Status> {
    CO_TRY(co_await self.loop_.sleep(0ms));
    self.woken_ = false;
    self.schedule_all();
    co_return ok();
  }(*this));
}

void Scheduler::schedule_all() {
  for (const auto& ref : std::exchange(waiting_, {})) schedule(ref);
}

void Scheduler::schedule(const kube::Ref& ref) {
  const auto* pod = pods_.find(ref);
  if (!pod || !wants_scheduling(*pod) || assumed_.contains(ref)) return;
  std::vector<const kube::Node*> nodes;
  nodes_.for_each([&](const kube::Node& node) {
    if (!node.metadata.deletion_timestamp) nodes.push_back(&node);
  });
  std::vector<Placed> placed;
  if (minds_others(*pod)) {
    pods_.for_each([&](const kube::Pod& other) {
      if (counts(other)) placed.push_back({&other, other.spec.node_name});
    });
    for (const auto& [other, assumed] : assumed_) placed.push_back({&assumed.pod, assumed.node});
  }
  auto choice = choose_node(*pod, nodes, loads_, placed);
  if (choice.node.empty()) {
    auto& reported = unfit_[ref];
    if (reported == choice.reason) return;
    reported = choice.reason;
    scope_.spawn("scheduler", report(*pod, std::move(choice.reason)));
    return;
  }
  unfit_.erase(ref);
  assumed_.emplace(ref, Assumed{*pod, choice.node});
  loads_.add(*pod, choice.node);
  scope_.spawn("scheduler", bind(ref, pod->metadata.uid, std::move(choice.node)));
}

Task<Status> Scheduler::bind(kube::Ref ref, std::string uid, std::string node) {
  const auto body = fmt::format(
      R"({{"apiVersion":"v1","kind":"Binding","metadata":{{"name":"{}","namespace":"{}","uid":"{}"}},"target":{{"apiVersion":"v1","kind":"Node","name":"{}"}}}})",
      ref.name, ref.ns, uid, node);
  auto bound = co_await api_.request("POST", kube::object_path(kube::Pod::kKind, ref.ns, ref.name, "binding"), body);
  if (bound) {
    if (const auto* pod = pods_.find(ref))
      events_.record(*pod, kube::EventType::Normal, "Scheduled",
                     fmt::format("Successfully assigned {} to {}", ref, node));
    co_return ok();
  }
  if (bound.error().code() == Errc::Cancelled) co_return fail(std::move(bound.error()));
  // Deleted, or bound by somebody else: the watch tells. Otherwise the Pod still waits, and is tried again in a moment.
  const bool settled = bound.error().code() == Errc::NotFound || bound.error().code() == Errc::Conflict;
  if (!settled) log::warning("bind pod {} to node {}, trying again in 1 s: {}", ref, node, bound.error().message());
  CO_TRY(co_await loop_.sleep(1s));
  forget(ref);
  if (const auto* pod = pods_.find(ref); pod && wants_scheduling(*pod)) {
    waiting_.insert(ref);
    wake();
  }
  co_return ok();
}

Task<Status> Scheduler::report(kube::Pod pod, std::string reason) {
  events_.record(pod, kube::EventType::Warning, "FailedScheduling", reason);
  const auto patch = fmt::format(
      R"({{"status":{{"conditions":[{{"type":"PodScheduled","status":"False","reason":"Unschedulable","message":{},"lastTransitionTime":"{}"}}]}}}})",
      kube::json_quote(reason),
      kube::format_time(std::chrono::time_point_cast<std::chrono::microseconds>(loop_.wall_now())));
  auto patched =
      co_await api_.patch<kube::Pod>(kube::ref_of(pod.metadata), kube::PatchType::StrategicMerge, patch, "status");
  if (!patched && patched.error().code() != Errc::NotFound) co_return fail(std::move(patched.error()));
  co_return ok();
}

}  // namespace causeway::control
