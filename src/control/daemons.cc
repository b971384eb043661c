#include "control/daemons.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "control/node_fit.h"
#include "control/revisions.h"

namespace causeway::control {
namespace {

int32_t scaled(const std::optional<kube::IntOrString>& value, int32_t fallback, size_t nodes) {
  if (!value) return fallback;
  if (const auto* number = std::get_if<int32_t>(&*value)) return *number;
  const auto& text = std::get<std::string>(*value);
  int64_t percent = 0;
  std::from_chars(text.data(), text.data() + text.size(), percent);
  return int32_t((int64_t(nodes) * percent + 99) / 100);
}

bool older(const kube::Pod* a, const kube::Pod* b) {
  return std::tuple(a->metadata.creation_timestamp, a->metadata.name) <
         std::tuple(b->metadata.creation_timestamp, b->metadata.name);
}

class Planner {
 public:
  Planner(const kube::DaemonSet& set, const kube::Pod& sample, const std::string& hash, kube::Time now)
      : set_(set), sample_(sample), hash_(hash), now_(now) {}

  DaemonPlan plan(const std::vector<const kube::Node*>& nodes, const std::vector<const kube::Pod*>& owned) {
    for (const auto* pod : owned) on_node_[destined_node(*pod)].push_back(pod);
    for (const auto* node : nodes) {
      auto& duty = duties_[node->metadata.name];
      duty = duty_of(*node);
      if (duty.run) ++plan_.status.desired_number_scheduled;
    }
    const auto& rolling = set_.spec.update_strategy.rolling_update;
    const size_t desired = size_t(plan_.status.desired_number_scheduled);
    rolling_ = set_.spec.update_strategy.type != "OnDelete";
    surge_ = rolling_ && rolling ? scaled(rolling->max_surge, 0, desired) : 0;
    unavailable_ = rolling ? scaled(rolling->max_unavailable, 1, desired) : 1;
    status(nodes);
    if (set_.metadata.deletion_timestamp) return std::move(plan_);
    for (const auto& [node, pods] : on_node_)  // nodes that are gone
      if (!node.empty() && !duties_.contains(node))
        for (const auto* pod : pods) remove(pod);
    for (const auto* node : nodes) keep(node->metadata.name);
    if (rolling_) roll();
    return std::move(plan_);
  }

 private:
  struct Duty {
    bool run = false;   // a Pod shall be made
    bool stay = false;  // one that is there may stay
  };
  // Of the Pods of one node that are not on their way out.
  struct Generations {
    const kube::Pod* fresh = nullptr;
    const kube::Pod* old = nullptr;
  };

  Duty duty_of(const kube::Node& node) const {
    if (!sample_.spec.node_name.empty() && sample_.spec.node_name != node.metadata.name) return {};
    if (!selects(sample_, node)) return {};
    Duty duty{true, true};
    for (const auto& taint : taints_of(node)) {
      if (taint.effect == "PreferNoSchedule" || tolerated(sample_, taint)) continue;
      duty.run = false;
      if (taint.effect == "NoExecute") duty.stay = false;
    }
    return duty;
  }

  bool is_fresh(const kube::Pod& pod) const {
    const auto label = pod.metadata.labels.find(kRevisionLabel);
    return label != pod.metadata.labels.end() && label->second == hash_;
  }
  bool is_available(const kube::Pod& pod) {
    if (!kube::is_ready(pod)) return false;
    const std::chrono::seconds needed(set_.spec.min_ready_seconds);
    if (needed.count() == 0) return true;
    const auto* ready = kube::find_condition(pod.status.conditions, "Ready");
    const auto since = ready && ready->last_transition_time ? *ready->last_transition_time : kube::Time{};
    const auto wait = since + needed - now_;
    if (wait <= wait.zero()) return true;
    if (!plan_.recheck || wait < *plan_.recheck) plan_.recheck = wait;
    return false;
  }
  void remove(const kube::Pod* pod, bool failed = false) {
    if (pod->metadata.deletion_timestamp ||
        std::ranges::any_of(plan_.remove, [&](const auto& removal) { return removal.pod == pod; }))
      return;
    plan_.remove.push_back({pod, failed});
  }
  const std::vector<const kube::Pod*>& pods_of(const std::string& node) const {
    static const std::vector<const kube::Pod*> kNone;
    const auto found = on_node_.find(node);
    return found == on_node_.end() ? kNone : found->second;
  }
  // Oldest first, without what goes or has ended.
  std::vector<const kube::Pod*> running(const std::string& node) const {
    std::vector<const kube::Pod*> out;
    for (const auto* pod : pods_of(node))
      if (!pod->metadata.deletion_timestamp && !kube::is_finished(*pod)) out.push_back(pod);
    std::ranges::sort(out, older);
    return out;
  }
  Generations generations(const std::string& node) const {
    Generations found;
    for (const auto* pod : running(node)) {
      auto& slot = is_fresh(*pod) ? found.fresh : found.old;
      if (!slot) slot = pod;
    }
    return found;
  }

