// `causeway`: one program, one subcommand for each role. Here is only which there are.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "apps/agent.h"
#include "apps/apiserver.h"
#include "apps/controller.h"
#include "apps/dns.h"
#include "apps/environment.h"
#include "apps/install_cni.h"
#include "apps/lab.h"

using namespace causeway;

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "workload") return apps::run_workload(argv + 1);
  if (const char* folder = std::getenv("CAUSEWAY_SETTINGS"); folder != nullptr && *folder != 0)
    if (const auto status = apps::take_settings(folder); !status) {
      std::fprintf(stderr, "causeway: %s\n", status.error().message().c_str());
      return 1;
    }
  CLI::App program("Causeway: the network of a Kubernetes cluster", "causeway");
  program.require_subcommand(1);
  apps::AgentOptions agent;
  apps::ApiserverOptions apiserver;
  apps::ControllerOptions controller;
  apps::InstallCniOptions install;
  CLI::App* run_agent = apps::add_agent_command(program, agent);
  CLI::App* run_apiserver = apps::add_apiserver_command(program, apiserver);
  CLI::App* run_controller = apps::add_controller_command(program, controller);
  CLI::App* run_install = apps::add_install_cni_command(program, install);
  std::function<int()> run_lab;
  apps::add_dns_command(program, run_lab);
  apps::add_lab_command(program, run_lab);
  apps::add_service_command(program, run_lab);
  apps::add_pod_command(program, run_lab);
  apps::add_policy_command(program, run_lab);
  apps::add_observe_command(program, run_lab);
  // Only so that --help names it: it is handled above.
  program.add_subcommand("workload", "what runs in a lab's Pods, and its client: causeway workload connect");
  program.set_version_flag("--version", "causeway " CAUSEWAY_VERSION);
  // One sentence: logs and callers show the last line of what a program said.
  program.failure_message([](const CLI::App*, const CLI::Error& error) {
    return fmt::format("error: {}; `causeway --help` and `causeway COMMAND --help` tell more\n", error.what());
  });
  const auto commands = program.get_subcommands([](CLI::App*) { return true; });
  if (argc > 1 && argv[1][0] != '-' &&
      std::ranges::none_of(commands, [&](const CLI::App* app) { return app->get_name() == argv[1]; })) {
    fmt::print(stderr, "error: there is no command \"{}\"; `causeway --help` lists them\n", argv[1]);
    return 1;
  }
  CLI11_PARSE(program, argc, argv);
  if (run_agent->parsed()) return apps::run_agent(std::move(agent));
  if (run_apiserver->parsed()) return apps::run_apiserver(std::move(apiserver));
  if (run_controller->parsed()) return apps::run_controller(std::move(controller));
  if (run_install->parsed()) return apps::run_install_cni(install);
  return run_lab ? run_lab() : 1;
}
