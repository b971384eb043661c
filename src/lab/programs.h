// The command lines of what a lab starts: the same programs with the same flags as anywhere else.
#pragma once

#include <string>
#include <vector>

#include "lab/plan.h"
#include "lab/state.h"

namespace causeway::lab {

// The numbers under which `causeway apiserver` finds its listening sockets.
inline constexpr int kHostListener = 3;
inline constexpr int kFirstControlListener = 4;

std::vector<std::string> apiserver_argv(const std::string& programs, const Paths& paths, const Plan& plan,
                                        uint16_t host_port);
std::vector<std::string> controller_argv(const std::string& programs, const Paths& paths, const Plan& plan);
// What differs from agent to agent, in the words of its flags.
struct AgentArguments {
  std::string node, plane, fabric, attach, cluster_cidr;
  std::vector<Ip> cluster_dns;     // the node's DNS is told names, and answers there; empty: there is none
  std::vector<std::string> flags;  // the user's
};
// `causeway dns` of a node, which answers at its own addresses, at the Service's, and at the one that node-local DNS
// has everywhere, as soon as the node has them.
std::vector<std::string> dns_argv(const std::vector<Ip>& node_addresses, const std::vector<Ip>& service_addresses);
// Of the outside host: the world's names.
std::vector<std::string> outside_dns_argv(const std::string& programs, const Paths& paths, const Plan& plan);
// Paths as a node sees them.
std::vector<std::string> agent_argv(const AgentArguments& arguments);
std::string cluster_cidr(const Plan& plan);  // comma-separated

// What every process of the lab has in its environment; proxies of the user's shell are not for it.
std::vector<std::string> clean_environment();

}  // namespace causeway::lab
