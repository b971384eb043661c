#include <CLI/CLI.hpp>
#include <memory>

#include "apps/lab.h"
#include "cli/service.h"

namespace causeway::apps {

namespace {

void add_place(CLI::App* app, cli::AgentPlace& place) {
  app->add_option("--lab", place.lab, "a lab's node instead of this machine");
  app->add_option("--node", place.node, "which node of the lab (default: its first)");
  app->add_option("--run-dir", place.run, "the agent's")->capture_default_str();
}

}  // namespace

void add_service_command(CLI::App& program, std::function<int()>& chosen) {
  CLI::App* service = program.add_subcommand("service", "what a node does for Services, and what its kernel holds");
  service->require_subcommand(1);

  auto ls = std::make_shared<cli::AgentPlace>();
  CLI::App* list = service->add_subcommand("ls", "every address and port, with how many endpoints");
  add_place(list, *ls);
  list->callback([&chosen, ls] { chosen = [ls] { return cli::service_ls(*ls); }; });

  struct Show {
    cli::AgentPlace place;
    std::string name;
  };
  auto show = std::make_shared<Show>();
  CLI::App* one = service->add_subcommand("show", "all rows of one Service");
  add_place(one, show->place);
  one->add_option("service", show->name, "[NAMESPACE/]NAME")->required();
  one->callback([&chosen, show] { chosen = [show] { return cli::service_show(show->place, show->name); }; });

  auto asked = std::make_shared<cli::TraceOptions>();
  CLI::App* trace = service->add_subcommand("trace", "what becomes of a packet, and which rows decide it");
  add_place(trace, asked->place);
  trace->add_option("from", asked->from, "an address, a Pod of the node (NAMESPACE/NAME), or node")->required();
  trace->add_option("to", asked->to, "ADDRESS:PORT[/tcp|udp|sctp]")->required();
  trace->callback([&chosen, asked] { chosen = [asked] { return cli::service_trace(*asked); }; });
}

}  // namespace causeway::apps
