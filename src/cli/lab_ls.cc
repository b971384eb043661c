// `causeway lab ls`, `status` and `kubeconfig`.
#include <cstdio>

#include "base/file.h"
#include "cli/api.h"
#include "cli/lab.h"
#include "cli/output.h"
#include "kube/api/types.h"

namespace causeway::cli {
namespace {

std::string running(pid_t pid) { return pid == 0 ? "not running" : fmt::format("running (pid {})", pid); }

struct Objects {
  kube::List<kube::Node> nodes;
  kube::List<kube::Pod> pods;
};
Task<Result<Objects>> fetch(kube::Client& api) {
  Objects out;
  out.nodes = CO_TRY(co_await api.list<kube::Node>());
  out.pods = CO_TRY(co_await api.list<kube::Pod>());
  co_return out;
}

}  // namespace

int lab_ls() {
  std::vector<std::vector<std::string>> rows{{"NAME", "STATE", "NODES", "FAMILY", "PLANE", "FABRIC", "KUBECONFIG"}};
  for (const auto& name : lab::registered_labs()) {
    auto state = lab::observe(name);
    if (!state) {
      rows.push_back({name, "broken: causeway lab down --name " + name, "", "", "", "", ""});
      continue;
    }
    rows.push_back({name,
                    state->whole()  ? "up"
                    : state->keeper ? "starting"
                                    : "without a keeper: causeway lab up repairs it",
                    std::to_string(state->spec.nodes), state->spec.ip_family, state->spec.plane, state->spec.fabric,
                    state->paths.kubeconfig()});
  }
  if (rows.size() == 1) {
    fmt::print("no labs; `causeway lab up` makes one\n");
  } else {
    fmt::print("{}", table(rows));
  }
  return 0;
}

int lab_status(const std::string& name) {
  auto state = lab::observe(name);
  if (!state) return complain(state.error());
  fmt::print(
      "lab         {} ({}, plane {}, fabric {})\nkubeconfig  {}\nlogs        {}/log\nkeeper      {}\nAPI server  "
      "{}\ncontroller  "
      "{}\n\n",
      name, state->spec.ip_family, state->spec.plane, state->spec.fabric, state->paths.kubeconfig(), state->paths.state,
      state->keeper ? "running" : "not running: `causeway lab up` repairs the lab", running(state->apiserver),
      running(state->controller));
  auto api = connect_api(name);
  if (!api) return complain(api.error());
  auto objects = run_until_done(*api->loop, fetch(*api->client));
  std::vector<std::vector<std::string>> rows{{"NODE", "READY", "ADDRESSES", "POD RANGES", "PODS", "AGENT", "DNS"}};
  for (const auto& node : state->nodes) {
    std::string ready = "?", addresses, ranges, pods = "?";
    if (objects) {
      for (const auto& object : objects->nodes.items) {
        if (object.metadata.name != node.name) continue;
        const auto* condition = kube::find_condition(object.status.conditions, "Ready");
        ready = condition == nullptr ? "?" : condition->status == "True" ? "yes" : "no: " + condition->message;
        for (const auto& address : object.status.addresses)
          if (address.type == "InternalIP") addresses += (addresses.empty() ? "" : ",") + address.address;
        for (const auto& range : object.spec.pod_cidrs) ranges += (ranges.empty() ? "" : ",") + range;
      }
      size_t all = 0, good = 0;
      for (const auto& pod : objects->pods.items)
        if (pod.spec.node_name == node.name) {
          ++all;
          if (kube::is_ready(pod)) ++good;
        }
      pods = fmt::format("{}/{}", good, all);
    }
    rows.push_back({node.name, node.nodelet == 0 ? "no: its machine does not run" : ready, addresses, ranges, pods,
                    running(node.agent), state->spec.dns ? running(node.dns) : "off"});
  }
  fmt::print("{}", table(rows));
  if (!objects) return complain(objects.error());
  return state->whole() ? 0 : 1;
}

int lab_kubeconfig(const std::string& name, bool path_only) {
  auto state = lab::observe(name);
  if (!state) return complain(state.error());
  auto text = read_file(state->paths.kubeconfig());
  if (!text) return complain(text.error());
  fmt::print("{}", path_only ? state->paths.kubeconfig() + "\n" : *text);
  return 0;
}

}  // namespace causeway::cli
