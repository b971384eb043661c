// `causeway lab up` and `down`.
#include <cstdio>

#include "cli/api.h"
#include "cli/bring_up.h"
#include "cli/lab.h"
#include "cli/output.h"
#include "cli/wait.h"

namespace causeway::cli {

Status bring_up(const lab::Spec& spec, Steps& steps) {
  TRY(lab::up(spec, [&](const std::string& step) { steps.begin(step); }));
  steps.begin(fmt::format("{} node{} Ready", spec.nodes, spec.nodes == 1 ? "" : "s"));
  auto api = TRY(connect_api(spec.name));
  TRY(run_until_done(*api.loop, wait_for_nodes(*api.client, spec.nodes, 60s)));
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
  return status;
}

}  // namespace causeway::cli
