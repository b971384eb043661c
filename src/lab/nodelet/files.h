// The files that a Pod's containers share: /etc/hosts, /etc/hostname, /etc/resolv.conf, as kubelet writes them. Pure.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/ip.h"
#include "kube/api/types.h"

namespace causeway::lab {

// What the Pod calls itself: spec.hostname, or its name cut to the 63 bytes of a DNS label.
std::string hostname_of(const kube::Pod& pod, const std::string& node);
std::string hosts_file(const kube::Pod& pod, const std::string& node_hosts, const std::vector<Ip>& pod_ips,
                       const std::string& node);
std::vector<std::pair<std::string, std::string>> pod_files(const kube::Pod& pod, const std::vector<Ip>& pod_ips,
                                                           const std::string& node, const std::string& node_hosts,
                                                           const std::string& resolv_conf);

}  // namespace causeway::lab
