#include "control/deployments.h"

#include <algorithm>

#include "base/format.h"
#include "control/pod_template.h"

namespace causeway::control {
namespace {

// The annotations that tell a ReplicaSet the Deployment's size, as members of a JSON object.
std::string size_annotations(const kube::Deployment& deployment) {
  const auto all = set_annotations(deployment, 0);
  return fmt::format(R"("{}":"{}","{}":"{}")", kDesiredAnnotation, all.at(kDesiredAnnotation), kMostAnnotation,
                     all.at(kMostAnnotation));
}
// Whether the set carries the Deployment's own annotations; those that say sizes are scale()'s.
bool is_told(const kube::Deployment& deployment, const kube::ReplicaSet& set) {
  auto own = set_annotations(deployment, 0);
  for (const char* key : {kRevisionAnnotation, kDesiredAnnotation, kMostAnnotation}) own.erase(key);
  return std::ranges::all_of(own, [&](const auto& annotation) {
    const auto found = set.metadata.annotations.find(annotation.first);
    return found != set.metadata.annotations.end() && found->second == annotation.second;
  });
}
bool has_size(const kube::Deployment& deployment, const kube::ReplicaSet& set) {
  const auto all = set_annotations(deployment, 0);
  return std::ranges::all_of(std::initializer_list<const char*>{kDesiredAnnotation, kMostAnnotation},
                             [&](const char* key) {
                               const auto found = set.metadata.annotations.find(key);
                               return found != set.metadata.annotations.end() && found->second == all.at(key);
                             });
}

}  // namespace

Deployments::Deployments(Loop& loop, kube::Client& api, kube::Cache<kube::Deployment>& deployments,
                         kube::Cache<kube::ReplicaSet>& sets, kube::EventRecorder& events)
    : loop_(loop),
      api_(api),
      deployments_(deployments),
      sets_(sets),
      events_(events),
      queue_(loop, "Deployment", 8, [this](kube::Ref ref) { return reconcile(std::move(ref)); }) {
  deployments_.on_change([this](const kube::Deployment* old, const kube::Deployment* now) {
    queue_.add(kube::ref_of((now ? now : old)->metadata));
  });
  sets_.on_change([this](const kube::ReplicaSet* old, const kube::ReplicaSet* now) { set_changed(old, now); });
  sets_.on_sync([this] {
    deployments_.for_each(
        [this](const kube::Deployment& deployment) { queue_.add(kube::ref_of(deployment.metadata)); });
  });
}

void Deployments::set_changed(const kube::ReplicaSet* old, const kube::ReplicaSet* now) {
  const auto& set = now ? *now : *old;
  const auto* owner = kube::controller_of(set.metadata);
  if (!owner || owner->kind != "Deployment") return;
  const auto ref = kube::ref_of(set.metadata);
  if (now) {
    owned_[owner->uid].insert(ref);
  } else if (auto found = owned_.find(owner->uid); found != owned_.end()) {
    found->second.erase(ref);
    if (found->second.empty()) owned_.erase(found);
  }
  queue_.add({.ns = ref.ns, .name = owner->name});
}

Task<Status> Deployments::reconcile(kube::Ref ref) {
  if (!deployments_.synced() || !sets_.synced()) co_return ok();
  const auto* found = deployments_.find(ref);
  if (!found) co_return ok();
  const kube::Deployment deployment = *found;

  std::vector<kube::ReplicaSet> owned;
  if (auto refs = owned_.find(deployment.metadata.uid); refs != owned_.end())
    for (const auto& set : refs->second)
      if (const auto* object = sets_.find(set)) owned.push_back(*object);
  const kube::ReplicaSet* current = nullptr;
  std::vector<const kube::ReplicaSet*> old;
  int64_t newest = 0;
  for (const auto& set : owned) {
    newest = std::max(newest, revision_of(set.metadata));
    // Of two with the same template the older one counts, so that every run decides alike.
    const bool same = CO_TRY(same_template(set.spec.pod_template.text, deployment.spec.pod_template.text));
    if (same && (!current || set.metadata.creation_timestamp < current->metadata.creation_timestamp)) current = &set;
  }
  for (const auto& set : owned)
    if (&set != current) old.push_back(&set);

  if (!current && !deployment.spec.paused && !deployment.metadata.deletion_timestamp) {
    int32_t running = 0;
    for (const auto* set : old) running += set->spec.replicas.value_or(1);
    const int32_t wanted = deployment.spec.replicas.value_or(1);
    const bool wait = deployment.spec.strategy.type == "Recreate" && running > 0;
    const int32_t room = std::max(0, wanted + rollout_limits(deployment).surge - running);
    CO_TRY(co_await create_set(deployment, newest + 1, wait ? 0 : std::min(wanted, room)));
  } else if (current) {
    const bool again = revision_of(current->metadata) < newest;  // rolled back to an older template
    const int64_t revision = again ? newest + 1 : std::max<int64_t>(revision_of(current->metadata), 1);
    if (again || revision_of(deployment.metadata) != revision || revision_of(current->metadata) != revision ||
        !is_told(deployment, *current))
      CO_TRY(co_await annotate(deployment, *current, revision));
  }

  const auto now = std::chrono::time_point_cast<std::chrono::microseconds>(loop_.wall_now());
  const auto plan = plan_rollout(deployment, current, old, now);
  if (plan.recheck) queue_.add_after(ref, *plan.recheck);
  for (const auto& set : owned) {
    if (auto to = plan.scale.find(set.metadata.name); to != plan.scale.end())
      CO_TRY(co_await scale(deployment, set, to->second));
    else if (set.spec.replicas.value_or(1) > 0 && !has_size(deployment, set))
      CO_TRY(co_await api_.patch<kube::ReplicaSet>(
          kube::ref_of(set.metadata), kube::PatchType::Merge,
          fmt::format(R"({{"metadata":{{"resourceVersion":"{}","annotations":{{{}}}}}}})",
                      set.metadata.resource_version, size_annotations(deployment))));
    if (std::ranges::find(plan.remove, set.metadata.name) != plan.remove.end()) {
      auto gone = co_await api_.remove<kube::ReplicaSet>(kube::ref_of(set.metadata), {.uid = set.metadata.uid});
      if (!gone && gone.error().code() != Errc::NotFound) co_return gone;
    }
  }

  if (plan.status == deployment.status) co_return ok();
  auto changed = deployment;
  changed.status = plan.status;
  auto written = co_await api_.update_status(std::move(changed));
  if (!written && written.error().code() != Errc::NotFound) co_return fail(std::move(written.error()));
  co_return ok();
}

Task<Status> Deployments::create_set(const kube::Deployment& deployment, int64_t revision, int32_t replicas) {
  const auto hash =
      CO_TRY(template_hash(deployment.spec.pod_template.text, deployment.status.collision_count.value_or(0)));
  kube::ReplicaSet set;
  set.metadata.name = deployment.metadata.name + "-" + hash;
  set.metadata.ns = deployment.metadata.ns;
  set.metadata.annotations = set_annotations(deployment, revision);
  set.metadata.owner_references = {{.api_version = "apps/v1",
                                    .kind = "Deployment",
                                    .name = deployment.metadata.name,
                                    .uid = deployment.metadata.uid,
                                    .controller = true,
                                    .block_owner_deletion = true}};
  set.spec.replicas = replicas;
  set.spec.min_ready_seconds = deployment.spec.min_ready_seconds;
  set.spec.selector = deployment.spec.selector;
  set.spec.selector.match_labels[kTemplateHashLabel] = hash;
  set.spec.pod_template.text = CO_TRY(with_label(deployment.spec.pod_template.text, kTemplateHashLabel, hash));
  set.metadata.labels = CO_TRY(template_labels(set.spec.pod_template.text));
  const auto name = set.metadata.name;
  auto made = co_await api_.create(std::move(set));
  if (made) {
    events_.record(deployment, kube::EventType::Normal, "ScalingReplicaSet",
                   fmt::format("Scaled up replica set {} from 0 to {}", name, replicas));
    co_return ok();
  }
  if (made.error().code() != Errc::AlreadyExists) {
    if (made.error().code() == Errc::Invalid)
      events_.record(deployment, kube::EventType::Warning, "ReplicaSetCreateError",
                     fmt::format("Failed to create new replica set \"{}\": {}", name, made.error().message()));
    co_return fail(std::move(made.error()));
  }
  // Ours, and the cache is late: its event brings us back. Another owner's or template's: take another name.
  auto there = CO_TRY(co_await api_.get<kube::ReplicaSet>({.ns = deployment.metadata.ns, .name = name}));
  const auto* owner = kube::controller_of(there.metadata);
  if (owner && owner->uid == deployment.metadata.uid &&
      CO_TRY(same_template(there.spec.pod_template.text, deployment.spec.pod_template.text)))
    co_return ok();
  auto changed = deployment;
  changed.status.collision_count = deployment.status.collision_count.value_or(0) + 1;
  CO_TRY(co_await api_.update_status(std::move(changed)));
  co_return ok();
}

Task<Status> Deployments::scale(const kube::Deployment& deployment, const kube::ReplicaSet& set, int32_t replicas) {
  const int32_t before = set.spec.replicas.value_or(1);
  auto scaled = co_await api_.patch<kube::ReplicaSet>(
      kube::ref_of(set.metadata), kube::PatchType::Merge,
      fmt::format(R"({{"metadata":{{"resourceVersion":"{}","annotations":{{{}}}}},"spec":{{"replicas":{}}}}})",
                  set.metadata.resource_version, size_annotations(deployment), replicas));
  if (!scaled) co_return fail(std::move(scaled.error()));
  events_.record(deployment, kube::EventType::Normal, "ScalingReplicaSet",
                 fmt::format("Scaled {} replica set {} from {} to {}", replicas > before ? "up" : "down",
                             set.metadata.name, before, replicas));
  co_return ok();
}

// The revision on both, and on the set what the Deployment is annotated with (its change-cause).
Task<Status> Deployments::annotate(const kube::Deployment& deployment, const kube::ReplicaSet& current,
                                   int64_t revision) {
  const auto patch = fmt::format(R"({{"metadata":{{"annotations":{{"{}":"{}"}}}}}})", kRevisionAnnotation, revision);
  if (revision_of(current.metadata) != revision || !is_told(deployment, current)) {
    std::string members;
    for (const auto& [key, value] : set_annotations(deployment, revision))
      members += fmt::format("{}{}:{}", members.empty() ? "" : ",", kube::json_quote(key), kube::json_quote(value));
    CO_TRY(co_await api_.patch<kube::ReplicaSet>(kube::ref_of(current.metadata), kube::PatchType::Merge,
                                                 fmt::format(R"({{"metadata":{{"annotations":{{{}}}}}}})", members)));
  }
  if (revision_of(deployment.metadata) != revision)
    CO_TRY(co_await api_.patch<kube::Deployment>(kube::ref_of(deployment.metadata), kube::PatchType::Merge, patch));
  co_return ok();
}

}  // namespace causeway::control
