// Which node a Pod goes to: pure. The filters of kube-scheduler that a network needs (node name, unschedulable,
// readiness, taints, node selector, affinity, host ports, number of Pods), then spreading.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "kube/api/types.h"

namespace causeway::control {

// What runs on each node, kept up to date Pod by Pod.
class NodeLoads {
 public:
  using HostPort = std::tuple<std::string, int32_t, std::string>;  // protocol, port, hostIP ("" and 0.0.0.0: all)

  // `node` may differ from the Pod's spec.nodeName: an assignment that the API server has not confirmed yet.
  void add(const kube::Pod& pod, const std::string& node);
  void remove(const kube::Pod& pod, const std::string& node);

  size_t pods(const std::string& node) const;
  // Pods of the same controller (or, without one, of the same namespace).
  size_t siblings(const kube::Pod& pod, const std::string& node) const;
  bool port_conflict(const kube::Pod& pod, const std::string& node) const;

 private:
  struct Load {
    size_t pods = 0;
    std::map<std::string, size_t> groups;
    std::multiset<HostPort> ports;
  };
  std::map<std::string, Load> nodes_;
};

struct Choice {
  std::string node;    // empty: none fits
  std::string reason;  // why not: "0/3 nodes are available: 1 node(s) had untolerated taint {k: v}, ..."
};

// A Pod that has its node, for the affinity between Pods.
struct Placed {
  const kube::Pod* pod = nullptr;
  std::string node;
};
// Whether the Pod says where it must be relative to others: then choose_node() needs to know those.
bool minds_others(const kube::Pod& pod);
Choice choose_node(const kube::Pod& pod, const std::vector<const kube::Node*>& nodes, const NodeLoads& loads,
                   const std::vector<Placed>& placed = {});

// Whether the Pod waits for a scheduler, and for this one: not while a scheduling gate holds it back.
bool wants_scheduling(const kube::Pod& pod);

}  // namespace causeway::control
