#include "control/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "control/node_fit.h"
#include "kube/api/selector.h"

namespace causeway::control {
namespace {

std::string group_of(const kube::Pod& pod) {
  const auto* owner = kube::controller_of(pod.metadata);
  return owner ? owner->uid : "namespace " + pod.metadata.ns;
}

std::vector<NodeLoads::HostPort> host_ports(const kube::Pod& pod) {
  std::vector<NodeLoads::HostPort> ports;
  for (const auto& container : pod.spec.containers)
    for (const auto& port : container.ports) {
      const int32_t number = port.host_port ? port.host_port : pod.spec.host_network ? port.container_port : 0;
      if (number == 0) continue;
      ports.emplace_back(port.protocol.empty() ? "TCP" : port.protocol, number,
                         port.host_ip == "0.0.0.0" || port.host_ip == "::" ? "" : port.host_ip);
    }
  return ports;
}

size_t pod_limit(const kube::Node& node) {
  const auto pods = node.status.allocatable.find("pods");
  size_t limit = 110;  // kubelet's default
  if (pods != node.status.allocatable.end())
    std::from_chars(pods->second.data(), pods->second.data() + pods->second.size(), limit);
  return limit;
}

// Required affinity between Pods (interpodaffinity). What Pods that are there say of the new one is not asked.
class Neighbours {
 public:
  Neighbours(const kube::Pod& pod, const std::vector<const kube::Node*>& nodes, const std::vector<Placed>& placed)
      : pod_(pod), placed_(placed) {
    for (const auto* node : nodes) by_name_[node->metadata.name] = node;
  }
  // Why the node does not fit; empty if it does.
  std::string misfit(const kube::Node& node) const {
    if (!minds_others(pod_)) return {};
    const auto& affinity = *pod_.spec.affinity;
    if (affinity.pod_anti_affinity)
      for (const auto& term : affinity.pod_anti_affinity->required)
        if (beside(term, &node)) return "didn't match pod anti-affinity rules";
    if (affinity.pod_affinity)
      for (const auto& term : affinity.pod_affinity->required)
        // The first of a group that wants to be together may be anywhere.
        if (!beside(term, &node) && (beside(term, nullptr) || !wanted(term, pod_)))
          return "didn't match pod affinity rules";
    return {};
  }

 private:
  bool wanted(const kube::PodAffinityTerm& term, const kube::Pod& other) const {
    if (!term.label_selector) return false;
    const bool named = std::ranges::find(term.namespaces, other.metadata.ns) != term.namespaces.end();
    const bool every = term.namespace_selector && term.namespace_selector->match_labels.empty() &&
                       term.namespace_selector->match_expressions.empty();
    if (!named && !every && !(term.namespaces.empty() && other.metadata.ns == pod_.metadata.ns)) return false;
    const auto selector = kube::Selector::from(*term.label_selector);
    return selector && selector->matches(other.metadata.labels);
  }
  static const std::string* place(const kube::PodAffinityTerm& term, const kube::Node& node) {
    const auto label = node.metadata.labels.find(term.topology_key);
    return label == node.metadata.labels.end() ? nullptr : &label->second;
  }
  // A Pod of the term runs in the same place; with null, anywhere.
  bool beside(const kube::PodAffinityTerm& term, const kube::Node* node) const {
    const auto* here = node ? place(term, *node) : nullptr;
    if (node && !here) return false;
    return std::ranges::any_of(placed_, [&](const Placed& other) {
      const auto found = by_name_.find(other.node);
      if (found == by_name_.end() || !wanted(term, *other.pod)) return false;
      const auto* there = place(term, *found->second);
      return there && (!node || *there == *here);
    });
  }

