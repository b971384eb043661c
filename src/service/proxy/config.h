// kube-proxy's configuration file (KubeProxyConfiguration, kubeproxy.config.k8s.io/v1alpha1): who comes from kube-proxy
// brings it along. What means something here is honoured, what means nothing is named, and what cannot be honoured
// is refused by the field's name.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "async/loop.h"
#include "base/ip.h"

namespace causeway::service::proxy {

// Absent: the file says nothing of it.
struct Config {
  std::optional<std::string> kubeconfig, node, mode;  // mode: iptables, ipvs, nftables
  std::optional<Endpoint> health, metrics;
  bool bind_hard = false;  // bindAddressHardFail: no start without the two servers
  std::optional<bool> masquerade_all, localhost_node_ports, external_ips;
  std::optional<std::string> scheduler;  // ipvs
  std::vector<Cidr> cluster_cidrs;
  std::optional<bool> node_ports_on_primary;  // nodePortAddresses: false with an empty list is every address
  std::vector<Cidr> node_port_addresses;
  std::optional<Duration> sync_period;  // a change that waits for twice as long is unhealthy
  // Plane netfilter: files below /proc/sys and what they shall hold ("net/netfilter/nf_conntrack_max").
  std::map<std::string, std::string> sysctls;
  std::vector<std::string> ignored;  // "ipvs.tcpTimeout: why"
};

// `cores`: of this machine, for conntrack.maxPerCore. Errors: Invalid, Unsupported; they name the field.
Result<Config> parse_config(const std::string& text, unsigned cores);
Result<Config> load_config(const std::string& path);

// "30s", "1h0m0s" as Go writes durations.
Result<Duration> parse_go_duration(std::string_view text);
// ADDRESS:PORT, [ADDRESS]:PORT; ADDRESS alone where `port` is not 0.
Result<Endpoint> parse_bind_address(std::string_view text, uint16_t port);

}  // namespace causeway::service::proxy
