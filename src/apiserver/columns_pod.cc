// The columns of a Pod. The STATUS column is not the phase: it is the reason of whatever container holds the Pod up.
#include <boost/json.hpp>

#include "apiserver/columns.h"

namespace causeway::apiserver {

namespace {

constexpr Column kColumns[] = {
    kName,
    {"Ready", "The aggregate readiness state of this pod for accepting traffic."},
    {"Status", "The aggregate status of the containers in this pod."},
    {"Restarts",
     "The number of times the containers in this pod have been restarted and when the last container restarted."},
    kAge,
    {"IP", "IP address allocated to the pod.", "string", 1},
    {"Node", "The node that this pod is placed on.", "string", 1},
    {"Nominated Node", "The node that this pod is to be placed on when the preempted pods have gone.", "string", 1},
    {"Readiness Gates", "Conditions beside the containers' that the pod's readiness needs.", "string", 1},
};

bool condition_is_true(const json::object& pod, std::string_view type) {
  for (const json::value& condition : array_at(pod, "status.conditions"))
    if (condition.is_object() && text_at(condition.get_object(), "type") == type)
      return text_at(condition.get_object(), "status") == "True";
  return false;
}

bool is_sidecar(const json::object& pod, std::string_view name) {
  for (const json::value& container : array_at(pod, "spec.initContainers"))
    if (container.is_object() && text_at(container.get_object(), "name") == name)
      return text_at(container.get_object(), "restartPolicy") == "Always";
  return false;
}

std::string termination(const json::object& status) {
  const std::string_view reason = text_at(status, "state.terminated.reason");
  if (!reason.empty()) return std::string(reason);
  if (const int64_t signal = int_at(status, "state.terminated.signal"); signal != 0)
    return fmt::format("Signal:{}", signal);
  return fmt::format("ExitCode:{}", int_at(status, "state.terminated.exitCode"));
}

struct Summary {
  std::string reason;
  int64_t ready = 0;
  int64_t total = 0;
  int64_t restarts = 0;
  std::string last_restart;  // RFC 3339 compares as text

  void restarted(const json::object& status) {
    last_restart = std::max(last_restart, std::string(text_at(status, "lastState.terminated.finishedAt")));
  }
};

// The first init container that is not done names the reason. True: there is one.
bool summarize_init(const json::object& pod, Summary& summary, int64_t& sidecar_restarts) {
  const json::array& statuses = array_at(pod, "status.initContainerStatuses");
  for (size_t i = 0; i < statuses.size(); ++i) {
    if (!statuses[i].is_object()) continue;
    const json::object& status = statuses[i].get_object();
    const bool sidecar = is_sidecar(pod, text_at(status, "name"));
    summary.restarts += int_at(status, "restartCount");
    if (sidecar) sidecar_restarts += int_at(status, "restartCount");
    summary.restarted(status);
    const bool terminated = find_at(status, "state.terminated") != nullptr;
    if (terminated && int_at(status, "state.terminated.exitCode") == 0) continue;
    if (sidecar && bool_at(status, "started")) {
      if (bool_at(status, "ready")) ++summary.ready;
      continue;
    }
    const std::string_view waiting = text_at(status, "state.waiting.reason");
    if (terminated)
      summary.reason = "Init:" + termination(status);
    else if (!waiting.empty() && waiting != "PodInitializing")
      summary.reason = fmt::format("Init:{}", waiting);
    else
      summary.reason = fmt::format("Init:{}/{}", i, array_at(pod, "spec.initContainers").size());
    return true;
  }
  return false;
}

void summarize_containers(const json::object& pod, Summary& summary) {
  bool running = false;
  const json::array& statuses = array_at(pod, "status.containerStatuses");
  for (auto it = statuses.rbegin(); it != statuses.rend(); ++it) {
    if (!it->is_object()) continue;
    const json::object& status = it->get_object();
    summary.restarts += int_at(status, "restartCount");
    summary.restarted(status);
    const std::string_view waiting = text_at(status, "state.waiting.reason");
    if (!waiting.empty())
      summary.reason = waiting;
    else if (find_at(status, "state.terminated"))
      summary.reason = termination(status);
    else if (bool_at(status, "ready") && find_at(status, "state.running")) {
      running = true;
      ++summary.ready;
    }
  }
  if (summary.reason == "Completed" && running)
    summary.reason = condition_is_true(pod, "Ready") ? "Running" : "NotReady";
}

Summary summarize(const json::object& pod) {
  Summary summary;
  summary.reason = text_at(pod, "status.reason", text_at(pod, "status.phase", "Unknown"));
  if (summary.reason.empty()) summary.reason = text_at(pod, "status.phase");
  summary.total = static_cast<int64_t>(array_at(pod, "spec.containers").size());
  for (const json::value& container : array_at(pod, "spec.initContainers"))
    if (container.is_object() && text_at(container.get_object(), "restartPolicy") == "Always") ++summary.total;

  int64_t sidecar_restarts = 0;
  const bool initializing = summarize_init(pod, summary, sidecar_restarts);
  if (!initializing || condition_is_true(pod, "Initialized")) {
    summary.restarts = sidecar_restarts;
    summarize_containers(pod, summary);
  }
  const std::string_view phase = text_at(pod, "status.phase");
  if (find_at(pod, "metadata.deletionTimestamp")) {
    if (text_at(pod, "status.reason") == "NodeLost")
      summary.reason = "Unknown";
    else if (phase != "Succeeded" && phase != "Failed")
      summary.reason = "Terminating";
  }
  return summary;
}

std::string readiness_gates(const json::object& pod) {
  const json::array& gates = array_at(pod, "spec.readinessGates");
  if (gates.empty()) return "<none>";
  size_t met = 0;
  for (const json::value& gate : gates)
    if (gate.is_object() && condition_is_true(pod, text_at(gate.get_object(), "conditionType"))) ++met;
  return fmt::format("{}/{}", met, gates.size());
}

json::array cells(const json::object& pod, WallTime now) {
  const Summary summary = summarize(pod);
  std::string restarts = std::to_string(summary.restarts);
  if (summary.restarts > 0 && !summary.last_restart.empty())
    restarts += fmt::format(" ({} ago)", age(summary.last_restart, now));
  return {name_of(pod),
          fmt::format("{}/{}", summary.ready, summary.total),
          summary.reason,
          restarts,
          age_of(pod, now),
          or_none(std::string(text_at(pod, "status.podIP"))),
          or_none(std::string(text_at(pod, "spec.nodeName"))),
          or_none(std::string(text_at(pod, "status.nominatedNodeName"))),
          readiness_gates(pod)};
}

}  // namespace

TableView pod_table() { return {kColumns, cells}; }

}  // namespace causeway::apiserver