  const kube::Pod& pod_;
  const std::vector<Placed>& placed_;
  std::map<std::string, const kube::Node*> by_name_;
};

// Why the node does not fit; empty if it does.
std::string misfit(const kube::Pod& pod, const kube::Node& node, const NodeLoads& loads) {
  for (const auto& taint : taints_of(node))
    if (taint.effect != "PreferNoSchedule" && !tolerated(pod, taint)) {
      if (taint.key == "node.kubernetes.io/unschedulable") return "were unschedulable";
      return fmt::format("had untolerated taint {{{}: {}}}", taint.key, taint.value);
    }
  if (!selects(pod, node)) return "didn't match Pod's node affinity/selector";
  if (loads.port_conflict(pod, node.metadata.name)) return "didn't have free ports for the requested pod ports";
  if (loads.pods(node.metadata.name) >= pod_limit(node)) return "had too many pods";
  return {};
}

size_t unwanted(const kube::Pod& pod, const kube::Node& node) {
  return size_t(std::ranges::count_if(node.spec.taints, [&](const auto& taint) {
    return taint.effect == "PreferNoSchedule" && !tolerated(pod, taint);
  }));
}

}  // namespace

void NodeLoads::add(const kube::Pod& pod, const std::string& node) {
  auto& load = nodes_[node];
  ++load.pods;
  ++load.groups[group_of(pod)];
  for (auto& port : host_ports(pod)) load.ports.insert(std::move(port));
}

void NodeLoads::remove(const kube::Pod& pod, const std::string& node) {
  auto found = nodes_.find(node);
  if (found == nodes_.end()) return;
  auto& load = found->second;
  for (const auto& port : host_ports(pod))
    if (auto at = load.ports.find(port); at != load.ports.end()) load.ports.erase(at);
  if (auto group = load.groups.find(group_of(pod)); group != load.groups.end() && --group->second == 0)
    load.groups.erase(group);
  if (--load.pods == 0) nodes_.erase(found);
}

size_t NodeLoads::pods(const std::string& node) const {
  const auto found = nodes_.find(node);
  return found == nodes_.end() ? 0 : found->second.pods;
}

size_t NodeLoads::siblings(const kube::Pod& pod, const std::string& node) const {
  const auto found = nodes_.find(node);
  if (found == nodes_.end()) return 0;
  const auto group = found->second.groups.find(group_of(pod));
  return group == found->second.groups.end() ? 0 : group->second;
}

bool NodeLoads::port_conflict(const kube::Pod& pod, const std::string& node) const {
  const auto found = nodes_.find(node);
  if (found == nodes_.end()) return false;
  for (const auto& [protocol, port, ip] : host_ports(pod))
    for (const auto& [their_protocol, their_port, their_ip] : found->second.ports)
      if (protocol == their_protocol && port == their_port && (ip.empty() || their_ip.empty() || ip == their_ip))
        return true;
  return false;
}

bool minds_others(const kube::Pod& pod) {
  const auto& affinity = pod.spec.affinity;
  return affinity && ((affinity->pod_affinity && !affinity->pod_affinity->required.empty()) ||
                      (affinity->pod_anti_affinity && !affinity->pod_anti_affinity->required.empty()));
}

Choice choose_node(const kube::Pod& pod, const std::vector<const kube::Node*>& nodes, const NodeLoads& loads,
                   const std::vector<Placed>& placed) {
  const Neighbours neighbours(pod, nodes, placed);
  std::map<std::string, size_t> misfits;
  const kube::Node* best = nullptr;
  const auto cost = [&](const kube::Node& node) {
    return std::tuple(unwanted(pod, node), -preference(pod, node), loads.siblings(pod, node.metadata.name),
                      loads.pods(node.metadata.name), std::string_view(node.metadata.name));
  };
  for (const auto* node : nodes) {
    auto reason = misfit(pod, *node, loads);
    if (reason.empty()) reason = neighbours.misfit(*node);
    if (!reason.empty()) {
      ++misfits[std::move(reason)];
    } else if (!best || cost(*node) < cost(*best)) {
      best = node;
    }
  }
  if (best) return {.node = best->metadata.name};
  if (nodes.empty()) return {.reason = "no nodes available to schedule pods"};
  std::string reason = fmt::format("0/{} nodes are available: ", nodes.size());
  bool first = true;
  for (const auto& [why, count] : misfits) {
    reason += fmt::format("{}{} node(s) {}", first ? "" : ", ", count, why);
    first = false;
  }
  return {.reason = reason + "."};
}

bool wants_scheduling(const kube::Pod& pod) {
  return pod.spec.node_name.empty() && !pod.metadata.deletion_timestamp && !kube::is_finished(pod) &&
         pod.spec.scheduling_gates.empty() &&
         (pod.spec.scheduler_name.empty() || pod.spec.scheduler_name == "default-scheduler");
}

}  // namespace causeway::control
