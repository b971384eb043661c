#include "control/rollout.h"

#include <algorithm>
#include <charconv>

#include "base/format.h"

namespace causeway::control {
namespace {

int32_t wanted(const kube::ReplicaSet& set) { return set.spec.replicas.value_or(1); }

int32_t scaled(const std::optional<kube::IntOrString>& value, int32_t replicas, bool up) {
  const kube::IntOrString given = value.value_or(std::string("25%"));
  if (const auto* number = std::get_if<int32_t>(&given)) return *number;
  int32_t percent = 0;
  const auto& text = std::get<std::string>(given);
  std::from_chars(text.data(), text.data() + text.size(), percent);
  const int64_t product = int64_t(replicas) * percent;
  return int32_t(up ? (product + 99) / 100 : product / 100);
}

int32_t number_in(const kube::ObjectMeta& meta, const char* key, int32_t fallback) {
  const auto found = meta.annotations.find(key);
  if (found == meta.annotations.end()) return fallback;
  int32_t number = fallback;
  std::from_chars(found->second.data(), found->second.data() + found->second.size(), number);
  return number;
}

// A change of the size in the middle of a rollout, or while it is paused (deployment/sync.go, scale): true when there
// was one. A single active set takes all of it; several share it by their sizes, the largest takes the rest.
bool rescale(const kube::Deployment& deployment, const kube::ReplicaSet& current,
             const std::vector<const kube::ReplicaSet*>& old, std::map<std::string, int32_t>& scale) {
  const int32_t replicas = deployment.spec.replicas.value_or(1);
  std::vector<const kube::ReplicaSet*> active;
  if (wanted(current) > 0) active.push_back(&current);
  for (const auto* set : old)
    if (wanted(*set) > 0) active.push_back(set);
  const bool changed = std::ranges::any_of(
      active, [&](const auto* set) { return number_in(set->metadata, kDesiredAnnotation, replicas) != replicas; });
  if (!changed) return false;
  if (active.size() == 1) {
    // Alone: also when it is an old one whose successor has not begun.
    if (wanted(*active[0]) != replicas) scale[active[0]->metadata.name] = replicas;
    return true;
  }
  const int32_t most = replicas > 0 ? replicas + rollout_limits(deployment).surge : 0;
  int32_t total = 0;
  for (const auto* set : active) total += wanted(*set);
  const int32_t to_add = most - total;
  std::ranges::sort(active, [&](const auto* a, const auto* b) {
    if (wanted(*a) != wanted(*b)) return wanted(*a) > wanted(*b);
    const bool newer = revision_of(a->metadata) > revision_of(b->metadata);
    return to_add > 0 ? newer : revision_of(a->metadata) < revision_of(b->metadata);
  });
  int32_t added = 0;
  std::map<std::string, int32_t> sizes;
  for (const auto* set : active) {
    const int32_t before = number_in(set->metadata, kMostAnnotation, deployment.status.replicas);
    int32_t share = 0;
    if (replicas == 0)
      share = -wanted(*set);
    else if (before > 0)
      share = int32_t((int64_t(wanted(*set)) * most + before / 2) / before) - wanted(*set);
    share = to_add > 0 ? std::clamp(share, 0, to_add - added) : std::clamp(share, to_add - added, 0);
    added += share;
    sizes[set->metadata.name] = wanted(*set) + share;
  }
  auto& largest = sizes[active[0]->metadata.name];
  largest = std::max(0, largest + to_add - added);
  for (const auto* set : active)
    if (sizes[set->metadata.name] != wanted(*set)) scale[set->metadata.name] = sizes[set->metadata.name];
  return true;
}

// Upstream's rolling update (deployment/rolling.go): grow the current one as far as maxSurge allows; shrink the old
// ones, unhealthy Pods first, as far as maxUnavailable allows.
void roll(const kube::Deployment& deployment, const kube::ReplicaSet& current,
          const std::vector<const kube::ReplicaSet*>& old, std::map<std::string, int32_t>& scale) {
  const int32_t replicas = deployment.spec.replicas.value_or(1);
  const auto limits = rollout_limits(deployment);
  int32_t total = wanted(current), available = current.status.available_replicas;
  for (const auto* set : old) {
    total += wanted(*set);
    available += set->status.available_replicas;
  }

  if (wanted(current) > replicas) {
    scale[current.metadata.name] = replicas;
    return;
  }
  if (wanted(current) < replicas && total < replicas + limits.surge) {
    scale[current.metadata.name] =
        wanted(current) + std::min(replicas - wanted(current), replicas + limits.surge - total);
    return;
  }

  const int32_t least = replicas - limits.unavailable;
  const int32_t not_yet = wanted(current) - current.status.available_replicas;
  int32_t room = total - least - not_yet;  // Pods that may go now
  std::map<std::string, int32_t> left;
  for (const auto* set : old) left[set->metadata.name] = wanted(*set);
  for (const auto* set : old) {
    const int32_t unhealthy = std::min(room, wanted(*set) - set->status.available_replicas);
    if (unhealthy <= 0) continue;
    left[set->metadata.name] -= unhealthy;
    room -= unhealthy;
  }
  int32_t spare = std::min(room, available - least);
  for (const auto* set : old) {
    const int32_t fewer = std::min(spare, left[set->metadata.name]);
    if (fewer <= 0) continue;
    left[set->metadata.name] -= fewer;
    spare -= fewer;
  }
  for (const auto* set : old)
    if (left[set->metadata.name] != wanted(*set)) scale[set->metadata.name] = left[set->metadata.name];
}

void recreate(const kube::Deployment& deployment, const kube::ReplicaSet& current,
              const std::vector<const kube::ReplicaSet*>& old, std::map<std::string, int32_t>& scale) {
  bool running = false;
  for (const auto* set : old) {
    if (wanted(*set) != 0) scale[set->metadata.name] = 0;
    running = running || wanted(*set) != 0 || set->status.replicas != 0;
  }
  if (!running && wanted(current) != deployment.spec.replicas.value_or(1))
    scale[current.metadata.name] = deployment.spec.replicas.value_or(1);
}

void put_condition(std::vector<kube::Condition>& conditions, const char* type, bool value, std::string reason,
                   std::string message, kube::Time now, bool touch) {
  kube::Condition fresh{.type = type,
                        .status = value ? "True" : "False",
                        .reason = std::move(reason),
                        .message = std::move(message),
                        .last_update_time = now,
                        .last_transition_time = now};
  for (auto& condition : conditions) {
    if (condition.type != type) continue;
    if (condition.status == fresh.status) fresh.last_transition_time = condition.last_transition_time;
    if (condition.status == fresh.status && condition.reason == fresh.reason && !touch)
      fresh.last_update_time = condition.last_update_time;
    condition = std::move(fresh);
    return;
  }
  conditions.push_back(std::move(fresh));
}

}  // namespace

RolloutLimits rollout_limits(const kube::Deployment& deployment) {
  const int32_t replicas = deployment.spec.replicas.value_or(1);
  const auto rolling = deployment.spec.strategy.rolling_update.value_or(kube::RollingUpdateDeployment{});
  RolloutLimits limits{.surge = scaled(rolling.max_surge, replicas, true),
                       .unavailable = scaled(rolling.max_unavailable, replicas, false)};
  if (limits.surge == 0 && limits.unavailable == 0) limits.unavailable = 1;
  limits.unavailable = std::min(limits.unavailable, replicas);
  return limits;
}

int64_t revision_of(const kube::ObjectMeta& meta) {
  const auto found = meta.annotations.find(kRevisionAnnotation);
  int64_t revision = 0;
  if (found != meta.annotations.end())
    std::from_chars(found->second.data(), found->second.data() + found->second.size(), revision);
  return revision;
}

kube::StringMap set_annotations(const kube::Deployment& deployment, int64_t revision) {
  auto annotations = deployment.metadata.annotations;
  annotations.erase("kubectl.kubernetes.io/last-applied-configuration");
  const int32_t replicas = deployment.spec.replicas.value_or(1);
  annotations[kRevisionAnnotation] = std::to_string(revision);
  annotations[kDesiredAnnotation] = std::to_string(replicas);
  annotations[kMostAnnotation] = std::to_string(replicas + rollout_limits(deployment).surge);
  return annotations;
}

RolloutPlan plan_rollout(const kube::Deployment& deployment, const kube::ReplicaSet* current,
                         const std::vector<const kube::ReplicaSet*>& old, kube::Time now) {
  RolloutPlan plan;
  const int32_t replicas = deployment.spec.replicas.value_or(1);
  auto& status = plan.status;
  status.observed_generation = deployment.metadata.generation;
  status.collision_count = deployment.status.collision_count;
  status.conditions = deployment.status.conditions;
  int32_t asked = 0;
  const auto count = [&](const kube::ReplicaSet& set) {
    asked += wanted(set);
    status.replicas += set.status.replicas;
    status.ready_replicas += set.status.ready_replicas;
    status.available_replicas += set.status.available_replicas;
  };
  if (current) {
    count(*current);
    status.updated_replicas = current->status.replicas;
  }
  for (const auto* set : old) count(*set);
  status.unavailable_replicas = std::max(0, asked - status.available_replicas);

  const auto limits = rollout_limits(deployment);
  const bool available = status.available_replicas >= replicas - limits.unavailable;
  put_condition(status.conditions, "Available", available,
                available ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable",
                available ? "Deployment has minimum availability." : "Deployment does not have minimum availability.",
                now, false);

  const bool complete = current && status.updated_replicas == replicas && status.replicas == replicas &&
                        status.available_replicas == replicas;
  const auto& before = deployment.status;
  const bool progressed = status.updated_replicas > before.updated_replicas ||
                          status.ready_replicas > before.ready_replicas ||
                          status.available_replicas > before.available_replicas ||
                          status.replicas - status.updated_replicas < before.replicas - before.updated_replicas ||
                          deployment.metadata.generation != before.observed_generation;
  if (complete) {
    put_condition(status.conditions, "Progressing", true, "NewReplicaSetAvailable",
                  fmt::format("ReplicaSet \"{}\" has successfully progressed.", current->metadata.name), now, false);
  } else if (current && !deployment.spec.paused) {
    const auto* progress = kube::find_condition(before.conditions, "Progressing");
    const auto deadline = std::chrono::seconds(deployment.spec.progress_deadline_seconds.value_or(600));
    const auto left = progress && progress->last_update_time ? *progress->last_update_time + deadline - now
                                                             : std::chrono::microseconds(deadline);
    if (!progressed && left <= left.zero()) {
      put_condition(status.conditions, "Progressing", false, "ProgressDeadlineExceeded",
                    fmt::format("ReplicaSet \"{}\" has timed out progressing.", current->metadata.name), now, false);
    } else {
      put_condition(status.conditions, "Progressing", true, "ReplicaSetUpdated",
                    fmt::format("ReplicaSet \"{}\" is progressing.", current->metadata.name), now, progressed);
      plan.recheck = left > left.zero() ? left : std::chrono::microseconds(deadline);
    }
  }

  if (deployment.metadata.deletion_timestamp || !current) return plan;
  if (rescale(deployment, *current, old, plan.scale)) {
    // The rollout goes on from the new sizes.
  } else if (deployment.spec.paused) {
    // Only the size may change while paused.
    if (old.empty() || status.replicas == status.updated_replicas)
      if (wanted(*current) != replicas) plan.scale[current->metadata.name] = replicas;
  } else if (deployment.spec.strategy.type == "Recreate") {
    recreate(deployment, *current, old, plan.scale);
  } else {
    roll(deployment, *current, old, plan.scale);
  }

  std::vector<const kube::ReplicaSet*> idle;
  for (const auto* set : old)
    if (wanted(*set) == 0 && set->status.replicas == 0 && !set->metadata.deletion_timestamp) idle.push_back(set);
  std::ranges::sort(idle, {}, [](const auto* set) { return revision_of(set->metadata); });
  const size_t keep = size_t(std::max(0, deployment.spec.revision_history_limit.value_or(10)));
  for (size_t i = 0; complete && i + keep < idle.size(); ++i) plan.remove.push_back(idle[i]->metadata.name);
  return plan;
}

}  // namespace causeway::control
