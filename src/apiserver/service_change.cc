#include "apiserver/service_change.h"

#include <boost/json.hpp>
#include <map>
#include <set>
#include <string>

namespace causeway::apiserver {

namespace {

std::string_view type_of(const json::object& service) { return text_at(service, "spec.type", "ClusterIP"); }
bool is_balanced(const json::object& service) { return type_of(service) == "LoadBalancer"; }
bool needs_cluster_ip(const json::object& service) { return type_of(service) != "ExternalName"; }
bool needs_node_ports(const json::object& service) { return type_of(service) == "NodePort" || is_balanced(service); }
bool needs_health_port(const json::object& service) {
  return is_balanced(service) && text_at(service, "spec.externalTrafficPolicy") == "Local";
}
bool is_accessible(const json::object& service) {
  return needs_node_ports(service) ||
         (type_of(service) == "ClusterIP" && !array_at(service, "spec.externalIPs").empty());
}

bool same(const json::object& a, const json::object& b, std::string_view path) {
  const json::value* one = find_at(a, path);
  const json::value* two = find_at(b, path);
  if (!one || !two) return !one && !two;
  return *one == *two;
}

std::multiset<int64_t> node_ports(const json::object& service) {
  std::multiset<int64_t> ports;
  for (const json::value& port : array_at(service, "spec.ports"))
    if (port.is_object())
      if (const int64_t number = int_at(port.get_object(), "nodePort"); number != 0) ports.insert(number);
  return ports;
}

template <class Change>
void change_ports(json::object& service, Change change) {
  json::value* list = find_at(service, "spec.ports");
  if (!list || !list->is_array()) return;
  for (json::value& port : list->get_array())
    if (port.is_object()) change(port.get_object());
}

void give_back_node_ports(json::object& service, const json::object& old) {
  const auto before = node_ports(old), after = node_ports(service);
  std::set<int64_t> used;
  for (const int64_t port : after)
    if (before.contains(port)) used.insert(port);
  std::map<std::string, int64_t> by_name;
  for (const json::value& port : array_at(old, "spec.ports"))
    if (port.is_object())
      by_name[std::string(text_at(port.get_object(), "name"))] = int_at(port.get_object(), "nodePort");
  change_ports(service, [&](json::object& port) {
    if (int_at(port, "nodePort") != 0) return;
    const auto known = by_name.find(std::string(text_at(port, "name")));
    if (known != by_name.end() && known->second != 0 && used.insert(known->second).second)
      port["nodePort"] = known->second;
  });
}

}  // namespace

void normalize_cluster_ips(json::object& service, const json::object* old) {
  const std::string single(text_at(service, "spec.clusterIP"));
  const json::array list = array_at(service, "spec.clusterIPs");
  if (list.empty()) {
    if (!single.empty()) set_at(service, "spec.clusterIPs", json::array{json::value_from(single)});
    return;
  }
  if (!old || single == text_at(*old, "spec.clusterIP") || !same(service, *old, "spec.clusterIPs")) return;
  // Only the singular was changed.
  if (single.empty())
    erase_at(service, "spec.clusterIPs");
  else
    set_at(service, "spec.clusterIPs", json::array{json::value_from(single)});
}

void settle_service_change(json::object& service, const json::object& old) {
  if (needs_cluster_ip(old) && needs_cluster_ip(service)) {
    if (text_at(service, "spec.clusterIP").empty() && array_at(service, "spec.clusterIPs").empty())
      for (std::string_view field : {"spec.clusterIP", "spec.clusterIPs"})
        if (const json::value* value = find_at(old, field)) set_at(service, field, *value);
  }
  if (needs_node_ports(old) && needs_node_ports(service)) give_back_node_ports(service, old);
  if (needs_health_port(old) && needs_health_port(service) && int_at(service, "spec.healthCheckNodePort") == 0)
    set_at(service, "spec.healthCheckNodePort", int_at(old, "spec.healthCheckNodePort"));

  const auto drop_if_same = [&](std::string_view field) {
    if (same(service, old, field)) erase_at(service, field);
  };
  if (needs_cluster_ip(old) && !needs_cluster_ip(service)) {
    if (same(service, old, "spec.clusterIP") && same(service, old, "spec.clusterIPs")) {
      erase_at(service, "spec.clusterIP");
      erase_at(service, "spec.clusterIPs");
    }
    drop_if_same("spec.ipFamilies");
    drop_if_same("spec.ipFamilyPolicy");
  }
  if (needs_node_ports(old) && !needs_node_ports(service)) {
    const auto before = node_ports(old), after = node_ports(service);
    bool known = true;
    for (const int64_t port : after) known = known && before.contains(port);
    if (known) change_ports(service, [](json::object& port) { port.erase("nodePort"); });
  }
  if (needs_health_port(old) && !needs_health_port(service)) drop_if_same("spec.healthCheckNodePort");
  if (is_balanced(old) && !is_balanced(service)) {
    drop_if_same("spec.allocateLoadBalancerNodePorts");
    drop_if_same("spec.loadBalancerClass");
  }
  if (is_accessible(old) && !is_accessible(service)) drop_if_same("spec.externalTrafficPolicy");
  if (!is_balanced(service)) set_at(service, "status.loadBalancer", json::object{});
}

}  // namespace causeway::apiserver
