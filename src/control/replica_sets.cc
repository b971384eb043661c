#include "control/replica_sets.h"

#include "base/format.h"
#include "base/log.h"
#include "control/pod_template.h"

namespace causeway::control {
namespace {

const kube::OwnerReference* owner_of(const kube::Pod& pod) {
  const auto* owner = kube::controller_of(pod.metadata);
  return owner && owner->kind == "ReplicaSet" ? owner : nullptr;
}

}  // namespace

ReplicaSets::ReplicaSets(Loop& loop, kube::Client& api, kube::Cache<kube::ReplicaSet>& sets,
                         kube::Cache<kube::Pod>& pods, kube::EventRecorder& events)
    : loop_(loop),
      api_(api),
      sets_(sets),
      pods_(pods),
      events_(events),
      queue_(loop, "ReplicaSet", 8, [this](kube::Ref ref) { return reconcile(std::move(ref)); }) {
  sets_.on_change([this](const kube::ReplicaSet* old, const kube::ReplicaSet* now) {
    if (!now) expected_.erase(old->metadata.uid);
    queue_.add(kube::ref_of((now ? now : old)->metadata));
  });
  pods_.on_change([this](const kube::Pod* old, const kube::Pod* now) { pod_changed(old, now); });
  pods_.on_sync(
      [this] { sets_.for_each([this](const kube::ReplicaSet& set) { queue_.add(kube::ref_of(set.metadata)); }); });
}

void ReplicaSets::pod_changed(const kube::Pod* old, const kube::Pod* now) {
  const auto& pod = now ? *now : *old;
  const auto* owner = owner_of(pod);
  if (!owner) return;
  const auto ref = kube::ref_of(pod.metadata);
  if (now) {
    owned_[owner->uid].insert(ref);
  } else if (auto found = owned_.find(owner->uid); found != owned_.end()) {
    found->second.erase(ref);
    if (found->second.empty()) owned_.erase(found);
  }
  if (auto expected = expected_.find(owner->uid); expected != expected_.end()) {
    expected->second.created.erase(ref.name);
    if (!now || !is_active(*now)) expected->second.deleted.erase(ref.name);
  }
  queue_.add({.ns = ref.ns, .name = owner->name});
}

Task<Status> ReplicaSets::reconcile(kube::Ref ref) {
  if (!sets_.synced() || !pods_.synced()) co_return ok();
  const auto* found = sets_.find(ref);
  if (!found) co_return ok();
  const kube::ReplicaSet set = *found;

  std::vector<const kube::Pod*> owned;
  if (auto refs = owned_.find(set.metadata.uid); refs != owned_.end())
    for (const auto& pod : refs->second)
      if (const auto* object = pods_.find(pod)) owned.push_back(object);
  const auto now = std::chrono::time_point_cast<std::chrono::microseconds>(loop_.wall_now());
  const auto plan = plan_replicas(set, owned, now);
  if (plan.recheck) queue_.add_after(ref, *plan.recheck);

  auto& expected = expected_[set.metadata.uid];
  if (expected.holds(loop_.now())) {
    queue_.add_after(ref, Expected::kPatience);
  } else {
    expected = {.since = loop_.now()};
    std::vector<kube::Pod> remove_pods;
    for (const auto* pod : plan.remove) remove_pods.push_back(*pod);
    if (plan.create > 0) CO_TRY(co_await create(set, plan.create));
    if (!remove_pods.empty()) CO_TRY(co_await remove(set, std::move(remove_pods)));
  }

  if (plan.status == set.status) co_return ok();
  auto changed = set;
  changed.status = plan.status;
  auto written = co_await api_.update_status(std::move(changed));
  if (!written && written.error().code() != Errc::NotFound) co_return fail(std::move(written.error()));
  co_return ok();
}

Task<Status> ReplicaSets::create(kube::ReplicaSet set, size_t count) {
  const auto body = CO_TRY(pod_for(set));
  const auto target = kube::collection_path(kube::Pod::kKind, set.metadata.ns);
  auto made = co_await in_parallel(loop_, count, kParallel, [&](size_t) -> Task<Status> {
    return [](ReplicaSets& self, const kube::ReplicaSet& set, std::string target, std::string body) -> Task<Status> {
      auto answer = CO_TRY(co_await self.api_.request("POST", std::move(target), std::move(body)));
      auto pod = CO_TRY(kube::decode<kube::Pod>(answer));
      if (!self.pods_.find(kube::ref_of(pod.metadata)))
        self.expected_[set.metadata.uid].created.insert(pod.metadata.name);
      self.events_.record(set, kube::EventType::Normal, "SuccessfulCreate", "Created pod: " + pod.metadata.name);
      co_return ok();
    }(*this, set, target, body);
  });
  if (!made && made.error().code() != Errc::Cancelled && made.error().code() != Errc::Unavailable)
    events_.record(set, kube::EventType::Warning, "FailedCreate", "Error creating: " + made.error().message());
  co_return made;
}

Task<Status> ReplicaSets::remove(kube::ReplicaSet set, std::vector<kube::Pod> pods) {
  for (const auto& pod : pods) expected_[set.metadata.uid].deleted.insert(pod.metadata.name);
  co_return co_await in_parallel(loop_, pods.size(), kParallel, [&](size_t index) -> Task<Status> {
    return [](ReplicaSets& self, const kube::ReplicaSet& set, const kube::Pod& pod) -> Task<Status> {
      auto gone = co_await self.api_.remove<kube::Pod>(kube::ref_of(pod.metadata), {.uid = pod.metadata.uid});
      if (gone) {
        self.events_.record(set, kube::EventType::Normal, "SuccessfulDelete", "Deleted pod: " + pod.metadata.name);
        co_return ok();
      }
      self.expected_[set.metadata.uid].deleted.erase(pod.metadata.name);
      if (gone.error().code() == Errc::NotFound || gone.error().code() == Errc::Conflict) co_return ok();
      co_return gone;
    }(*this, set, pods[index]);
  });
}

}  // namespace causeway::control
