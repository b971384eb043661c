// The user's side: `causeway lab` and `causeway workload`, clusters of namespaces on one machine; `causeway service`.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace causeway::apps {

// Adds `lab` with its commands; the one that was given is put into `chosen`, to be called for the exit status.
CLI::App* add_lab_command(CLI::App& program, std::function<int()>& chosen);

// `causeway service` likewise: what a node does for Services.
void add_service_command(CLI::App& program, std::function<int()>& chosen);

// `causeway pod` and `causeway ipam`: a node's Pods and its addresses.
void add_pod_command(CLI::App& program, std::function<int()>& chosen);
// `causeway policy`: what policies say, of a cluster or of manifests.
void add_policy_command(CLI::App& program, std::function<int()>& chosen);
// `causeway observe`: flows that policies judged.
void add_observe_command(CLI::App& program, std::function<int()>& chosen);

// `causeway workload ...` is the program causeway-workload beside this one: it must start in a millisecond, hence
// before any flag is parsed. Returns only when it cannot be started.
int run_workload(char** argv);

}  // namespace causeway::apps
