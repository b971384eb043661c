// `causeway install-cni`: the step before the agent. It puts the CNI plugin where the container runtime looks, and
// takes away a network configuration that an earlier boot of the machine left, so that no Pod is sent to an agent that
// is not there yet.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace causeway::apps {

struct InstallCniOptions {
  std::string run = "/run/causeway";
  std::string cni_config = "/etc/cni/net.d";
  std::string cni_bin = "/opt/cni/bin";
  std::string plugin;  // "" is the one beside this program
};

// Adds `install-cni` with its flags, which are the agent's; parsing it fills `options`. Returns the subcommand.
CLI::App* add_install_cni_command(CLI::App& program, InstallCniOptions& options);
// The exit status.
int run_install_cni(const InstallCniOptions& options);

}  // namespace causeway::apps
