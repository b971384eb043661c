#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>
#include <memory>

#include "apps/lab.h"
#include "cli/lab.h"
#include "lab/keeper.h"
#include "lab/nodelet/nodelet.h"
#include "lab/state.h"

namespace causeway::apps {

namespace {

using Chosen = std::function<int()>;

void add_name(CLI::App* app, std::string& name) { app->add_option("--name", name, "which lab")->capture_default_str(); }

void add_spec(CLI::App* app, lab::Spec& spec) {
  add_name(app, spec.name);
  app->add_option("--nodes", spec.nodes, "how many nodes, 1 to 50; every third is on the second subnet")
      ->capture_default_str();
  app->add_option("--ip-family", spec.ip_family, "ipv4, ipv6 or dual")->capture_default_str();
  app->add_option("--plane", spec.plane, "what carries packets: bpf or netfilter")->capture_default_str();
  app->add_option("--fabric", spec.fabric, "node to node: auto, vxlan or host-gw")->capture_default_str();
  app->add_option("--attach", spec.attach, "how plane bpf attaches programs: auto, tcx or clsact")
      ->capture_default_str();
  app->add_option("--agent-flag", spec.agent_flags,
                  "a further flag of every node's agent, as in --agent-flag=--proxy-mode=iptables; may be repeated");
  app->add_option("--pod-cidr", spec.pod_cidrs,
                  "addresses of Pods, one range for each family (default: 10.244.0.0/16, fd10:244::/56)")
      ->delimiter(',');
  app->add_option("--service-cidr", spec.service_cidrs,
                  "addresses of Services, one range for each family (default: 10.96.0.0/16, fd10:96::/112)")
      ->delimiter(',');
  app->add_flag("--dns,!--no-dns", spec.dns, "cluster DNS: `causeway dns` on every node, in every Pod's resolv.conf")
      ->default_str("on");
  app->add_option("--node-cidr-mask-size-ipv4", spec.node_mask_v4, "prefix length of a node's IPv4 Pod range")
      ->capture_default_str();
  app->add_option("--node-cidr-mask-size-ipv6", spec.node_mask_v6, "prefix length of a node's IPv6 Pod range")
      ->capture_default_str();
}

// A command with options of its own, which live as long as the parser.
template <class Options>
CLI::App* command(CLI::App* lab, const char* name, const char* help, Chosen& chosen,
                  std::function<void(CLI::App*, Options&)> flags, std::function<int(const Options&)> run) {
  auto options = std::make_shared<Options>();
  CLI::App* app = lab->add_subcommand(name, help);
  flags(app, *options);
  app->callback([&chosen, options, run = std::move(run)] { chosen = [options, run] { return run(*options); }; });
  return app;
}

struct Named {
  std::string name = "lab";
  bool flag = false;
  int report = -1;
  std::vector<std::string> paths;
};

void add_hidden(CLI::App* lab, Chosen& chosen) {
  command<Named>(
      lab, "keeper", "", chosen,
      [](CLI::App* app, Named& options) {
        add_name(app, options.name);
        app->add_option("--report", options.report);
      },
      [](const Named& options) { return lab::run_keeper(options.name, options.report); })
      ->group("");
  command<lab::NodeletOptions>(
      lab, "node", "", chosen,
      [](CLI::App* app, lab::NodeletOptions& options) {
        app->add_option("--node", options.node)->required();
        app->add_option("--address", options.addresses)->required();
        app->add_option("--plane", options.plane);
        app->add_option("--fabric", options.fabric);
        app->add_option("--attach", options.attach);
        app->add_option("--cluster-cidr", options.cluster_cidr);
        app->add_option("--agent-flag", options.agent_flags);
        app->add_option("--cluster-dns", options.cluster_dns);
      },
      [](const lab::NodeletOptions& options) { return lab::run_nodelet(options); })
      ->group("");
}

}  // namespace

CLI::App* add_lab_command(CLI::App& program, std::function<int()>& chosen) {
  CLI::App* lab =
      program.add_subcommand("lab", "clusters on this machine: nodes and Pods as namespaces, no other software needed");
  lab->require_subcommand(1);
  command<lab::Spec>(lab, "up", "make a lab, or repair one whose keeper has ended", chosen, add_spec, cli::lab_up);
  command<Named>(
      lab, "down", "end a lab; nothing of it stays", chosen,
      [](CLI::App* app, Named& options) {
        add_name(app, options.name);
        app->add_flag("--all", options.flag, "every lab of this machine");
      },
      [](const Named& options) { return cli::lab_down(options.name, options.flag); });
  command<Named>(
      lab, "ls", "list the labs", chosen, [](CLI::App*, Named&) {}, [](const Named&) { return cli::lab_ls(); });
  command<Named>(
      lab, "status", "how a lab is: its processes, nodes and Pods", chosen,
      [](CLI::App* app, Named& options) { add_name(app, options.name); },
      [](const Named& options) { return cli::lab_status(options.name); });
  command<Named>(
      lab, "apply", "create or change the objects of manifests", chosen,
      [](CLI::App* app, Named& options) {
        add_name(app, options.name);
        app->add_option("-f,--filename", options.paths, "a file, a folder, or - for standard input")->required();
      },
      [](const Named& options) { return cli::lab_apply(options.name, options.paths); });
  command<Named>(
      lab, "kubeconfig", "print the kubeconfig of a lab", chosen,
      [](CLI::App* app, Named& options) {
        add_name(app, options.name);
        app->add_flag("--path", options.flag, "its path instead of its content");
      },
      [](const Named& options) { return cli::lab_kubeconfig(options.name, options.flag); });
  command<cli::LoadOptions>(
      lab, "load", "load images from OCI or docker archives (docker save, buildah, skopeo)", chosen,
      [](CLI::App* app, cli::LoadOptions& options) {
        options.lab = "lab";
        add_name(app, options.lab);
        app->add_option("--as", options.as, "the image's name, over what its archive says");
        app->add_flag("--list", options.list, "say which images are loaded");
        app->add_option("file", options.archives, "archives (none: as --list)");
      },
      cli::lab_load);
  command<cli::ExecOptions>(
      lab, "exec", "run a program in a node, a Pod, or the outside host", chosen,
      [](CLI::App* app, cli::ExecOptions& options) {
        options.lab = "lab";
        add_name(app, options.lab);
        app->add_option("-c,--container", options.container, "of the Pod (default: its first)");
        app->add_option("target", options.target, "node-1, outside, router, control, or [NAMESPACE/]POD")->required();
        app->add_option("command", options.command, "the program and its arguments, after -- (default: a shell)");
      },
      cli::lab_exec);
  command<cli::LogOptions>(
      lab, "logs", "show a log", chosen,
      [](CLI::App* app, cli::LogOptions& options) {
        options.lab = "lab";
        add_name(app, options.lab);
        app->add_option("-c,--container", options.container, "of the Pod");
        app->add_flag("-f,--follow", options.follow, "go on as it grows");
        app->add_flag("-p,--previous", options.previous, "of the run before");
        app->add_option("--tail", options.tail, "only so many lines from the end")->check(CLI::NonNegativeNumber);
        app->add_option("target", options.target, "[NAMESPACE/]POD, or keeper, apiserver, controller, node-1")
            ->required();
      },
      cli::lab_logs);
  command<cli::DemoOptions>(
      lab, "demo", "three nodes, the examples on them, and every promise of the Pod network checked", chosen,
      [](CLI::App* app, cli::DemoOptions& options) {
        options.spec.name = "demo";
        add_spec(app, options.spec);
        app->add_option("--examples", options.examples, "folder with seeds/ and shop/");
        app->add_flag("--down", options.down, "end the lab after the checks");
      },
      cli::lab_demo);
  add_hidden(lab, chosen);
  return lab;
}

int run_workload(char** argv) {
  auto folder = lab::program_folder();
  const std::string program = folder ? *folder + "/causeway-workload" : "causeway-workload";
  argv[0] = const_cast<char*>(program.c_str());
  ::execv(program.c_str(), argv);
  std::fprintf(stderr, "error: %s: %s\n", program.c_str(), std::strerror(errno));
  return 127;
}

}  // namespace causeway::apps
