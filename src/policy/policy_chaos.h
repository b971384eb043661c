// Random clusters for the tests of this folder.
#pragma once

#include <cstdlib>
#include <random>
#include <stdexcept>

#include "policy/oracle.h"
#include "policy/policy_world.h"

namespace causeway::policy {

// A handful of objects whose labels, addresses, names and ports collide often.
struct Chaos {
  std::mt19937 random;
  cluster::Model model;
  std::map<std::string, kube::Namespace> namespaces;
  std::map<PodKey, kube::Pod> pods;
  std::map<std::pair<std::string, std::string>, kube::NetworkPolicy> policies;

  bool tiers = false;

  explicit Chaos(unsigned seed, bool with_tiers = false) : random(seed), tiers(with_tiers) {}
  unsigned pick(unsigned n) { return random() % n; }
  bool chance(unsigned of) { return pick(of) == 0; }
  std::string ns_name() { return std::string(1, static_cast<char>('x' + pick(3))); }
  std::string value() { return std::string(1, static_cast<char>('a' + pick(3))); }
  std::string label_key() { return chance(3) ? "tier" : "app"; }
  std::string protocol() { return chance(3) ? "UDP" : chance(6) ? "SCTP" : "TCP"; }
  std::string port_name() { return chance(2) ? "web" : "dns"; }
  int number() {
    return chance(3) ? static_cast<int>(80 + pick(3)) : chance(2) ? 53 : static_cast<int>(8080 + pick(2));
  }

  kube::StringMap some_labels() {
    kube::StringMap out;
    for (unsigned i = pick(3); i > 0; --i) out[label_key()] = value();
    return out;
  }
  kube::LabelSelector selector() {
    kube::LabelSelector out;
    if (chance(4)) return out;
    if (chance(2)) out.match_labels[label_key()] = value();
    if (chance(2)) {
      static const char* const kOps[] = {"In", "NotIn", "Exists", "DoesNotExist"};
      kube::LabelSelectorRequirement expression{.key = label_key(), .op = kOps[pick(4)]};
      if (expression.op == "In" || expression.op == "NotIn")
        for (unsigned i = 1 + pick(2); i > 0; --i) expression.values.push_back(value());
      out.match_expressions.push_back(std::move(expression));
    }
    return out;
  }
  std::string prefix(bool six) {
    if (six) return chance(3) ? "::/0" : chance(2) ? "fd00::/64" : fmt::format("fd00::{}/128", 1 + pick(6));
    switch (pick(5)) {
      case 0: return "0.0.0.0/0";
      case 1: return "10.0.0.0/24";
      case 2: return "10.0.0.0/29";
      case 3: return "192.0.2.0/24";
      default: return fmt::format("10.0.0.{}/32", 1 + pick(8));
    }
  }
  kube::NetworkPolicyPeer peer() {
    kube::NetworkPolicyPeer out;
    if (chance(3)) {
      const bool six = chance(3);
      out.ip_block = kube::IpBlock{.cidr = prefix(six)};
      for (unsigned i = pick(3); i > 0; --i) {
        const std::string except = prefix(six);
        // As the API wants it: strictly inside.
        if (*Cidr::parse(out.ip_block->cidr) != *Cidr::parse(except) &&
            Cidr::parse(out.ip_block->cidr)->contains(*Cidr::parse(except)))
          out.ip_block->except.push_back(except);
      }
      return out;
    }
    if (chance(2)) out.pod_selector = selector();
    if (!out.pod_selector || chance(2)) out.namespace_selector = chance(3) ? kube::LabelSelector{} : selector();
    return out;
  }
  kube::NetworkPolicyPort port() {
    kube::NetworkPolicyPort out;
    if (!chance(3)) out.protocol = protocol();
    if (chance(5)) return out;
    if (chance(3)) {
      out.port = port_name();
    } else {
      const int first = number();
      out.port = first;
      if (chance(3)) out.end_port = first + static_cast<int>(pick(5));
    }
    return out;
  }
  template <class Rule>
  std::vector<Rule> rules(std::vector<kube::NetworkPolicyPeer> Rule::* peers) {
    std::vector<Rule> out;
    for (unsigned i = pick(3); i > 0; --i) {
      Rule rule;
      for (unsigned n = pick(3); n > 0; --n) rule.ports.push_back(port());
      for (unsigned n = pick(3); n > 0; --n) (rule.*peers).push_back(peer());
      out.push_back(std::move(rule));
    }
    return out;
  }