  // One Pod where one shall be, none elsewhere. During a surge two: one of each template.
  void keep(const std::string& node) {
    const auto duty = duties_.at(node);
    const auto& pods = pods_of(node);
    if (duty.run && pods.empty()) plan_.create.push_back(node);
    if (!duty.run && !duty.stay) {
      for (const auto* pod : pods) remove(pod);
      return;
    }
    for (const auto* pod : pods)
      if (kube::is_finished(*pod)) remove(pod, true);
    const auto alive = running(node);
    const auto kept = generations(node);
    for (const auto* pod : alive) {
      const bool one_of_two = surge_ > 0 && (pod == kept.fresh || pod == kept.old);
      if (!one_of_two && pod != alive.front()) remove(pod);
    }
    if (surge_ > 0 && kept.fresh && kept.old && (!kube::is_ready(*kept.old) || is_available(*kept.fresh)))
      remove(kept.old);
  }

  void roll() {
    int32_t busy = 0;  // unavailable, or surged upon
    std::vector<std::pair<std::string, const kube::Pod*>> now, later;
    for (const auto& [node, duty] : duties_) {
      if (!duty.run) continue;
      const auto pods = generations(node);
      if (surge_ > 0) {
        if (pods.fresh && pods.old) ++busy;
        if (!pods.old || pods.fresh) continue;
      } else if (!pods.old) {
        if (!pods.fresh || !is_available(*pods.fresh)) ++busy;
        continue;
      } else if (pods.fresh) {
        ++busy;
        continue;
      }
      if (is_available(*pods.old)) {
        later.emplace_back(node, pods.old);
      } else {
        now.emplace_back(node, pods.old);  // it does not work anyway
        if (surge_ == 0) ++busy;
      }
    }
    int32_t room = std::max(0, (surge_ > 0 ? surge_ : unavailable_) - busy);
    for (auto& candidate : later) {
      if (room-- <= 0) break;
      now.push_back(candidate);
    }
    for (const auto& [node, pod] : now)
      if (surge_ > 0)
        plan_.create.push_back(node);
      else
        remove(pod);
  }

  void status(const std::vector<const kube::Node*>& nodes) {
    auto& status = plan_.status;
    status.observed_generation = set_.metadata.generation;
    status.collision_count = set_.status.collision_count;
    status.conditions = set_.status.conditions;
    for (const auto* node : nodes) {
      auto pods = pods_of(node->metadata.name);
      const bool wanted = duties_.at(node->metadata.name).run;
      if (!wanted) {
        if (!pods.empty()) ++status.number_misscheduled;
        continue;
      }
      if (pods.empty()) continue;
      ++status.current_number_scheduled;
      // The one that serves says how the node is; any that is new says that it is updated.
      std::ranges::sort(pods, older);
      const auto ready = std::ranges::find_if(pods, [](const auto* pod) { return kube::is_ready(*pod); });
      if (ready != pods.end()) ++status.number_ready;
      if (std::ranges::any_of(pods, [&](const auto* pod) { return is_available(*pod); })) ++status.number_available;
      if (std::ranges::any_of(pods, [&](const auto* pod) { return is_fresh(*pod); })) ++status.updated_number_scheduled;
    }
    status.number_unavailable = status.desired_number_scheduled - status.number_available;
  }

  const kube::DaemonSet& set_;
  const kube::Pod& sample_;
  const std::string& hash_;
  const kube::Time now_;
  bool rolling_ = true;
  int32_t surge_ = 0, unavailable_ = 1;
  DaemonPlan plan_;
  std::map<std::string, Duty> duties_;  // by node
  std::map<std::string, std::vector<const kube::Pod*>> on_node_;
};

}  // namespace

std::vector<kube::Toleration> daemon_tolerations(bool host_network) {
  std::vector<kube::Toleration> list;
  const auto add = [&](const char* key, const char* effect) {
    list.push_back({.key = std::string("node.kubernetes.io/") + key, .op = "Exists", .effect = effect});
  };
  add("not-ready", "NoExecute");
  add("unreachable", "NoExecute");
  add("disk-pressure", "NoSchedule");
  add("memory-pressure", "NoSchedule");
  add("pid-pressure", "NoSchedule");
  add("unschedulable", "NoSchedule");
  if (host_network) add("network-unavailable", "NoSchedule");
  return list;
}

DaemonPlan plan_daemons(const kube::DaemonSet& set, const kube::Pod& sample,
                        const std::vector<const kube::Node*>& nodes, const std::vector<const kube::Pod*>& owned,
                        const std::string& hash, kube::Time now) {
  return Planner(set, sample, hash, now).plan(nodes, owned);
}

}  // namespace causeway::control
