#include "control/replicas.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "kube/api/selector.h"

namespace causeway::control {
namespace {

int phase_rank(const std::string& phase) { return phase == "Running" ? 2 : phase == "Unknown" ? 1 : 0; }

kube::Time ready_since(const kube::Pod& pod) {
  const auto* ready = kube::find_condition(pod.status.conditions, "Ready");
  return ready && ready->last_transition_time ? *ready->last_transition_time : kube::Time{};
}

int32_t restarts(const kube::Pod& pod) {
  int32_t most = 0;
  for (const auto& status : pod.status.container_statuses) most = std::max(most, status.restart_count);
  return most;
}

// Upstream's order of deletion (controller.ActivePodsWithRanks): not assigned, not running, not ready, many on one
// node, ready for a short time, restarted often, young.
std::vector<const kube::Pod*> by_deletion(std::vector<const kube::Pod*> pods) {
  std::map<std::string, int> on_node;
  for (const auto* pod : pods) ++on_node[pod->spec.node_name];
  const auto rank = [&](const kube::Pod* pod) {
    return std::tuple(
        !pod->spec.node_name.empty(), phase_rank(pod->status.phase), kube::is_ready(*pod),
        -on_node[pod->spec.node_name], -ready_since(*pod).time_since_epoch().count(), -restarts(*pod),
        pod->metadata.creation_timestamp ? -pod->metadata.creation_timestamp->time_since_epoch().count() : 0,
        std::string_view(pod->metadata.name));
  };
  std::ranges::sort(pods, {}, rank);
  return pods;
}

}  // namespace

bool is_active(const kube::Pod& pod) { return !kube::is_finished(pod) && !pod.metadata.deletion_timestamp; }

ReplicaPlan plan_replicas(const kube::ReplicaSet& set, const std::vector<const kube::Pod*>& owned, kube::Time now) {
  std::vector<const kube::Pod*> active;
  std::ranges::copy_if(owned, std::back_inserter(active), [](const auto* pod) { return is_active(*pod); });

  ReplicaPlan plan;
  plan.status.observed_generation = set.metadata.generation;
  plan.status.conditions = set.status.conditions;
  const auto min_ready = std::chrono::seconds(set.spec.min_ready_seconds);
  for (const auto* pod : active) {
    ++plan.status.replicas;
    ++plan.status.fully_labeled_replicas;
    if (!kube::is_ready(*pod)) continue;
    ++plan.status.ready_replicas;
    const auto wait = ready_since(*pod) + min_ready - now;
    if (min_ready.count() == 0 || wait <= wait.zero()) {
      ++plan.status.available_replicas;
    } else if (!plan.recheck || wait < *plan.recheck) {
      plan.recheck = wait;
    }
  }
  if (set.metadata.deletion_timestamp) return plan;

  const size_t wanted = size_t(std::max(0, set.spec.replicas.value_or(1)));
  if (active.size() < wanted) plan.create = wanted - active.size();
  if (active.size() > wanted) {
    plan.remove = by_deletion(active);
    plan.remove.resize(active.size() - wanted);
  }
  return plan;
}

}  // namespace causeway::control
