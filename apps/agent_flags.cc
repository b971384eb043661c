#include <CLI/CLI.hpp>

#include "apps/agent.h"
#include "apps/environment.h"
#include "apps/flags.h"
#include "dns/local.h"
#include "observe/flow.h"

namespace causeway::apps {

namespace {

Result<std::vector<Cidr>> parse_cluster_cidrs(std::string_view text) {
  auto cidrs = TRY(parse_cidrs(text));
  if (cidrs.size() > 2 || (cidrs.size() == 2 && cidrs[0].family() == cidrs[1].family()))
    return fail(Errc::Invalid, "\"{}\": at most one CIDR for each family", text);
  return cidrs;
}

Result<std::vector<Ip>> parse_cluster_dns(std::string_view text) {
  std::vector<Ip> out;
  while (!text.empty()) {
    const std::string_view one = text.substr(0, text.find(','));
    out.push_back(TRY(Ip::parse(one)));
    text.remove_prefix(std::min(text.size(), one.size() + 1));
  }
  TRY(dns::cluster_dns_addresses(out));
  return out;
}

Result<datapath::PortRange> parse_ports(std::string_view text) {
  unsigned first = 0, last = 0;
  if (std::sscanf(std::string(text).c_str(), "%u-%u", &first, &last) != 2 || first == 0 || first > last ||
      last > UINT16_MAX)
    return fail(Errc::Invalid, "\"{}\" is no port range such as 30000-32767", text);
  return datapath::PortRange{static_cast<uint16_t>(first), static_cast<uint16_t>(last)};
}

}  // namespace

CLI::App* add_agent_command(CLI::App& program, AgentOptions& options) {
  CLI::App* app = program.add_subcommand("agent", "the network of one node: Pods, routes, programs in the kernel");
  app->add_option("--node", options.node, "name of this node's Node object (default: the host name)");
  app->add_option("--kubeconfig", options.kubeconfig,
                  "how to reach the API server (default: $KUBECONFIG, the Pod's service account, ~/.kube/config)");
  parsed(app, "--plane", options.plane, fabric::parse_plane,
         "what carries packets: bpf (programs), or netfilter (the kernel's routing and nftables, beside kube-proxy)")
      ->default_str("bpf");
  parsed(app, "--fabric", options.fabric, fabric::parse_mode,
         "node to node: vxlan, host-gw, or auto: host-gw where nodes share a link, else vxlan")
      ->default_str("auto");
  parsed(app, "--attach", options.attach, datapath::parse_attach,
         "how programs are attached: tcx (kernel 6.6), clsact, or auto")
      ->default_str("auto");
  parsed(app, "--cluster-cidr", options.cluster_cidrs, parse_cluster_cidrs,
         "addresses of all Pods, one CIDR for each family; never masqueraded");
  parsed(app, "--non-masquerade-cidrs", options.non_masquerade_cidrs, parse_cidrs,
         "destinations outside of the cluster that see the Pods' own addresses");
  app->add_flag("--masquerade,!--no-masquerade", options.masquerade,
                "Pods leave the cluster with the node's address (default: yes)");
  parsed(app, "--node-port-range", options.node_ports, parse_ports,
         "ports of the nodes that Services may have; masquerade keeps them free")
      ->default_str("30000-32767");
  add_service_flags(*app, options);
  app->add_flag("--network-policy,!--no-network-policy", options.policy,
                "enforce NetworkPolicies and ClusterNetworkPolicies; off where something else does (default: yes)");
  app->add_flag("--dns,!--no-dns", options.dns,
                "tell the names of the cluster to a `causeway dns` of this node, at dns.sock in the run folder");
  app->add_flag(
      "--dns-pods,!--no-dns-pods", options.dns_pods,
      "and which Pod has which address (pods verified, endpoint_pod_names): every Pod of the cluster is watched");
  parsed(app, "--cluster-dns", options.cluster_dns, parse_cluster_dns,
         "addresses of the DNS Service, one for each family: answered by the `causeway dns` of this node while it can "
         "(needs --dns)");
  app->add_option("--uplink", options.uplink,
                  "device to the other nodes (default: the one that has the Node's address)");
  app->add_option("--vxlan-port", options.vxlan_port, "UDP port, the same on all nodes")->capture_default_str();
  app->add_option("--vni", options.vni, "VXLAN network identifier, the same on all nodes")->capture_default_str();
  app->add_option("--conntrack-entries", options.conntrack_entries, "rows of connection tracking, two for each flow")
      ->capture_default_str()
      ->check(CLI::Range(1024u, 16u << 20));
  app->add_option("--observe", options.observe, "address of /metrics, /healthz and /readyz; empty is off")
      ->capture_default_str();
  parsed(app, "--flow-age", options.flow_age, observe::parse_age,
         "how long the node keeps the flows that policies judged: 90s, 10m, 2h")
      ->default_str("10m");
  app->add_option("--flow-size", options.flow_mebibytes, "how much of them, in MiB, under the run folder")
      ->capture_default_str()
      ->check(CLI::Range(1u, 4096u));
  app->add_option("--run-dir", options.run, "sockets, address journal, snapshot; on tmpfs")->capture_default_str();
  app->add_option("--pin-dir", options.pins, "maps and programs that outlive the agent; on bpffs")
      ->capture_default_str();
  app->add_option("--cni-config-dir", options.cni_config, "where the runtime looks for networks")
      ->capture_default_str();
  app->add_option("--cni-bin-dir", options.cni_bin, "where the runtime looks for plugins")->capture_default_str();
  app->add_option("--cni-plugin", options.plugin, "the causeway-cni to install (default: the one beside this program)");
  app->add_flag("-v,--verbose", options.verbose, "log more");
  take_environment(*app);
  return app;
}

}  // namespace causeway::apps
