#include "control/stateful.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "base/format.h"
#include "control/revisions.h"

namespace causeway::control {
namespace {

std::string revision_of_pod(const kube::Pod& pod) {
  const auto found = pod.metadata.labels.find(kRevisionLabel);
  return found == pod.metadata.labels.end() ? "" : found->second;
}

bool is_terminating(const kube::Pod& pod) { return pod.metadata.deletion_timestamp.has_value(); }
bool runs_and_ready(const kube::Pod& pod) { return pod.status.phase == "Running" && kube::is_ready(pod); }

class Planner {
 public:
  Planner(const kube::StatefulSet& set, const std::string& current, const std::string& update, kube::Time now)
      : set_(set),
        current_(current),
        update_(update),
        now_(now),
        start_(first_ordinal(set)),
        wanted_(std::max(0, set.spec.replicas.value_or(1))),
        ordered_(set.spec.pod_management_policy != "Parallel") {}

  StatefulPlan plan(const std::vector<const kube::Pod*>& owned) {
    begin_status(owned);
    sort_out(owned);
    if (!set_.metadata.deletion_timestamp && fill() && shrink()) replace_old();
    end_status();
    return std::move(plan_);
  }

 private:
  bool on_delete() const { return set_.spec.update_strategy.type == "OnDelete"; }
  int32_t partition() const {
    const auto& rolling = set_.spec.update_strategy.rolling_update;
    return rolling ? rolling->partition.value_or(0) : 0;
  }
  size_t max_unavailable() const {
    const auto& rolling = set_.spec.update_strategy.rolling_update;
    if (!rolling || !rolling->max_unavailable) return 1;
    if (const auto* number = std::get_if<int32_t>(&*rolling->max_unavailable)) return size_t(std::max(1, *number));
    const auto& text = std::get<std::string>(*rolling->max_unavailable);
    int64_t percent = 0;
    std::from_chars(text.data(), text.data() + text.size(), percent);
    return size_t(std::max<int64_t>(1, (wanted_ * percent + 99) / 100));
  }
  // Ready for minReadySeconds; notes when it will be.
  bool is_available(const kube::Pod& pod) {
    if (!runs_and_ready(pod)) return false;
    const std::chrono::seconds needed(set_.spec.min_ready_seconds);
    if (needed.count() == 0) return true;
    const auto* ready = kube::find_condition(pod.status.conditions, "Ready");
    const auto since = ready && ready->last_transition_time ? *ready->last_transition_time : kube::Time{};
    const auto wait = since + needed - now_;
    if (wait <= wait.zero()) return true;
    if (!plan_.recheck || wait < *plan_.recheck) plan_.recheck = wait;
    return false;
  }
  bool is_healthy(const kube::Pod& pod) { return runs_and_ready(pod) && !is_terminating(pod); }

  void begin_status(const std::vector<const kube::Pod*>& owned) {
    auto& status = plan_.status;
    status.observed_generation = set_.metadata.generation;
    status.current_revision = current_;
    status.update_revision = update_;
    status.collision_count = set_.status.collision_count;
    status.conditions = set_.status.conditions;
    for (const auto* pod : owned) {
      ++status.replicas;
      if (runs_and_ready(*pod)) {
        ++status.ready_replicas;
        if (is_available(*pod)) ++status.available_replicas;
      }
      if (is_terminating(*pod)) continue;
      if (revision_of_pod(*pod) == current_) ++status.current_replicas;
      if (revision_of_pod(*pod) == update_) ++status.updated_replicas;
    }
  }
  // A rolling update is complete when all Pods are of the new revision and Ready.
  void end_status() {
    auto& status = plan_.status;
    if (on_delete() || status.updated_replicas != wanted_ || status.ready_replicas != wanted_ ||
        status.replicas != wanted_)
      return;
    status.current_replicas = status.updated_replicas;
    status.current_revision = update_;
  }

  void sort_out(const std::vector<const kube::Pod*>& owned) {
    for (const auto* pod : owned) {
      const auto ordinal = ordinal_of(set_, pod->metadata.name);
      if (!ordinal) continue;
      if (*ordinal >= start_ && *ordinal < start_ + wanted_)
        kept_[*ordinal] = pod;
      else
        condemned_[*ordinal] = pod;
    }
    for (int32_t i = start_; i < start_ + wanted_ && !first_unhealthy_; ++i)
      if (auto found = kept_.find(i); found != kept_.end() && !is_healthy(*found->second))
        first_unhealthy_ = found->second;
    for (auto at = condemned_.rbegin(); at != condemned_.rend() && !first_unhealthy_; ++at)
      if (!is_healthy(*at->second)) first_unhealthy_ = at->second;
  }