  void put_namespace() {
    kube::Namespace ns;
    ns.metadata.name = ns_name();
    ns.metadata.labels = some_labels();
    if (chance(8)) {
      namespaces.erase(ns.metadata.name);
      model.remove_namespace(ns.metadata.name);
      return;
    }
    model.put(cluster::project(ns));
    namespaces[ns.metadata.name] = ns;
  }
  void put_pod() {
    kube::Pod pod;
    pod.metadata.ns = ns_name();
    pod.metadata.name = "p" + std::to_string(pick(3));
    const PodKey key{pod.metadata.ns, pod.metadata.name};
    if (chance(6)) {
      pods.erase(key);
      model.remove_pod(key);
      return;
    }
    pod.metadata.labels = some_labels();
    pod.spec.node_name = "n" + std::to_string(pick(2));
    pod.spec.host_network = chance(10);
    if (chance(10)) pod.status.phase = chance(2) ? "Succeeded" : "Failed";
    if (!chance(10)) pod.status.pod_ips.push_back({fmt::format("10.0.0.{}", 1 + pick(9))});
    if (chance(2)) pod.status.pod_ips.push_back({fmt::format("fd00::{}", 1 + pick(6))});
    kube::Container container;
    for (unsigned i = pick(3); i > 0; --i)
      container.ports.push_back(
          {.name = port_name(), .container_port = number(), .protocol = chance(2) ? "" : protocol()});
    pod.spec.containers = {container};
    model.put(cluster::project(pod));
    pods[key] = pod;
  }
  void put_policy() {
    kube::NetworkPolicy policy;
    policy.metadata.ns = ns_name();
    policy.metadata.name = "np" + std::to_string(pick(3));
    const auto key = std::pair(policy.metadata.ns, policy.metadata.name);
    if (chance(5)) {
      policies.erase(key);
      model.remove(PolicyKey{policy.metadata.ns, policy.metadata.name});
      return;
    }
    policy.spec.pod_selector = selector();
    policy.spec.ingress = rules(&kube::NetworkPolicyIngressRule::from);
    policy.spec.egress = rules(&kube::NetworkPolicyEgressRule::to);
    if (chance(2)) {
      policy.spec.policy_types.emplace();
      if (chance(2)) policy.spec.policy_types->push_back("Ingress");
      if (chance(2)) policy.spec.policy_types->push_back("Egress");
    }
    auto projected = cluster::project(policy);
    if (!projected.problem.empty()) throw std::logic_error(projected.problem);
    model.put(std::move(projected));
    policies[key] = policy;
  }
  // Addresses that Pods, blocks or nobody has besides.
  std::vector<Ip> node_addresses() {
    static const char* const kOthers[] = {"192.0.2.7", "203.0.113.1", "fd00::3", "2001:db8::1"};
    std::vector<Ip> out;
    for (unsigned i = pick(3); i > 0; --i)
      out.push_back(ip(chance(2) ? kOthers[pick(4)] : fmt::format("10.0.0.{}", 1 + pick(9))));
    return out;
  }
  void put_node() {
    cluster::Node node{.name = "n" + std::to_string(pick(3))};
    if (chance(6)) {
      model.remove_node(node.name);
      return;
    }
    for (const auto& [key, text] : some_labels()) node.labels.emplace(key, text);
    node.addresses = node_addresses();
    node.others = node_addresses();
    model.put(std::move(node));
  }
  // A policy of the whole cluster, as the model has it.
  void put_cluster_policy() {
    cluster::Policy policy{.key = {"", "cnp" + std::to_string(pick(4))}};
    if (chance(5)) {
      model.remove(policy.key);
      return;
    }
    policy.tier = chance(2) ? Tier::Admin : Tier::Baseline;
    policy.priority = static_cast<uint16_t>(pick(2));
    policy.subject.namespaces = *kube::Selector::from(selector());
    if (chance(2)) policy.subject.pods = *kube::Selector::from(selector());
    // Rules of random NetworkPolicies, with other actions.
    kube::NetworkPolicy donor;
    donor.metadata.ns = "x";
    donor.spec.policy_types = {"Ingress", "Egress"};
    donor.spec.ingress = rules(&kube::NetworkPolicyIngressRule::from);
    donor.spec.egress = rules(&kube::NetworkPolicyEgressRule::to);
    cluster::Policy read = cluster::project(donor);
    for (auto* list : {&read.ingress, &read.egress})
      for (cluster::PolicyRule& rule : *list) rule.action = static_cast<Action>(pick(3));
    for (cluster::PolicyRule& rule : read.egress)
      for (unsigned i = pick(3); i > 0 && !rule.anybody; --i) rule.nodes.push_back(*kube::Selector::from(selector()));
    policy.ingress = std::move(read.ingress);
    policy.egress = std::move(read.egress);
    policy.concerns_ingress = !policy.ingress.empty();
    policy.concerns_egress = !policy.egress.empty();
    model.put(std::move(policy));
  }
  void change() {
    if (tiers && chance(4)) return put_cluster_policy();
    if (tiers && chance(6)) return put_node();
    switch (pick(6)) {
      case 0: return put_namespace();
      case 1:
      case 2:
      case 3: return put_pod();
      default: return put_policy();
    }
  }
  oracle::Cluster truth() const {
    oracle::Cluster out;
    for (const auto& [key, object] : namespaces) out.namespaces.push_back(object);
    for (const auto& [key, object] : pods) out.pods.push_back(object);
    for (const auto& [key, object] : policies) out.policies.push_back(object);
    return out;
  }
};

// CAUSEWAY_EFFORT=20 in the environment: twenty times as many clusters.
inline unsigned effort() {
  const char* text = std::getenv("CAUSEWAY_EFFORT");
  return text ? static_cast<unsigned>(std::max(1, std::atoi(text))) : 1;
}

}  // namespace causeway::policy
