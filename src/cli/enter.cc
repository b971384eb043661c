#include "cli/enter.h"

#include <algorithm>

namespace causeway::cli {
namespace {

Task<Result<kube::Pod>> get_pod(kube::Client& api, kube::Ref ref) { co_return co_await api.get<kube::Pod>(ref); }

std::string places_of(const lab::LabState& state) {
  const std::string nodes = state.nodes.size() == 1 ? "node-1" : fmt::format("node-1 to node-{}", state.nodes.size());
  return nodes + ", outside, router, control";
}

}  // namespace

Result<Place> find_place(const lab::LabState& state, const std::string& target, const std::string& container) {
  for (const auto& node : state.nodes)
    if (node.name == target) {
      if (node.nodelet == 0) return fail(Errc::Unavailable, "{} does not run", target);
      return Place{node.nodelet, state.paths.nodelet(target)};
    }
  for (const char* space : {"router", "outside", "control"})
    if (target == space) {
      const pid_t pid = lab::process_in(state.paths.space(space));
      if (pid == 0) return fail(Errc::Unavailable, "{} does not run: `causeway lab status` tells more", target);
      return Place{pid, state.paths.space(space), true};
    }
  auto api = TRY(connect_api(state.spec.name));
  auto found = run_until_done(*api.loop, get_pod(*api.client, parse_ref(target)));
  if (!found && found.error().code() == Errc::NotFound)
    return fail(Errc::NotFound, "{} is no place of the lab: {}; and there is no such Pod: {}", target, places_of(state),
                found.error().message());
  const auto pod = TRY(std::move(found));
  const auto& containers = pod.spec.containers;
  const std::string wanted = container.empty() ? containers.front().name : container;
  if (std::ranges::none_of(containers, [&](const auto& entry) { return entry.name == wanted; }))
    return fail(Errc::NotFound, "the Pod {} has no container \"{}\"", target, wanted);
  const std::string cgroup = state.paths.container(pod.spec.node_name, pod.metadata.uid, wanted);
  const pid_t pid = lab::process_in(cgroup);
  if (pid == 0)
    return fail(Errc::Unavailable, "container {} of the Pod {} does not run (phase {})", wanted, target,
                pod.status.phase);
  return Place{pid, cgroup};
}

Result<Place> find_sandbox(const lab::LabState& state, const std::string& node, const std::string& pod_uid) {
  const std::string cgroup = state.paths.container(node, pod_uid, ".sandbox");
  const pid_t pid = lab::process_in(cgroup);
  if (pid == 0) return fail(Errc::Unavailable, "the sandbox of the Pod with uid {} does not run on {}", pod_uid, node);
  return Place{pid, cgroup, true};
}

}  // namespace causeway::cli
