// `causeway controller`: the controllers of a cluster.
#pragma once

#include <string>

#include "control/node_cidrs.h"

namespace CLI {
class App;
}

namespace causeway::apps {

struct ControllerOptions {
  std::string kubeconfig;  // "": $KUBECONFIG, the Pod's service account, ~/.kube/config
  std::string controllers = "*";
  control::NodeIpamOptions node_ipam;
  int64_t address_grace = 600;  // seconds that a kept address is unused before it is free
  bool leader_elect = false;
  std::string lease = "kube-system/causeway-controller";
  std::string observe = "127.0.0.1:9471";  // "" is off
  bool verbose = false;
};

// Adds `controller` with its flags; parsing it fills `options`. Returns the subcommand.
CLI::App* add_controller_command(CLI::App& program, ControllerOptions& options);
// Runs until SIGTERM or SIGINT; the exit status.
int run_controller(ControllerOptions options);

}  // namespace causeway::apps
