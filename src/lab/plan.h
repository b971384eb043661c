// What a lab consists of, computed from the user's options and nothing else: namespaces, wires, addresses, routes.
//
//     node-1  node-2      node-3          control (API server, controller)
//         \    /             |               |
//        subnet A         subnet B           |
//              \_____________|______________/
//                          router ---- outside (a host of the world)
//
// Nodes 1 and 2 of every three share a link, the third is a hop away: both ways between nodes occur.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ip.h"

namespace causeway::lab {

struct Spec {
  std::string name = "lab";                // a DNS label of at most 20 bytes
  int nodes = 3;                           // 1..50
  std::string ip_family = "ipv4";          // ipv4 | ipv6 | dual (IPv4 first)
  std::string plane = "bpf";               // bpf | netfilter
  std::string fabric = "auto";             // auto | vxlan | host-gw
  std::string attach = "auto";             // auto | tcx | clsact; of plane bpf
  std::vector<std::string> pod_cidrs;      // one for each family; empty: 10.244.0.0/16 and fd10:244::/56
  std::vector<std::string> service_cidrs;  // empty: 10.96.0.0/16 and fd10:96::/112
  std::vector<std::string> agent_flags;    // further flags of every node's agent ("--proxy-mode=iptables")
  bool dns = true;                         // every node runs `causeway dns`, and Pods are told of it
  int node_mask_v4 = 24;
  int node_mask_v6 = 64;
  bool operator==(const Spec&) const = default;
};

struct Wire {
  std::string space;   // namespace of the end with the address
  std::string device;  // its name there
  std::string port;    // the other end's name, in the router
  std::string bridge;  // the bridge the port is in; empty: the port has the router's address itself
  std::vector<std::pair<Ip, int>> addresses;  // with prefix length
  std::vector<Ip> gateways;                   // default routes, one for each family
};

struct RouterPort {
  std::string device;
  bool bridge = false;
  std::vector<std::pair<Ip, int>> addresses;
};

struct NodePlan {
  std::string name;
  std::vector<Ip> addresses;  // the primary family first
  Wire wire;
};

struct Plan {
  Spec spec;
  std::vector<Cidr> pod_cidrs;  // the primary family first
  std::vector<Cidr> service_cidrs;
  std::vector<RouterPort> router;
  Wire control;
  Wire outside;
  std::vector<NodePlan> nodes;
  std::vector<Ip> control_addresses;  // the API server's, for nodes
  std::vector<Ip> outside_addresses;
  std::vector<Ip> dns_addresses;  // of the Service kube-system/kube-dns, one for each family; empty: no cluster DNS
  uint16_t api_port = 6443;       // on control_addresses
};

// Errors: Invalid, one sentence that names the option and what it should be; Exhausted when the Pod range has fewer
// blocks than there are nodes.
Result<Plan> plan(const Spec& spec);
// One line for each namespace, for people and tests.
std::string render(const Plan& plan);

// The lab's registration file.
std::string encode(const Spec& spec);
Result<Spec> decode_spec(std::string_view text);

}  // namespace causeway::lab
