#include "control/trigger_time.h"

#include <algorithm>

#include "base/format.h"
#include "kube/api/codec.h"

namespace causeway::control {

std::optional<kube::Time> TriggerTimes::next(const kube::Service& service, const std::vector<const kube::Pod*>& pods) {
  const auto created = service.metadata.creation_timestamp.value_or(kube::Time{});
  auto& state = states_[kube::ref_of(service.metadata)];
  const bool fresh = state.uid != service.metadata.uid;
  if (fresh) state = {};
  std::optional<kube::Time> first;
  const auto note = [&](kube::Time time) { first = std::min(first.value_or(time), time); };
  std::map<std::string, kube::Time> now;
  for (const auto* pod : pods) {
    const auto* ready = kube::find_condition(pod->status.conditions, "Ready");
    if (!ready || !ready->last_transition_time) continue;
    const auto time = *ready->last_transition_time;
    now.emplace(pod->metadata.name, time);
    const auto before = state.pods.find(pod->metadata.name);
    if (before == state.pods.end() || time > before->second) note(time);
  }
  if (created > state.service) note(created);
  state = {.uid = service.metadata.uid, .service = created, .pods = std::move(now)};
  return fresh ? service.metadata.creation_timestamp : first;
}

void set_trigger_time(kube::ObjectMeta& metadata, const std::optional<kube::Time>& time) {
  if (!time) {
    metadata.annotations.erase(kTriggerTime);
    return;
  }
  const auto seconds = std::chrono::floor<std::chrono::seconds>(*time);
  auto text = kube::format_time(seconds);  // "2026-07-30T10:00:00Z"
  if (const auto rest = (*time - seconds).count(); rest != 0) {
    auto fraction = fmt::format("{:06}", rest);
    fraction.erase(fraction.find_last_not_of('0') + 1);
    text.insert(text.size() - 1, "." + fraction);
  }
  metadata.annotations[kTriggerTime] = std::move(text);
}

}  // namespace causeway::control
