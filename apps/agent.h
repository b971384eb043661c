// `causeway agent`: the network of one node.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "async/loop.h"
#include "base/ip.h"
#include "datapath/features.h"
#include "fabric/options.h"
#include "service/options.h"

namespace CLI {
class App;
}

namespace causeway::apps {

struct AgentOptions {
  std::string node;        // name of our Node object; "" is the host name
  std::string kubeconfig;  // "": $KUBECONFIG, the Pod's service account, ~/.kube/config
  std::string uplink;      // "": the device that has the Node's address
  fabric::Plane plane = fabric::Plane::Bpf;
  fabric::Mode fabric = fabric::Mode::Auto;
  datapath::Attach attach = datapath::Attach::Auto;
  std::vector<Cidr> cluster_cidrs;
  std::vector<Ip> api_servers;  // by the kubeconfig
  std::vector<Cidr> non_masquerade_cidrs;
  bool masquerade = true;
  datapath::PortRange node_ports{30000, 32767};
  bool services = true;         // Services are balanced by this agent: off beside kube-proxy
  bool policy = true;           // NetworkPolicies are enforced by this agent
  bool dns = false;             // a `causeway dns` of this node is told the names of the cluster, at RUN/dns.sock
  std::vector<Ip> cluster_dns;  // addresses of the DNS Service: answered by that process while it can; none: off
  bool dns_pods = false;        // and who has which address: every Pod is watched, and what endpoints' Pods are called
  service::Options service;
  std::string proxy_mode = "nftables";  // of plane netfilter: nftables, iptables or ipvs
  std::string ipvs_scheduler = "rr";
  std::string cgroup;        // plane bpf: whose sockets are served; "" is the root of the v2 hierarchy
  bool socket_hooks = true;  // plane bpf: translate at connect(); else every packet
  // What load balancers and monitoring ask of a kube-proxy; ADDRESS:PORT, "" is off.
  std::string healthz_address = "0.0.0.0:10256";
  std::string metrics_address = "127.0.0.1:10249";
  std::string kube_proxy_config;     // a KubeProxyConfiguration to take over; "": none
  Duration proxy_sync_period = 30s;  // a change of Services that waits for twice as long makes /healthz fail
  bool proxy_bind_hard = false;      // no start without these two servers
  uint16_t vxlan_port = 4789;
  uint32_t vni = 1;
  uint32_t conntrack_entries = 32768;
  std::string observe = "127.0.0.1:9470";  // "" is off
  Duration flow_age = 10min;               // of flows that the node keeps in its log ...
  uint32_t flow_mebibytes = 16;            // ... and how much of them
  bool verbose = false;

  // Where things are; production's, the same in a lab, which gives each node mounts of its own.
  std::string run = "/run/causeway";  // sockets, IPAM journal, snapshot; tmpfs
  std::string pins = "/sys/fs/bpf/causeway";
  std::string cni_config = "/etc/cni/net.d";
  std::string cni_bin = "/opt/cni/bin";
  std::string plugin;  // causeway-cni to install; "" is the one beside this program
};

// Adds `agent` with its flags; parsing it fills `options`. Returns the subcommand.
CLI::App* add_agent_command(CLI::App& program, AgentOptions& options);
// Runs until SIGTERM or SIGINT; the exit status. What it set up in the kernel stays and works on.
int run_agent(AgentOptions options);

}  // namespace causeway::apps
