// `causeway`: one program, one subcommand for each role. Here is only which there are.
#include <CLI/CLI.hpp>

#include "apps/agent.h"
#include "apps/apiserver.h"

using namespace causeway;

int main(int argc, char** argv) {
  CLI::App program("Causeway: the network of a Kubernetes cluster", "causeway");
  program.require_subcommand(1);
  apps::AgentOptions agent;
  apps::ApiserverOptions apiserver;
  CLI::App* run_agent = apps::add_agent_command(program, agent);
  CLI::App* run_apiserver = apps::add_apiserver_command(program, apiserver);
  CLI11_PARSE(program, argc, argv);
  if (run_agent->parsed()) return apps::run_agent(std::move(agent));
  if (run_apiserver->parsed()) return apps::run_apiserver(std::move(apiserver));
  return 1;
}
