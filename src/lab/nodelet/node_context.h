// What all Pods of a node share. Borrowed by everything that runs one of them.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "kube/client/cache.h"
#include "kube/client/client.h"
#include "kube/client/events.h"
#include "lab/nodelet/cni.h"

namespace causeway::lab {

struct NodeContext {
  Loop& loop;
  Children& children;
  kube::Client& api;
  kube::EventRecorder& events;
  CniRuntime& cni;
  std::string node;
  std::vector<Ip> host_ips;
  std::string node_hosts;       // the node's /etc/hosts
  std::vector<Ip> cluster_dns;  // as kubelet's clusterDNS: the primary family's (kubeadm); empty: there is none
  std::vector<std::string> submounts;
  // Why this node cannot take the Pod beside those that it has; "": it can.
  std::function<std::string(const kube::Pod&)> port_conflict;
  int64_t milli_cpu = 0;  // of the machine
  int64_t memory = 0;     // bytes
  // Services of the cluster, for the variables that tell of them; null: none are told.
  const kube::Cache<kube::Service>* services = nullptr;
  std::optional<CniNetwork> network;  // absent until the agent has put it in place
};

}  // namespace causeway::lab
