// A Pod's /etc/resolv.conf by dnsPolicy and dnsConfig, as kubelet 1.36 makes it. Pure.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/ip.h"
#include "kube/api/types.h"

namespace causeway::lab {

inline constexpr const char* kClusterDomain = "cluster.local";

struct Resolver {
  std::vector<std::string> nameservers;
  std::vector<std::string> searches;
  std::vector<std::string> options;                         // "ndots:5"
  std::vector<std::pair<std::string, std::string>> events;  // reason and message of what could not be as it was asked

  std::string file() const;
};

// Reads resolv.conf(5): of several `search` lines the last counts; a domain loses its final dot.
Resolver parse_resolver(const std::string& file);

// `node_file`: the node's own resolv.conf. `cluster_dns`: kubelet's clusterDNS. Kept are 3 nameservers, and 32 search
// domains with 2048 characters in all, as validation of dnsConfig has it (KEP-2595).
Resolver compile_resolver(const kube::Pod& pod, const std::string& node_file, const std::vector<Ip>& cluster_dns);

}  // namespace causeway::lab
