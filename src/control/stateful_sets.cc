#include "control/stateful_sets.h"

#include "base/format.h"
#include "control/pod_template.h"
#include "kube/api/selector.h"

namespace causeway::control {

StatefulSets::StatefulSets(Loop& loop, kube::Client& api, kube::Cache<kube::StatefulSet>& sets,
                           kube::Cache<kube::Pod>& pods, Revisions& revisions, kube::EventRecorder& events)
    : loop_(loop),
      api_(api),
      sets_(sets),
      pods_(pods),
      revisions_(revisions),
      events_(events),
      queue_(loop, "StatefulSet", 8, [this](kube::Ref ref) { return reconcile(std::move(ref)); }) {
  sets_.on_change([this](const kube::StatefulSet* old, const kube::StatefulSet* now) {
    if (now) queue_.add(kube::ref_of(now->metadata));
    if (now && (!old || old->metadata.generation != now->metadata.generation)) tell_of_claims(*now);
  });
  pods_.on_change([this](const kube::Pod* old, const kube::Pod* now) { pod_changed(old, now); });
  revisions_.on_change([this](const std::string& kind, const kube::Ref& owner) {
    if (kind == kube::StatefulSet::kKind.kind) queue_.add(owner);
  });
  pods_.on_sync(
      [this] { sets_.for_each([this](const kube::StatefulSet& set) { queue_.add(kube::ref_of(set.metadata)); }); });
}

void StatefulSets::pod_changed(const kube::Pod* old, const kube::Pod* now) {
  const auto& pod = now ? *now : *old;
  const auto ref = kube::ref_of(pod.metadata);
  const auto* owner = kube::controller_of(pod.metadata);
  if (!owner) {
    // One that a StatefulSet may take over, or whose name stands in its way.
    const size_t dash = ref.name.rfind('-');
    if (dash == std::string::npos) return;
    if (const kube::Ref set{.ns = ref.ns, .name = ref.name.substr(0, dash)}; sets_.find(set)) queue_.add(set);
    return;
  }
  if (owner->kind != kube::StatefulSet::kKind.kind) return;
  if (now) {
    owned_[owner->uid].insert(ref);
  } else if (auto found = owned_.find(owner->uid); found != owned_.end()) {
    found->second.erase(ref);
    if (found->second.empty()) owned_.erase(found);
  }
  queue_.add({.ns = ref.ns, .name = owner->name});
}

void StatefulSets::tell_of_claims(const kube::StatefulSet& set) {
  if (set.spec.volume_claim_templates.empty() || set.metadata.generation == set.status.observed_generation) return;
  std::string names;
  for (const auto& claim : set.spec.volume_claim_templates) names += (names.empty() ? "" : ", ") + claim.metadata.name;
  events_.record(
      set, kube::EventType::Warning, "NotSupported",
      fmt::format("volumeClaimTemplates ({}): there are no persistent volumes here; an emptyDir stands in for "
                  "each claim, and what is written to it ends with its Pod",
                  names));
}

Task<Status> StatefulSets::reconcile(kube::Ref ref) {
  if (!sets_.synced() || !pods_.synced() || !revisions_.synced()) {
    queue_.add_after(ref, 50ms);
    co_return ok();
  }
  const auto* found = sets_.find(ref);
  if (!found) co_return ok();
  const kube::StatefulSet set = *found;
  if (!set.metadata.deletion_timestamp) CO_TRY(co_await adopt(set));

  const auto history = CO_TRY(co_await revisions_.record({.kind = std::string(kube::StatefulSet::kKind.kind),
                                                          .metadata = set.metadata,
                                                          .pod_template = set.spec.pod_template.text,
                                                          .collisions = set.status.collision_count.value_or(0)}));
  // What Pods were made of so far; in the beginning, and when it is gone, the present template.
  const auto* before = history.find(set.status.current_revision);
  const auto& current = before ? before->metadata.name : history.now.metadata.name;

  std::vector<const kube::Pod*> owned;
  std::set<std::string> live{current, history.now.metadata.name};
  if (auto refs = owned_.find(set.metadata.uid); refs != owned_.end())
    for (const auto& pod : refs->second)
      if (const auto* object = pods_.find(pod)) {
        owned.push_back(object);
        if (auto label = object->metadata.labels.find(kRevisionLabel); label != object->metadata.labels.end())
          live.insert(label->second);
      }
  const auto now = std::chrono::time_point_cast<std::chrono::microseconds>(loop_.wall_now());
  const auto plan = plan_stateful(set, owned, current, history.now.metadata.name, now);
  if (plan.recheck) queue_.add_after(ref, *plan.recheck);
  // The Pods of the cache may change while we wait.
  std::vector<std::pair<kube::Pod, bool>> removals;
  for (const auto& removal : plan.remove) removals.emplace_back(*removal.pod, removal.failed);

  for (const auto& pod : plan.create) CO_TRY(co_await create(set, pod, history));
  for (auto& [pod, failed] : removals) CO_TRY(co_await remove(set, std::move(pod), failed));

  auto status = plan.status;
  if (history.collisions != set.status.collision_count.value_or(0)) status.collision_count = history.collisions;
  if (status != set.status) {
    auto changed = set;
    changed.status = std::move(status);
    auto written = co_await api_.update_status(std::move(changed));
    if (!written && written.error().code() != Errc::NotFound) co_return fail(std::move(written.error()));
  }
  co_return co_await revisions_.prune(history, live, set.spec.revision_history_limit.value_or(10));
}

// Pods of its names and labels that nobody controls are its own: `kubectl delete --cascade=orphan` left them.
Task<Status> StatefulSets::adopt(kube::StatefulSet set) {
  const auto selector = CO_TRY(kube::Selector::from(set.spec.selector));
  const int32_t start = first_ordinal(set);
  for (int32_t i = start; i < start + set.spec.replicas.value_or(1); ++i) {
    const kube::Ref ref{.ns = set.metadata.ns, .name = stateful_name(set, i)};
    const auto* pod = pods_.find(ref);
    if (!pod || kube::controller_of(pod->metadata) || pod->metadata.deletion_timestamp ||
        !selector.matches(pod->metadata.labels))
      continue;
    const kube::OwnerReference owner{.api_version = "apps/v1",
                                     .kind = std::string(kube::StatefulSet::kKind.kind),
                                     .name = set.metadata.name,
                                     .uid = set.metadata.uid,
                                     .controller = true,
                                     .block_owner_deletion = true};
    auto adopted = co_await api_.patch<kube::Pod>(
        ref, kube::PatchType::StrategicMerge,
        fmt::format(R"({{"metadata":{{"uid":"{}","ownerReferences":[{}]}}}})", pod->metadata.uid, kube::encode(owner)));
    if (!adopted && adopted.error().code() != Errc::NotFound && adopted.error().code() != Errc::Conflict)
      co_return fail(std::move(adopted.error()));
  }
  co_return ok();
}

Task<Status> StatefulSets::create(const kube::StatefulSet& set, StatefulPlan::New pod, const RevisionHistory& history) {
  const auto name = stateful_name(set, pod.ordinal);
  const auto* revision = history.find(pod.revision);
  PodIdentity identity{
      .kind = std::string(kube::StatefulSet::kKind.kind),
      .owner = set.metadata,
      .name = name,
      .labels = {{kPodNameLabel, name}, {kPodIndexLabel, std::to_string(pod.ordinal)}, {kRevisionLabel, pod.revision}},
      .hostname = name,
      .subdomain = set.spec.service_name};
  for (const auto& claim : set.spec.volume_claim_templates) identity.scratch.push_back(claim.metadata.name);
  const auto text = revision ? CO_TRY(template_of(revision->data.text)) : set.spec.pod_template.text;
  const auto body = CO_TRY(pod_from(text, identity));
  auto made = co_await api_.request("POST", kube::collection_path(kube::Pod::kKind, set.metadata.ns), body);
  if (made) {
    events_.record(set, kube::EventType::Normal, "SuccessfulCreate",
                   fmt::format("create Pod {} in StatefulSet {} successful", name, set.metadata.name));
    co_return ok();
  }
  if (made.error().code() == Errc::AlreadyExists) {
    // Ours, and the cache is late: its event brings us back.
    auto there = co_await api_.get<kube::Pod>({.ns = set.metadata.ns, .name = name});
    if (!there && there.error().code() == Errc::NotFound) co_return fail(Errc::Conflict, "Pod {} just went", name);
    if (!there) co_return fail(std::move(there.error()));
    const auto* owner = kube::controller_of(there->metadata);
    if (owner && owner->uid == set.metadata.uid) co_return ok();
  }
  if (made.error().code() != Errc::Cancelled && made.error().code() != Errc::Unavailable)
    events_.record(set, kube::EventType::Warning, "FailedCreate",
                   fmt::format("create Pod {} in StatefulSet {} failed error: {}", name, set.metadata.name,
                               made.error().message()));
  co_return fail(std::move(made.error()));
}

Task<Status> StatefulSets::remove(const kube::StatefulSet& set, kube::Pod pod, bool failed) {
  if (failed)
    events_.record(
        set, kube::EventType::Warning, "RecreatingFailedPod",
        fmt::format("StatefulSet {} is recreating failed Pod {}", kube::full_name(set.metadata), pod.metadata.name));
  auto gone = co_await api_.remove<kube::Pod>(kube::ref_of(pod.metadata), {.uid = pod.metadata.uid});
  if (!gone && gone.error().code() != Errc::NotFound && gone.error().code() != Errc::Conflict) co_return gone;
  if (gone)
    events_.record(set, kube::EventType::Normal, "SuccessfulDelete",
                   fmt::format("delete Pod {} in StatefulSet {} successful", pod.metadata.name, set.metadata.name));
  co_return ok();
}

}  // namespace causeway::control
