#include "lab/nodelet/pod_status.h"

#include <algorithm>

namespace causeway::lab {
namespace {

using kube::Condition;

bool succeeded(const kube::ContainerState& state) { return state.terminated && state.terminated->exit_code == 0; }

bool initialized(const PodView& view) {
  return std::ranges::all_of(view.init_containers, [](const ContainerView& view) {
    return view.spec->restart_policy == "Always" ? view.started : succeeded(view.state);
  });
}

std::string names(const std::vector<ContainerView>& views, bool (*wanted)(const ContainerView&)) {
  std::string out;
  for (const auto& view : views)
    if (wanted(view)) out += (out.empty() ? "" : " ") + view.spec->name;
  return out;
}

// kubelet keeps the time of a condition that says what it said before.
void put(std::vector<Condition>& conditions, const PodView& view, std::string type, bool value, std::string reason = {},
         std::string message = {}) {
  Condition condition{.type = std::move(type),
                      .status = value ? "True" : "False",
                      .reason = std::move(reason),
                      .message = std::move(message)};
  const Condition* before = kube::find_condition(view.pod->status.conditions, condition.type);
  const bool same = before != nullptr && before->status == condition.status && before->last_transition_time;
  condition.last_transition_time = same ? before->last_transition_time : view.now;
  conditions.push_back(std::move(condition));
}

std::vector<Condition> conditions_of(const PodView& view, const std::string& phase) {
  const bool init = initialized(view);
  const bool over = phase == "Succeeded" || phase == "Failed";
  std::string unready = names(view.containers, [](const ContainerView& container) { return !container.ready; });
  // A sidecar counts as the containers do (KEP-753).
  const std::string sidecars = names(view.init_containers, [](const ContainerView& container) {
    return container.spec->restart_policy == "Always" && !container.ready;
  });
  if (!sidecars.empty()) unready = unready.empty() ? sidecars : sidecars + " " + unready;
  bool gates = true;
  for (const auto& gate : view.pod->spec.readiness_gates) {
    const Condition* condition = kube::find_condition(view.pod->status.conditions, gate.condition_type);
    gates = gates && condition != nullptr && condition->status == "True";
  }
  std::vector<Condition> out;
  put(out, view, "PodReadyToStartContainers", view.sandbox);
  if (phase == "Succeeded") {
    put(out, view, "Initialized", true, "PodCompleted");
  } else if (init) {
    put(out, view, "Initialized", true);
  } else {
    put(out, view, "Initialized", false, "ContainersNotInitialized",
        "containers with incomplete status: [" + names(view.init_containers, [](const ContainerView& container) {
          return !succeeded(container.state);
        }) + "]");
  }
  const bool ready = unready.empty() && !over && view.failed_reason.empty();
  const std::string reason = phase == "Succeeded" ? "PodCompleted"
                             : phase == "Failed"  ? "PodFailed"
                                                  : "ContainersNotReady";
  const std::string message = over ? "" : "containers with unready status: [" + unready + "]";
  if (ready && gates) {
    put(out, view, "Ready", true);
  } else if (ready) {
    put(out, view, "Ready", false, "ReadinessGatesNotReady", "a readiness gate of the Pod is not True");
  } else {
    put(out, view, "Ready", false, reason, message);
  }
  put(out, view, "ContainersReady", ready, ready ? "" : reason, ready ? "" : message);
  put(out, view, "PodScheduled", true);
  for (const Condition& other : view.pod->status.conditions)
    if (kube::find_condition(out, other.type) == nullptr) out.push_back(other);
  return out;
}

kube::ContainerStatus status_of(const ContainerView& view, bool pod_initializing) {
  kube::ContainerStatus status{.name = view.spec->name,
                               .state = view.state,
                               .last_state = view.last_state,
                               .ready = view.ready,
                               .restart_count = view.restarts,
                               .image = view.spec->image,
                               .image_id = view.image_id,
                               .container_id = view.id.empty() ? "" : "causeway-lab://" + view.id,
                               .started = view.started};
  if (!view.state.waiting && !view.state.running && !view.state.terminated)
    status.state.waiting = kube::ContainerStateWaiting{pod_initializing ? "PodInitializing" : "ContainerCreating", ""};
  return status;
}

}  // namespace

std::string phase_of(const PodView& view) {
  if (!view.failed_reason.empty()) return "Failed";
  const std::string& policy = view.pod->spec.restart_policy;
  for (const auto& container : view.init_containers) {
    if (container.spec->restart_policy == "Always") continue;
    if (succeeded(container.state)) continue;
    if (container.state.terminated && policy == "Never") return "Failed";
    return "Pending";
  }
  int running = 0, waiting = 0, stopped = 0, good = 0;
  for (const auto& container : view.containers) {
    if (container.state.running) {
      ++running;
    } else if (container.state.terminated) {
      ++stopped;
      if (container.state.terminated->exit_code == 0) ++good;
    } else if (container.last_state.terminated) {
      ++stopped;
    } else {
      ++waiting;
    }
  }
  if (waiting > 0) return "Pending";
  if (running > 0) return "Running";
  if (policy == "Always" || policy.empty()) return "Running";
  if (stopped == good) return "Succeeded";
  return policy == "Never" ? "Failed" : "Running";
}

std::string qos_class(const kube::PodSpec& spec) {
  bool any = false, guaranteed = true;
  for (const auto& container : spec.containers) {
    const auto& [limits, requests] = container.resources;
    any = any || !limits.empty() || !requests.empty();
    for (const char* resource : {"cpu", "memory"}) {
      auto limit = limits.find(resource);
      auto request = requests.find(resource);
      if (limit == limits.end() || (request != requests.end() && request->second != limit->second)) guaranteed = false;
    }
  }
  return !any ? "BestEffort" : guaranteed ? "Guaranteed" : "Burstable";
}

kube::PodStatus build_status(const PodView& view) {
  kube::PodStatus status;
  status.phase = phase_of(view);
  status.conditions = conditions_of(view, status.phase);
  status.reason = view.failed_reason;
  status.message = view.failed_message;
  for (const Ip& ip : view.host_ips) status.host_ips.push_back({to_string(ip)});
  if (!status.host_ips.empty()) status.host_ip = status.host_ips.front().ip;
  for (const Ip& ip : view.pod_ips) status.pod_ips.push_back({to_string(ip)});
  if (!status.pod_ips.empty()) status.pod_ip = status.pod_ips.front().ip;
  status.start_time = view.start_time;
  status.qos_class = qos_class(view.pod->spec);
  if (view.pod->metadata.generation > 0) status.observed_generation = view.pod->metadata.generation;
  if (!view.failed_reason.empty() && !view.sandbox &&
      std::ranges::none_of(view.containers, [](const auto& c) { return !c.id.empty(); }))
    return status;  // refused before anything ran: no container has a status
  const bool initializing = !view.init_containers.empty() && !initialized(view);
  for (const auto& container : view.init_containers)
    status.init_container_statuses.push_back(status_of(container, true));
  for (const auto& container : view.containers) status.container_statuses.push_back(status_of(container, initializing));
  return status;
}

}  // namespace causeway::lab
