// `causeway lab up` and `down`.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <ranges>

#include "base/file.h"
#include "cli/api.h"
#include "cli/bring_up.h"
#include "cli/lab.h"
#include "cli/output.h"
#include "cli/wait.h"
#include "lab/children.h"
#include "lab/images/image_store.h"

namespace causeway::cli {

namespace {

// Nodes of the lab that the API does not know.
Task<Result<std::vector<std::string>>> find_unregistered(kube::Client& api, lab::LabState state) {
  const auto known = CO_TRY(co_await api.list<kube::Node>());
  std::vector<std::string> out;
  for (const auto& node : state.nodes)
    if (std::ranges::none_of(known.items, [&](const auto& object) { return object.metadata.name == node.name; }))
      out.push_back(node.name);
  co_return out;
}

Task<Status> wait_for_lab(kube::Client& api, lab::Spec spec, Steps& steps) {
  CO_TRY(co_await wait_for_nodes(api, spec.nodes, 60s));
  if (!spec.dns) co_return ok();
  steps.begin("cluster DNS");
  co_return co_await wait_for_dns(api, spec.nodes, 60s);
}

// What those nodes said last that did not even register: why, more often than not.
std::string last_words(const std::vector<std::string>& nodes, const lab::Paths& paths) {
  std::string out;
  for (const auto& node : nodes | std::views::take(3))
    if (auto log = read_file(paths.log(node))) out += fmt::format("; {} says last: {}", node, lab::last_line(*log));
  return out;
}

}  // namespace

Status bring_up(const lab::Spec& spec, Steps& steps) {
  const auto brought = TRY(lab::up(spec, [&](const std::string& step) { steps.begin(step); }));
  auto api = TRY(connect_api(spec.name));
  const auto state = TRY(lab::observe(spec.name));
  if (brought != lab::Brought::Made) {
    const auto lost = run_until_done(*api.loop, find_unregistered(*api.client, state));
    if (brought == lab::Brought::Running && lost && lost->empty()) return fail(lab::already_up(spec.name));
    // A Node that somebody deleted comes back when its kubelet starts anew, as upstream's.
    if (lost)
      for (const auto& node : *lost) {
        steps.begin(node + ": registering again");
        TRY(lab::restart_node(spec.name, node));
      }
  }
  steps.begin(fmt::format("{} node{} Ready", spec.nodes, spec.nodes == 1 ? "" : "s"));
  bool interrupted = false;
  api.loop->on_signal({SIGINT, SIGTERM}, [&](int) {
    interrupted = true;
    api.loop->stop();
  });
  auto ready = run_until_done(*api.loop, wait_for_lab(*api.client, spec, steps));
  if (interrupted && brought == lab::Brought::Made) {
    TRY(lab::down(spec.name), "interrupted");
    return fail(Errc::Cancelled, "interrupted");
  }
  if (interrupted)
    return fail(Errc::Cancelled, "interrupted; the lab \"{}\" stays: `causeway lab down --name {}` ends it", spec.name,
                spec.name);
  if (!ready && ready.error().code() == Errc::Timeout) {
    const auto lost = run_until_done(*api.loop, find_unregistered(*api.client, state));
    return fail(Errc::Timeout, "{}{}", ready.error().message(), lost ? last_words(*lost, state.paths) : "");
  }
  // A node whose agent cannot last: a new lab goes, as whenever it cannot be brought up.
  if (!ready && brought == lab::Brought::Made && ready.error().code() == Errc::Io) TRY(lab::down(spec.name));
  TRY(std::move(ready));
  steps.done();
  return ok();
}

int lab_up(const lab::Spec& spec) {
  Steps steps;
  if (auto status = bring_up(spec, steps); !status) {
    steps.failed();
    return complain(status.error());
  }
  const auto state = lab::observe(spec.name);
  fmt::print("the lab \"{}\" is up in {:.2f} s\n  export KUBECONFIG={}\n  kubectl get nodes\n", spec.name,
             steps.seconds(), state ? state->paths.kubeconfig() : "");
  return 0;
}

int lab_down(const std::string& name, bool all) {
  std::vector<std::string> names{name};
  if (all) names = lab::registered_labs();
  int status = 0;
  for (const auto& lab : names) {
    if (auto ended = lab::down(lab); !ended) {
      status = complain(ended.error());
    } else {
      fmt::print("the lab \"{}\" is down\n", lab);
    }
  }
  std::vector<std::string> indexes;
  for (const auto& lab : lab::registered_labs())
    if (auto paths = lab::paths_of(lab)) indexes.push_back(paths->image_index());
  lab::prune_images(indexes);
  return status;
}

}  // namespace causeway::cli
