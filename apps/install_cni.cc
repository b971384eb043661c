#include "apps/install_cni.h"

#include <CLI/CLI.hpp>

#include "apps/environment.h"
#include "apps/program.h"
#include "base/log.h"
#include "pod/cni_folder.h"

namespace causeway::apps {

CLI::App* add_install_cni_command(CLI::App& program, InstallCniOptions& options) {
  CLI::App* app = program.add_subcommand("install-cni", "puts the CNI plugin where the container runtime looks");
  app->add_option("--run-dir", options.run, "the agent's --run-dir")->capture_default_str();
  app->add_option("--cni-config-dir", options.cni_config, "where the runtime looks for networks")
      ->capture_default_str();
  app->add_option("--cni-bin-dir", options.cni_bin, "where the runtime looks for plugins")->capture_default_str();
  app->add_option("--cni-plugin", options.plugin, "the causeway-cni to install (default: the one beside this program)");
  take_environment(*app);
  return app;
}

int run_install_cni(const InstallCniOptions& options) {
  log::set_name("install-cni");
  const auto run = [&]() -> Status {
    const pod::CniPlaces places{
        .plugin = options.plugin.empty() ? TRY(beside_this_program("causeway-cni")) : options.plugin,
        .bin_folder = options.cni_bin,
        .config_folder = options.cni_config,
        .socket = options.run + "/agent.sock",
        .announced = options.run + "/announced"};
    if (TRY(pod::remove_stale_conflist(places)))
      log::info("removed {}/{}, which an earlier boot left", places.config_folder, pod::kConflistName);
    return pod::install_plugin(places);
  };
  if (auto done = run(); !done) {
    log::error("cannot install the CNI plugin: {}", done.error().message());
    return 1;
  }
  log::info("{}/{} is in place", options.cni_bin, pod::kPluginName);
  return 0;
}

}  // namespace causeway::apps
