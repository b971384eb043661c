// The NetworkPolicy API read sentence by sentence, object by object, for the tests: slow, and without anything of ours
// but the typed objects and prefixes. Whatever is compiled has to agree with it.
#pragma once

#include <optional>
#include <vector>

#include "base/ip.h"
#include "kube/api/types.h"

namespace causeway::policy::oracle {

struct Cluster {
  std::vector<kube::Namespace> namespaces;
  std::vector<kube::Pod> pods;
  std::vector<kube::NetworkPolicy> policies;
};

inline bool selects(const kube::LabelSelector& selector, const kube::StringMap& labels) {
  for (const auto& [key, value] : selector.match_labels) {
    auto label = labels.find(key);
    if (label == labels.end() || label->second != value) return false;
  }
  for (const auto& expression : selector.match_expressions) {
    auto label = labels.find(expression.key);
    bool listed = false;
    if (label != labels.end())
      for (const auto& value : expression.values) listed |= value == label->second;
    if (expression.op == "In" && !listed) return false;
    if (expression.op == "NotIn" && listed) return false;
    if (expression.op == "Exists" && label == labels.end()) return false;
    if (expression.op == "DoesNotExist" && label != labels.end()) return false;
  }
  return true;
}

inline bool on_pod_network(const kube::Pod& pod) {
  return !pod.spec.host_network && pod.status.phase != "Succeeded" && pod.status.phase != "Failed";
}

// Of several that claim the address the one whose namespace and name come first.
inline const kube::Pod* pod_at(const Cluster& cluster, const Ip& ip) {
  const kube::Pod* found = nullptr;
  for (const kube::Pod& pod : cluster.pods)
    if (on_pod_network(pod))
      for (const auto& entry : pod.status.pod_ips)
        if (entry.ip == to_string(ip) && (!found || std::pair(pod.metadata.ns, pod.metadata.name) <
                                                        std::pair(found->metadata.ns, found->metadata.name)))
          found = &pod;
  return found;
}

inline bool is_peer(const Cluster& cluster, const std::string& policy_ns, const kube::NetworkPolicyPeer& peer,
                    const Ip& ip) {
  if (peer.ip_block) {
    if (!Cidr::parse(peer.ip_block->cidr)->contains(ip)) return false;
    for (const auto& except : peer.ip_block->except)
      if (Cidr::parse(except)->contains(ip)) return false;
    return true;
  }
  const kube::Pod* pod = pod_at(cluster, ip);
  if (!pod) return false;
  if (peer.namespace_selector) {
    kube::StringMap labels;
    for (const kube::Namespace& ns : cluster.namespaces)
      if (ns.metadata.name == pod->metadata.ns) labels = ns.metadata.labels;
    if (!selects(*peer.namespace_selector, labels)) return false;
  } else if (pod->metadata.ns != policy_ns) {
    return false;
  }
  return !peer.pod_selector || selects(*peer.pod_selector, pod->metadata.labels);
}

inline bool is_port(const kube::NetworkPolicyPort& port, const kube::Pod* destination, const std::string& protocol,
                    int number) {
  if (port.protocol.value_or("TCP") != protocol) return false;
  if (!port.port) return true;
  if (const auto* first = std::get_if<int32_t>(&*port.port))
    return *first <= number && number <= port.end_port.value_or(*first);
  if (!destination) return false;
  for (const auto& container : destination->spec.containers)
    for (const auto& named : container.ports)
      if (named.name == std::get<std::string>(*port.port) &&
          (named.protocol.empty() ? "TCP" : named.protocol) == protocol)
        return named.container_port == number;
  return false;
}

// Whether a Pod may take (ingress) or open (egress) a connection; `protocol` "": ICMP.
inline bool allows(const Cluster& cluster, const kube::Pod& pod, bool ingress, const Ip& other,
                   const std::string& protocol, int number) {
  bool isolated = false;
  for (const kube::NetworkPolicy& policy : cluster.policies) {
    if (policy.metadata.ns != pod.metadata.ns || !selects(policy.spec.pod_selector, pod.metadata.labels)) continue;
    bool concerned = ingress || !policy.spec.egress.empty();
    if (policy.spec.policy_types) {
      concerned = false;
      for (const auto& type : *policy.spec.policy_types) concerned |= type == (ingress ? "Ingress" : "Egress");
    }
    if (!concerned) continue;
    isolated = true;
    const auto admits = [&](const auto& ports, const auto& peers) {
      bool peer = peers.empty(), port = ports.empty();
      for (const auto& each : peers) peer |= is_peer(cluster, policy.metadata.ns, each, other);
      for (const auto& each : ports) port |= is_port(each, ingress ? &pod : pod_at(cluster, other), protocol, number);
      return peer && port;
    };
    if (ingress) {
      for (const auto& rule : policy.spec.ingress)
        if (admits(rule.ports, rule.from)) return true;
    } else {
      for (const auto& rule : policy.spec.egress)
        if (admits(rule.ports, rule.to)) return true;
    }
  }
  return !isolated;
}

}  // namespace causeway::policy::oracle
