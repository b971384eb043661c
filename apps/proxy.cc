#include "apps/proxy.h"

#include <algorithm>

#include "apps/plane.h"
#include "base/log.h"
#include "kernel/netns/netns.h"
#include "service/proxy/config.h"

namespace causeway::apps {

namespace {

using service::proxy::Mode;

Mode mode_of(const AgentOptions& options) {
  if (options.plane == fabric::Plane::Bpf) return Mode::Bpf;
  if (options.proxy_mode == "iptables") return Mode::Iptables;
  return options.proxy_mode == "ipvs" ? Mode::Ipvs : Mode::Nftables;
}

std::string list(const std::vector<Cidr>& cidrs) {
  std::string out;
  for (const Cidr& cidr : cidrs) out += fmt::format("{}\"{}\"", out.empty() ? "" : ",", cidr);
  return out;
}

// What is in force, in the words of kube-proxy's own configuration.
std::string configuration(const AgentOptions& options) {
  const service::Options& service = options.service;
  std::string where = list(service.node_port_addresses);
  if (service.node_ports_on_primary) where = "\"primary\"" + (where.empty() ? "" : "," + where);
  return fmt::format(
      "{{\"kubeproxy.config.k8s.io\":{{\"mode\":\"{}\",\"healthzBindAddress\":\"{}\",\"metricsBindAddress\":\"{}\","
      "\"clusterCIDR\":[{}],\"nodePortAddresses\":[{}],\"localhostNodePorts\":{},\"masqueradeAll\":{},"
      "\"externalIPs\":{},\"serviceProxyName\":\"{}\",\"ipvsScheduler\":\"{}\"}}}}\n",
      to_string(mode_of(options)), options.healthz_address, options.metrics_address, list(options.cluster_cidrs), where,
      service.node_ports_on_localhost, service.masquerade_all, service.external_ips, service.proxy_name,
      options.ipvs_scheduler);
}

// The flags that decide what becomes of Services, whoever set them: the command line, the environment, a configuration.
std::string flags(const AgentOptions& options) {
  const service::Options& service = options.service;
  const std::map<std::string, std::string> all{
      {"cluster-cidr", fmt::format("[{}]", list(options.cluster_cidrs))},
      {"external-ips", fmt::format("{}", service.external_ips)},
      {"healthz-bind-address", options.healthz_address},
      {"ipvs-scheduler", options.ipvs_scheduler},
      {"kube-proxy-config", options.kube_proxy_config},
      {"kubeconfig", options.kubeconfig},
      {"localhost-node-ports", fmt::format("{}", service.node_ports_on_localhost)},
      {"masquerade-all", fmt::format("{}", service.masquerade_all)},
      {"metrics-bind-address", options.metrics_address},
      {"node", options.node},
      {"node-port-addresses",
       fmt::format("[{}{}]", service.node_ports_on_primary ? "\"primary\"" : "", list(service.node_port_addresses))},
      {"node-port-range", fmt::format("{}-{}", service.node_port_first, service.node_port_last)},
      {"plane", options.plane == fabric::Plane::Bpf ? "bpf" : "netfilter"},
      {"proxy-mode", options.proxy_mode},
      {"service-proxy-name", service.proxy_name}};
  std::string out;
  for (const auto& [name, value] : all) out += fmt::format("{}={}\n", name, value);
  return out;
}

template <class T>
void take(T& into, const std::optional<T>& value) {
  if (value) into = *value;
}

}  // namespace

Status take_kube_proxy_config(AgentOptions& options) {
  if (options.kube_proxy_config.empty()) return ok();
  auto config = TRY(service::proxy::load_config(options.kube_proxy_config));
  if (config.cluster_cidrs.size() > 2 ||
      (config.cluster_cidrs.size() == 2 && config.cluster_cidrs[0].family() == config.cluster_cidrs[1].family()))
    return fail(Errc::Invalid, "kube-proxy configuration {}: clusterCIDR: at most one CIDR for each family",
                options.kube_proxy_config);
  take(options.kubeconfig, config.kubeconfig);
  take(options.node, config.node);
  take(options.ipvs_scheduler, config.scheduler);
  take(options.service.masquerade_all, config.masquerade_all);
  take(options.service.node_ports_on_localhost, config.localhost_node_ports);
  take(options.service.external_ips, config.external_ips);
  take(options.proxy_sync_period, config.sync_period);
  options.proxy_bind_hard = config.bind_hard;
  if (config.health) options.healthz_address = to_string(*config.health);
  if (config.metrics) options.metrics_address = to_string(*config.metrics);
  if (!config.cluster_cidrs.empty()) options.cluster_cidrs = config.cluster_cidrs;
  if (config.node_ports_on_primary) {
    options.service.node_ports_on_primary = *config.node_ports_on_primary;
    options.service.node_port_addresses = config.node_port_addresses;
  }
  const bool netfilter = options.plane == fabric::Plane::Netfilter;
  if (config.mode) {
    if (netfilter)
      options.proxy_mode = *config.mode;
    else
      config.ignored.push_back("mode: plane bpf balances by itself; --plane netfilter has " + *config.mode);
  }
  for (const auto& [name, value] : config.sysctls) {
    if (!netfilter) {
      config.ignored.push_back(name + ": flows of plane bpf are not in the kernel's conntrack");
      continue;
    }
    // As kube-proxy: a value that cannot be set here (a namespace that is no host) is no reason not to run.
    if (auto set = netns::write_sysctl(name.substr(std::string_view("net/").size()), value); !set)
      log::warning("{}", set.error().message());
  }
  for (const std::string& line : config.ignored) log::info("{}: ignored: {}", options.kube_proxy_config, line);
  return ok();
}

std::unique_ptr<service::proxy::Face> make_proxy_face(Loop& loop, service::Applier& applier,
                                                      const cluster::Model& model, kube::EventRecorder& events,
                                                      const AgentOptions& options,
                                                      std::function<std::string()> exposition) {
  // Their form was checked when the flags were read.
  auto address = [](const std::string& text) -> std::optional<Endpoint> {
    auto parsed = service::proxy::parse_bind_address(text, 0);
    return parsed ? std::optional(*parsed) : std::nullopt;
  };
  return std::make_unique<service::proxy::Face>(loop, applier, model, events,
                                                service::proxy::FaceOptions{.mode = mode_of(options),
                                                                            .services = service_options(options),
                                                                            .patience = 2 * options.proxy_sync_period,
                                                                            .health = address(options.healthz_address),
                                                                            .metrics = address(options.metrics_address),
                                                                            .exposition = std::move(exposition),
                                                                            .configuration = configuration(options),
                                                                            .flags = flags(options),
                                                                            .version = CAUSEWAY_VERSION});
}

}  // namespace causeway::apps
