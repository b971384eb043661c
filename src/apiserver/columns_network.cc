// The columns of Service, EndpointSlice, Endpoints, ServiceCIDR, IPAddress, NetworkPolicy, ClusterNetworkPolicy and
// NetworkAttachmentDefinition.
#include <boost/json.hpp>

#include "apiserver/columns.h"

namespace causeway::apiserver {

namespace {

constexpr Column kServiceColumns[] = {
    kName,
    {"Type", "How the service is exposed."},
    {"Cluster-IP", "The address inside the cluster."},
    {"External-IP", "Addresses outside the cluster."},
    {"Port(s)", "The ports of the service."},
    kAge,
    {"Selector", "Label selector of the pods.", "string", 1},
};
constexpr Column kSliceColumns[] = {
    kName,
    {"AddressType", "IPv4, IPv6 or FQDN."},
    {"Ports", "The ports of every endpoint."},
    {"Endpoints", "The addresses of the endpoints."},
    kAge,
};
constexpr Column kEndpointsColumns[] = {
    kName,
    {"Endpoints", "The addresses and ports of the ready endpoints."},
    kAge,
};
constexpr Column kServiceCidrColumns[] = {
    kName,
    {"CIDRs", "The ranges out of which Services get their addresses."},
    kAge,
};
constexpr Column kReservationColumns[] = {
    kName,
    {"Namespace", "Namespace of the Pod that the address is promised to."},
    {"Pod", "Its name."},
    {"Node", "Where it has the address now, or had it last."},
    kAge,
};
constexpr Column kIpAddressColumns[] = {
    kName,
    {"ParentRef", "The object that has the address."},
    kAge,
};
constexpr Column kPolicyColumns[] = {
    kName,
    {"Pod-Selector", "Label selector of the pods that the policy isolates."},
    kAge,
};
constexpr Column kClusterPolicyColumns[] = {
    kName,
    {"Tier", "Admin is judged before NetworkPolicies, Baseline after them."},
    {"Priority", "Within the tier; the lesser is judged first."},
    kAge,
};

constexpr Column kDefinitionColumns[] = {kName, kAge};

void append(std::string& text, std::string_view part) {
  if (!text.empty()) text += ',';
  text += part;
}

std::string texts(const json::array& values) {
  std::string text;
  for (const json::value& value : values)
    if (value.is_string()) append(text, view(value.get_string()));
  return text;
}

std::string external_ip(const json::object& service) {
  const std::string_view type = text_at(service, "spec.type");
  if (type == "ExternalName") return std::string(text_at(service, "spec.externalName"));
  std::string external = texts(array_at(service, "spec.externalIPs"));
  if (type != "LoadBalancer") return or_none(std::move(external));
  std::string text;
  for (const json::value& ingress : array_at(service, "status.loadBalancer.ingress")) {
    if (!ingress.is_object()) continue;
    const std::string_view ip = text_at(ingress.get_object(), "ip");
    append(text, ip.empty() ? text_at(ingress.get_object(), "hostname") : ip);
  }
  if (!external.empty()) append(text, external);
  return text.empty() ? "<pending>" : text;
}

std::string service_ports(const json::object& service) {
  std::string text;
  for (const json::value& entry : array_at(service, "spec.ports")) {
    if (!entry.is_object()) continue;
    const json::object& port = entry.get_object();
    const int64_t node_port = int_at(port, "nodePort");
    append(text, fmt::format("{}{}/{}", int_at(port, "port"), node_port > 0 ? fmt::format(":{}", node_port) : "",
                             text_at(port, "protocol", "TCP")));
  }
  return or_none(std::move(text));
}

json::array service_cells(const json::object& service, WallTime now) {
  return {name_of(service),
          text_at(service, "spec.type"),
          or_none(std::string(text_at(service, "spec.clusterIP"))),
          external_ip(service),
          service_ports(service),
          age_of(service, now),
          format_labels(object_at(service, "spec.selector"))};
}

std::string slice_ports(const json::object& slice) {
  std::string text;
  for (const json::value& port : array_at(slice, "ports"))
    if (port.is_object())
      append(text, find_at(port.get_object(), "port") ? std::to_string(int_at(port.get_object(), "port")) : "*");
  return text.empty() ? "<unset>" : text;
}

std::string slice_endpoints(const json::object& slice) {
  constexpr size_t kShown = 3;
  std::string text;
  size_t count = 0;
  for (const json::value& endpoint : array_at(slice, "endpoints")) {
    if (!endpoint.is_object()) continue;
    for (const json::value& address : array_at(endpoint.get_object(), "addresses"))
      if (address.is_string() && ++count <= kShown) append(text, view(address.get_string()));
  }
  if (count > kShown) text += fmt::format(" + {} more...", count - kShown);
  return text.empty() ? "<unset>" : text;
}

json::array slice_cells(const json::object& slice, WallTime now) {
  return {name_of(slice), text_at(slice, "addressType"), slice_ports(slice), slice_endpoints(slice),
          age_of(slice, now)};
}

// At most three; "<none>" when there is no subset, and nothing when no address of any is ready (formatEndpoints).
std::string endpoints_text(const json::object& endpoints) {
  constexpr size_t kShown = 3;
  const json::array& subsets = array_at(endpoints, "subsets");
  if (subsets.empty()) return "<none>";
  std::string text;
  size_t count = 0;
  const auto show = [&](const json::object& subset, const json::object* port) {
    for (const json::value& value : array_at(subset, "addresses")) {
      if (!value.is_object() || ++count > kShown) continue;
      const std::string_view ip = text_at(value.get_object(), "ip");
      if (!port)
        append(text, ip);
      else
        append(text,
               fmt::format(fmt::runtime(ip.find(':') == ip.npos ? "{}:{}" : "[{}]:{}"), ip, int_at(*port, "port")));
    }
  };
  for (const json::value& value : subsets) {
    if (!value.is_object()) continue;
    const json::object& subset = value.get_object();
    const json::array& ports = array_at(subset, "ports");
    if (ports.empty()) show(subset, nullptr);
    for (const json::value& port : ports)
      if (port.is_object()) show(subset, &port.get_object());
  }
  if (count > kShown) text += fmt::format(" + {} more...", count - kShown);
  return text;
}

json::array endpoints_cells(const json::object& endpoints, WallTime now) {
  return {name_of(endpoints), endpoints_text(endpoints), age_of(endpoints, now)};
}

json::array service_cidr_cells(const json::object& object, WallTime now) {
  return {name_of(object), texts(array_at(object, "spec.cidrs")), age_of(object, now)};
}

// "services/default/kubernetes", "gateways.gateway.networking.k8s.io/infra/edge".
json::array ip_address_cells(const json::object& object, WallTime now) {
  const json::object& parent = object_at(object, "spec.parentRef");
  std::string text(text_at(parent, "resource"));
  for (auto [field, separator] : {std::pair("group", '.'), {"namespace", '/'}, {"name", '/'}})
    if (const auto part = text_at(parent, field); !part.empty()) text.append(1, separator).append(part);
  return {name_of(object), or_none(std::move(text)), age_of(object, now)};
}

json::array reservation_cells(const json::object& object, WallTime now) {
  const json::object& spec = object_at(object, "spec");
  return {name_of(object), text_at(spec, "podNamespace"), text_at(spec, "podName"),
          or_none(std::string(text_at(spec, "nodeName"))), age_of(object, now)};
}

json::array policy_cells(const json::object& policy, WallTime now) {
  return {name_of(policy), format_selector(object_at(policy, "spec.podSelector")), age_of(policy, now)};
}

json::array cluster_policy_cells(const json::object& policy, WallTime now) {
  return {name_of(policy), text_at(policy, "spec.tier"), std::to_string(int_at(policy, "spec.priority")),
          age_of(policy, now)};
}

json::array definition_cells(const json::object& definition, WallTime now) {
  return {name_of(definition), age_of(definition, now)};
}

}  // namespace

TableView service_table() { return {kServiceColumns, service_cells}; }
TableView endpoint_slice_table() { return {kSliceColumns, slice_cells}; }
TableView endpoints_table() { return {kEndpointsColumns, endpoints_cells}; }
TableView service_cidr_table() { return {kServiceCidrColumns, service_cidr_cells}; }
TableView address_reservation_table() { return {kReservationColumns, reservation_cells}; }
TableView ip_address_table() { return {kIpAddressColumns, ip_address_cells}; }
TableView network_policy_table() { return {kPolicyColumns, policy_cells}; }
TableView cluster_network_policy_table() { return {kClusterPolicyColumns, cluster_policy_cells}; }
TableView attachment_definition_table() { return {kDefinitionColumns, definition_cells}; }

}  // namespace causeway::apiserver
