#include <CLI/CLI.hpp>
#include <memory>

#include "apps/lab.h"
#include "cli/pod.h"

namespace causeway::apps {

namespace {

std::shared_ptr<cli::AddressOptions> add_options(CLI::App* app) {
  auto options = std::make_shared<cli::AddressOptions>();
  app->add_option("--lab", options->place.lab, "a lab's nodes instead of this machine");
  app->add_option("--node", options->place.node, "which node of the lab (default: all)");
  app->add_option("--run-dir", options->place.run, "the agent's")->capture_default_str();
  app->add_option_function<std::string>(
         "-o,--output", [options](const std::string& form) { options->json = form == "json"; }, "text or json")
      ->check(CLI::IsMember({"text", "json"}));
  return options;
}

}  // namespace

void add_pod_command(CLI::App& program, std::function<int()>& chosen) {
  CLI::App* pod = program.add_subcommand("pod", "the Pods of a node, as its network has them");
  pod->require_subcommand(1);
  CLI::App* list = pod->add_subcommand("ls", "every attachment; exit 1 where addresses, kernel and API differ");
  auto listed = add_options(list);
  list->callback([&chosen, listed] { chosen = [listed] { return cli::pod_ls(*listed); }; });

  CLI::App* addresses =
      program.add_subcommand("ipam", "every address of a node's ranges: free, whose, cooling, reserved");
  auto explained = add_options(addresses);
  addresses->callback([&chosen, explained] { chosen = [explained] { return cli::ipam(*explained); }; });
}

}  // namespace causeway::apps
