#include <CLI/CLI.hpp>
#include <memory>

#include "apps/lab.h"
#include "cli/observe.h"

namespace causeway::apps {

void add_observe_command(CLI::App& program, std::function<int()>& chosen) {
  auto options = std::make_shared<cli::ObserveOptions>();
  CLI::App* app = program.add_subcommand("observe", "flows that policies judged: who, to whom, and which rule decided");
  app->add_option("--lab", options->place.lab, "the nodes of a lab instead of this machine");
  app->add_option("--node", options->place.node, "only this node of the lab");
  app->add_option("--run-dir", options->place.run, "the agent's")->capture_default_str();
  app->add_option("--verdict", options->query.verdict, "only those: allowed, dropped, cut or closed");
  app->add_option("--pod", options->query.pod, "only those with [NAMESPACE/]NAME at either end");
  app->add_option("--since", options->query.since,
                  "how far back: 90s, 10m, 2h; the node keeps 10m unless told otherwise")
      ->capture_default_str();
  app->add_flag("-f,--follow", options->follow, "go on as they come");
  app->add_option("-o,--output", options->output, "json: one object on a line");
  app->callback([&chosen, options] { chosen = [options] { return cli::observe_flows(*options); }; });
}

}  // namespace causeway::apps
