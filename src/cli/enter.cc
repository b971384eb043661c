#include "cli/enter.h"

#include <algorithm>

namespace causeway::cli {
namespace {

Task<Result<kube::Pod>> get_pod(kube::Client& api, kube::Ref ref) { co_return co_await api.get<kube::Pod>(ref); }

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
  const auto pod = TRY(run_until_done(*api.loop, get_pod(*api.client, parse_ref(target))));
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
