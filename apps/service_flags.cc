#include "apps/flags.h"
#include "service/proxy/config.h"

namespace causeway::apps {

namespace {

// "primary", "all", or prefixes; "primary" may stand among them.
Status parse_node_port_addresses(std::string_view text, service::Options& options) {
  options.node_ports_on_primary = false;
  options.node_port_addresses.clear();
  if (text == "all") return ok();
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    text = comma == text.npos ? "" : text.substr(comma + 1);
    if (part == "primary")
      options.node_ports_on_primary = true;
    else
      options.node_port_addresses.push_back(TRY(Cidr::parse(part)));
  }
  if (!options.node_ports_on_primary && options.node_port_addresses.empty())
    return fail(Errc::Invalid, "no address is named; \"all\" is every one");
  return ok();
}

}  // namespace

Result<std::vector<Cidr>> parse_cidrs(std::string_view text) {
  std::vector<Cidr> cidrs;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    cidrs.push_back(TRY(Cidr::parse(text.substr(0, comma))));
    text = comma == text.npos ? "" : text.substr(comma + 1);
  }
  return cidrs;
}

void add_service_flags(CLI::App& app, AgentOptions& options) {
  service::Options& service = options.service;
  app.add_flag("--services,!--no-services", options.services,
               "balance Services: no other kube-proxy is needed, nor wanted (default: yes)");
  app.add_option_function<std::string>(
         "--node-port-addresses",
         [&service](const std::string& text) {
           if (auto parsed = parse_node_port_addresses(text, service); !parsed)
             throw CLI::ValidationError("--node-port-addresses", parsed.error().message());
         },
         "where node ports are served: primary (the node's first address of each family), all, or CIDRs")
      ->default_str("primary");
  app.add_flag("--localhost-node-ports,!--no-localhost-node-ports", service.node_ports_on_localhost,
               "node ports also at 127.0.0.1 and ::1 of the node itself, where the plane can (default: yes)");
  app.add_flag("--external-ips,!--no-external-ips", service.external_ips,
               "serve spec.externalIPs of Services (default: yes)");
  app.add_option("--service-proxy-name", service.proxy_name,
                 "only Services with this label service.kubernetes.io/service-proxy-name (default: those without it)");
  parsed(&app, "--service-cluster-ip-range", service.service_cidrs, parse_cidrs,
         "ranges of Service addresses beside those of ServiceCIDR objects: an address that no Service has is dropped");
  app.add_flag("--masquerade-all,!--no-masquerade-all", service.masquerade_all,
               "endpoints see the node's address even from Pods (default: no)");
  const auto address = [](const std::string& text) {
    auto parsed = service::proxy::parse_bind_address(text, 0);
    return text.empty() || parsed ? std::string() : parsed.error().message();
  };
  app.add_option(
         "--healthz-bind-address", options.healthz_address,
         "address of kube-proxy's /healthz and /livez, of both families where it is 0.0.0.0 or [::]; empty is off")
      ->capture_default_str()
      ->check(address);
  app.add_option("--metrics-bind-address", options.metrics_address,
                 "address of kube-proxy's /metrics, /proxyMode and /configz; empty is off")
      ->capture_default_str()
      ->check(address);
  app.add_option("--kube-proxy-config", options.kube_proxy_config,
                 "a KubeProxyConfiguration: what it names is taken in place of flags (docs/kube-proxy.md)");
  app.add_option("--proxy-mode", options.proxy_mode, "how plane netfilter balances: nftables, iptables or ipvs")
      ->capture_default_str()
      ->check(CLI::IsMember({"nftables", "iptables", "ipvs"}));
  app.add_option("--ipvs-scheduler", options.ipvs_scheduler, "of --proxy-mode ipvs, where a Service names none")
      ->capture_default_str();
  app.add_option(
      "--cgroup", options.cgroup,
      "plane bpf: a folder of a cgroup2 mount, whose processes' sockets are served (default: the root of the "
      "hierarchy)");
  app.add_flag("--socket-hooks,!--no-socket-hooks", options.socket_hooks,
               "plane bpf: choose the endpoint at connect(); else for every packet (default: yes)");
}

}  // namespace causeway::apps
