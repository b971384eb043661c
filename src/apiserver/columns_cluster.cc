// The columns of Node, Namespace, Event, ConfigMap, Secret and Lease.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <set>

#include "apiserver/columns.h"

namespace causeway::apiserver {

namespace {

constexpr Column kNodeColumns[] = {
    kName,
    {"Status", "The status of the node"},
    {"Roles", "The roles of the node"},
    kAge,
    {"Version", "Kubelet Version reported by the node."},
    {"Internal-IP", "Address of the node inside the cluster.", "string", 1},
    {"External-IP", "Address of the node outside the cluster.", "string", 1},
    {"OS-Image", "OS Image reported by the node.", "string", 1},
    {"Kernel-Version", "Kernel Version reported by the node.", "string", 1},
    {"Container-Runtime", "ContainerRuntime Version reported by the node.", "string", 1},
};
constexpr Column kNamespaceColumns[] = {kName, {"Status", "The status of the namespace"}, kAge};
constexpr Column kEventColumns[] = {
    {"Last Seen", "When the event was seen last."},
    {"Type", "Normal or Warning."},
    {"Reason", "Why it happened, in one word."},
    {"Object", "What it is about."},
    {"Subobject", "The part of the object.", "string", 1},
    {"Source", "Who reported it.", "string", 1},
    {"Message", "What happened."},
    {"First Seen", "When the event was seen first.", "string", 1},
    {"Count", "How often it happened.", "string", 1},
    {"Name", "Name must be unique within a namespace.", "string", 1},
};
constexpr Column kConfigMapColumns[] = {kName, {"Data", "Number of entries."}, kAge};
constexpr Column kSecretColumns[] = {kName, {"Type", "Kind of secret."}, {"Data", "Number of entries."}, kAge};
constexpr Column kLeaseColumns[] = {kName, {"Holder", "Who holds the lease."}, kAge};

std::string node_status(const json::object& node) {
  std::string text = "Unknown";
  for (const json::value& condition : array_at(node, "status.conditions"))
    if (condition.is_object() && text_at(condition.get_object(), "type") == "Ready")
      text = text_at(condition.get_object(), "status") == "True" ? "Ready" : "NotReady";
  if (bool_at(node, "spec.unschedulable")) text += ",SchedulingDisabled";
  return text;
}

std::string node_roles(const json::object& node) {
  constexpr std::string_view kPrefix = "node-role.kubernetes.io/";
  std::set<std::string> roles;
  for (const auto& [name, value] : strings_at(node, "metadata.labels")) {
    if (name.starts_with(kPrefix) && name.size() > kPrefix.size()) roles.insert(name.substr(kPrefix.size()));
    if (name == "kubernetes.io/role" && !value.empty()) roles.insert(value);
  }
  return or_none(fmt::format("{}", fmt::join(roles, ",")));
}

std::string node_address(const json::object& node, std::string_view type) {
  for (const json::value& address : array_at(node, "status.addresses"))
    if (address.is_object() && text_at(address.get_object(), "type") == type)
      return std::string(text_at(address.get_object(), "address"));
  return "<none>";
}

json::array node_cells(const json::object& node, WallTime now) {
  auto info = [&](std::string_view name) {
    const std::string_view text = text_at(object_at(node, "status.nodeInfo"), name);
    return std::string(text.empty() ? "<unknown>" : text);
  };
  return {name_of(node),
          node_status(node),
          node_roles(node),
          age_of(node, now),
          text_at(node, "status.nodeInfo.kubeletVersion"),
          node_address(node, "InternalIP"),
          node_address(node, "ExternalIP"),
          info("osImage"),
          info("kernelVersion"),
          info("containerRuntimeVersion")};
}

json::array namespace_cells(const json::object& object, WallTime now) {
  return {name_of(object), text_at(object, "status.phase"), age_of(object, now)};
}

std::string event_source(const json::object& event) {
  std::string_view component = text_at(event, "source.component");
  std::string_view host = text_at(event, "source.host");
  if (component.empty()) component = text_at(event, "reportingComponent");
  if (host.empty()) host = text_at(event, "reportingInstance");
  return host.empty() ? std::string(component) : fmt::format("{}, {}", component, host);
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), [](unsigned char c) { return std::tolower(c); });
  return result;
}

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

json::array event_cells(const json::object& event, WallTime now) {
  std::string_view first = text_at(event, "firstTimestamp", text_at(event, "eventTime"));
  std::string_view last = text_at(event, "lastTimestamp", first);
  int64_t count = std::max<int64_t>(1, int_at(event, "count"));
  if (const json::value* series = find_at(event, "series"); series && series->is_object()) {
    last = text_at(series->get_object(), "lastObservedTime", last);
    count = int_at(series->get_object(), "count", count);
  }
  const std::string_view name = text_at(event, "involvedObject.name");
  std::string object = lower(text_at(event, "involvedObject.kind"));
  if (!name.empty()) object += fmt::format("/{}", name);
  return {age(last, now),
          text_at(event, "type"),
          text_at(event, "reason"),
          object,
          text_at(event, "involvedObject.fieldPath"),
          event_source(event),
          trimmed(text_at(event, "message")),
          age(first, now),
          count,
          name_of(event)};
}

json::array config_map_cells(const json::object& object, WallTime now) {
  const size_t entries = object_at(object, "data").size() + object_at(object, "binaryData").size();
  return {name_of(object), std::to_string(entries), age_of(object, now)};
}

json::array secret_cells(const json::object& object, WallTime now) {
  return {name_of(object), text_at(object, "type"), std::to_string(object_at(object, "data").size()),
          age_of(object, now)};
}

json::array lease_cells(const json::object& object, WallTime now) {
  return {name_of(object), text_at(object, "spec.holderIdentity"), age_of(object, now)};
}

}  // namespace

TableView node_table() { return {kNodeColumns, node_cells}; }
TableView namespace_table() { return {kNamespaceColumns, namespace_cells}; }
TableView event_table() { return {kEventColumns, event_cells}; }
TableView config_map_table() { return {kConfigMapColumns, config_map_cells}; }
TableView secret_table() { return {kSecretColumns, secret_cells}; }
TableView lease_table() { return {kLeaseColumns, lease_cells}; }

}  // namespace causeway::apiserver