  // Makes what is missing from the first ordinal up. False: nothing else may happen yet.
  bool fill() {
    bool go_on = true;
    for (int32_t i = start_; i < start_ + wanted_; ++i) {
      const auto found = kept_.find(i);
      if (found == kept_.end()) {
        // Below the partition Pods come back as they were.
        plan_.create.push_back({i, !on_delete() && i < start_ + partition() ? current_ : update_});
        if (ordered_) return false;
        continue;
      }
      const auto& pod = *found->second;
      if (kube::is_finished(pod)) {
        if (!is_terminating(pod)) plan_.remove.push_back({&pod, true});
        if (ordered_) return false;
        go_on = false;
        continue;
      }
      if (ordered_ && (is_terminating(pod) || !is_available(pod))) return false;
    }
    return go_on;
  }

  // Deletes what is beyond the size, from the last ordinal down.
  bool shrink() {
    for (auto at = condemned_.rbegin(); at != condemned_.rend(); ++at) {
      const auto& pod = *at->second;
      if (is_terminating(pod)) {
        if (ordered_) return false;
        continue;
      }
      if (ordered_ && !is_available(pod) && &pod != first_unhealthy_) return false;
      plan_.remove.push_back({&pod});
      if (ordered_) return false;
    }
    return true;
  }

  // The rolling update, from the last ordinal down to the partition.
  void replace_old() {
    if (on_delete()) return;
    size_t unavailable = 0;
    for (int32_t i = start_; i < start_ + wanted_; ++i) {
      const auto found = kept_.find(i);
      if (found == kept_.end() || !is_healthy(*found->second) || !is_available(*found->second)) ++unavailable;
    }
    const size_t most = max_unavailable();
    for (int32_t i = start_ + wanted_ - 1; i >= start_ + partition(); --i) {
      const auto found = kept_.find(i);
      if (found == kept_.end()) continue;
      const auto& pod = *found->second;
      const bool available = is_healthy(pod) && is_available(pod);
      if (revision_of_pod(pod) == update_ || is_terminating(pod)) {
        if (!available && most == 1) return;
        continue;
      }
      // One that does not work anyway costs nothing.
      if (available && unavailable >= most) return;
      if (available) ++unavailable;
      plan_.remove.push_back({&pod});
      if (most == 1) return;
    }
  }

  const kube::StatefulSet& set_;
  const std::string& current_;
  const std::string& update_;
  const kube::Time now_;
  const int32_t start_, wanted_;
  const bool ordered_;
  StatefulPlan plan_;
  std::map<int32_t, const kube::Pod*> kept_, condemned_;  // by ordinal
  const kube::Pod* first_unhealthy_ = nullptr;
};

}  // namespace

int32_t first_ordinal(const kube::StatefulSet& set) { return set.spec.ordinals ? set.spec.ordinals->start : 0; }

std::string stateful_name(const kube::StatefulSet& set, int32_t ordinal) {
  return fmt::format("{}-{}", set.metadata.name, ordinal);
}

std::optional<int32_t> ordinal_of(const kube::StatefulSet& set, const std::string& pod) {
  const std::string prefix = set.metadata.name + "-";
  if (!pod.starts_with(prefix) || pod.size() == prefix.size()) return std::nullopt;
  int32_t ordinal = 0;
  const auto [end, error] = std::from_chars(pod.data() + prefix.size(), pod.data() + pod.size(), ordinal);
  if (error != std::errc() || end != pod.data() + pod.size() || ordinal < 0) return std::nullopt;
  return stateful_name(set, ordinal) == pod ? std::optional(ordinal) : std::nullopt;  // not "web-01"
}

StatefulPlan plan_stateful(const kube::StatefulSet& set, const std::vector<const kube::Pod*>& owned,
                           const std::string& current, const std::string& update, kube::Time now) {
  return Planner(set, current, update, now).plan(owned);
}

}  // namespace causeway::control
