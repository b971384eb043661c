#include <CLI/CLI.hpp>
#include <memory>

#include "apps/lab.h"
#include "cli/policy.h"

namespace causeway::apps {

namespace {

void add_source(CLI::App* app, cli::PolicySource& source) {
  auto* lab = app->add_option("--lab", source.lab, "a lab's cluster");
  auto* kubeconfig = app->add_option("--kubeconfig", source.kubeconfig, "a cluster (default: as kubectl finds one)");
  auto* manifests =
      app->add_option("--manifests", source.manifests,
                      "files and folders with Pods (or workloads), Namespaces and policies instead of a cluster; "
                      "may be repeated")
          ->expected(1)
          ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  lab->excludes(kubeconfig)->excludes(manifests);
  kubeconfig->excludes(manifests);
}

template <class Options>
std::shared_ptr<Options> add(CLI::App* policy, const char* name, const char* help, std::function<int()>& chosen,
                             int (*run)(const Options&), CLI::App*& app) {
  auto options = std::make_shared<Options>();
  app = policy->add_subcommand(name, help);
  add_source(app, options->source);
  app->callback([&chosen, options, run] { chosen = [options, run] { return run(*options); }; });
  return options;
}

}  // namespace

void add_policy_command(CLI::App& program, std::function<int()>& chosen) {
  CLI::App* policy = program.add_subcommand("policy", "what NetworkPolicies say: who reaches whom, and why");
  policy->require_subcommand(1);
  CLI::App* app = nullptr;

  auto explain = add(policy, "explain", "whether a connection is allowed, which rule decides, and which nearly fit",
                     chosen, cli::policy_explain, app);
  app->add_option("from", explain->from, "[NAMESPACE/]POD or an address")->required();
  app->add_option("to", explain->to, "[NAMESPACE/]POD:PORT[/tcp|udp|sctp], POD:NAME-OF-PORT, POD:icmp or ADDRESS:PORT")
      ->required();
  app->add_flag("--probe", explain->probe,
                "send a packet from the Pod and report it (exit status 3) if that is not what the tables say");
  app->add_option("--run-dir", explain->run, "of this machine's agent")->capture_default_str();

  auto matrix = add(policy, "matrix", "who may open what to whom", chosen, cli::policy_matrix, app);
  app->add_option("--by", matrix->by, "pod, namespace or label:KEY")->capture_default_str();
  app->add_option("-n,--namespace", matrix->ns, "only Pods of this namespace");
  app->add_option("--port", matrix->port, "PORT[/PROTOCOL]: only whether this one is open");
  app->add_option("--address", matrix->addresses, "an address beside the Pods; may be repeated")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);

  auto diff = add(policy, "diff", "what a change of policies would open and close", chosen, cli::policy_diff, app);
  app->add_option("-f,--filename", diff->files, "manifests that would be applied; may be repeated")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app->add_option(
         "--delete", diff->remove,
         "[NAMESPACE/]NAME of a NetworkPolicy, or NAME of a ClusterNetworkPolicy, that would be deleted; may be\n"
         "repeated")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);

  auto replay = add(policy, "replay", "which recorded connections a change of policies would cut or open", chosen,
                    cli::policy_replay, app);
  app->add_option("-f,--filename", replay->files, "manifests that would be applied; may be repeated")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app->add_option("--delete", replay->remove,
                  "[NAMESPACE/]NAME of a NetworkPolicy that would be deleted; may be repeated")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app->add_option("--since", replay->since, "how far back: 90s, 10m, 2h; nodes keep 10m unless told otherwise")
      ->capture_default_str();
  app->add_option("--flows", replay->flows,
                  "recorded flows, as `causeway observe -o json` writes them, instead of asking nodes; may be repeated")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app->add_option("--run-dir", replay->run, "of this machine's agent")->capture_default_str();

  auto test = add(policy, "test", "whether policies do what a file of expectations says (docs/policy.md)", chosen,
                  cli::policy_test, app);
  app->add_option("-f,--filename", test->files, "expectations; may be repeated")
      ->required()
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app->add_option("--junit", test->junit, "also write the results there, as JUnit's XML");
}

}  // namespace causeway::apps
