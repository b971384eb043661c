#include <CLI/CLI.hpp>
#include <cstdio>

#include "apps/apiserver.h"

namespace causeway::apps {

namespace {

std::vector<Cidr> parse_ranges(std::string_view text) {
  std::vector<Cidr> ranges;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    auto range = Cidr::parse(text.substr(0, comma));
    if (!range) throw CLI::ValidationError("--service-cluster-ip-range", range.error().message());
    ranges.push_back(*range);
    text = comma == std::string_view::npos ? "" : text.substr(comma + 1);
  }
  if (ranges.size() > 2 || (ranges.size() == 2 && ranges[0].family() == ranges[1].family()))
    throw CLI::ValidationError("--service-cluster-ip-range", "at most one range for each family");
  for (const Cidr& range : ranges)
    if (range.size() < 8)
      throw CLI::ValidationError("--service-cluster-ip-range",
                                 to_string(range) + " is too small: at least 8 addresses");
  return ranges;
}

std::pair<uint16_t, uint16_t> parse_ports(const std::string& text) {
  int first = 0, last = 0;
  char rest = 0;
  if (std::sscanf(text.c_str(), "%d-%d%c", &first, &last, &rest) != 2 || first < 1 || last > 65535 || first > last)
    throw CLI::ValidationError("--service-node-port-range", "\"" + text + "\" is no range such as 30000-32767");
  return {static_cast<uint16_t>(first), static_cast<uint16_t>(last)};
}

}  // namespace

CLI::App* add_apiserver_command(CLI::App& program, ApiserverOptions& options) {
  CLI::App* app = program.add_subcommand("apiserver", "the embedded API server, for one machine without a cluster");
  app->add_option("--data", options.data, "directory of the store, the CA and the tokens")->capture_default_str();
  app->add_option("--listen", options.listen, "ADDRESS:PORT or fd:N; may be repeated (default: 127.0.0.1:6443)");
  app->add_option("--san", options.sans, "one more name or address of the server's certificate; may be repeated");
  app->add_option("--kubeconfig", options.kubeconfigs,
                  "[USER@]FILE=URL: a kubeconfig to write when the server is ready; may be repeated (default: "
                  "admin.kubeconfig in the data directory)");
  app->add_option_function<std::string>(
      "--service-cluster-ip-range",
      [&options](const std::string& text) { options.service_ranges = parse_ranges(text); },
      "addresses of Services, one CIDR for each family (default: 10.96.0.0/16)");
  app->add_option_function<std::string>(
      "--service-node-port-range", [&options](const std::string& text) { options.node_ports = parse_ports(text); },
      "FIRST-LAST: node ports of Services (default: 30000-32767)");
  app->add_flag("--verbose", options.verbose, "log more");
  return app;
}

}  // namespace causeway::apps
