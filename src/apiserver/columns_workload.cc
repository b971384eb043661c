// The columns of Deployment, ReplicaSet, StatefulSet, DaemonSet and ControllerRevision.
#include <algorithm>
#include <boost/json.hpp>

#include "apiserver/columns.h"

namespace causeway::apiserver {

namespace {

constexpr Column kContainers{"Containers", "Names of each container in the template.", "string", 1};
constexpr Column kImages{"Images", "Images referenced by each container in the template.", "string", 1};
constexpr Column kSelector{"Selector", "Label selector of the pods.", "string", 1};

constexpr Column kDeploymentColumns[] = {
    kName,
    {"Ready", "Number of the pod with ready state"},
    {"Up-to-date", "Number of pods that are of the newest template."},
    {"Available", "Number of pods that have been ready for minReadySeconds."},
    kAge,
    kContainers,
    kImages,
    kSelector,
};
constexpr Column kReplicaSetColumns[] = {
    kName,
    {"Desired", "Number of desired pods.", "integer"},
    {"Current", "Number of pods that exist.", "integer"},
    {"Ready", "Number of ready pods.", "integer"},
    kAge,
    kContainers,
    kImages,
    kSelector,
};
constexpr Column kDaemonSetColumns[] = {
    kName,
    {"Desired", "Number of nodes that should run the pod.", "integer"},
    {"Current", "Number of nodes that run the pod.", "integer"},
    {"Ready", "Number of nodes where the pod is ready.", "integer"},
    {"Up-to-date", "Number of nodes that run the newest pod.", "integer"},
    {"Available", "Number of nodes where the pod is available.", "integer"},
    {"Node Selector", "Label selector of the nodes."},
    kAge,
    kContainers,
    kImages,
    kSelector,
};
constexpr Column kStatefulSetColumns[] = {
    kName, {"Ready", "Number of the pod with ready state"}, kAge, kContainers, kImages,
};
constexpr Column kControllerRevisionColumns[] = {
    kName,
    {"Controller", "Controller of the object."},
    {"Revision", "Revision indicates the revision of the state represented by Data.", "integer"},
    kAge,
};

// One member of every container of the template, separated by commas.
std::string of_containers(const json::object& object, std::string_view member) {
  std::string text;
  for (const json::value& container : array_at(object, "spec.template.spec.containers"))
    if (container.is_object())
      text += fmt::format("{}{}", text.empty() ? "" : ",", text_at(container.get_object(), member));
  return text;
}

void append_template(json::array& cells, const json::object& object) {
  cells.push_back(json::value_from(of_containers(object, "name")));
  cells.push_back(json::value_from(of_containers(object, "image")));
  cells.push_back(json::value_from(format_selector(object_at(object, "spec.selector"))));
}

json::array deployment_cells(const json::object& object, WallTime now) {
  json::array cells{name_of(object),
                    fmt::format("{}/{}", int_at(object, "status.readyReplicas"), int_at(object, "spec.replicas")),
                    std::to_string(int_at(object, "status.updatedReplicas")),
                    std::to_string(int_at(object, "status.availableReplicas")), age_of(object, now)};
  append_template(cells, object);
  return cells;
}

json::array replica_set_cells(const json::object& object, WallTime now) {
  json::array cells{name_of(object), int_at(object, "spec.replicas"), int_at(object, "status.replicas"),
                    int_at(object, "status.readyReplicas"), age_of(object, now)};
  append_template(cells, object);
  return cells;
}

json::array daemon_set_cells(const json::object& object, WallTime now) {
  json::array cells{name_of(object),
                    int_at(object, "status.desiredNumberScheduled"),
                    int_at(object, "status.currentNumberScheduled"),
                    int_at(object, "status.numberReady"),
                    int_at(object, "status.updatedNumberScheduled"),
                    int_at(object, "status.numberAvailable"),
                    format_labels(object_at(object, "spec.template.spec.nodeSelector")),
                    age_of(object, now)};
  append_template(cells, object);
  return cells;
}

json::array stateful_set_cells(const json::object& object, WallTime now) {
  return {name_of(object),
          fmt::format("{}/{}", int_at(object, "status.readyReplicas"), int_at(object, "spec.replicas")),
          age_of(object, now), json::value_from(of_containers(object, "name")),
          json::value_from(of_containers(object, "image"))};
}

// "statefulset.apps/web", as upstream's formatResourceName.
std::string controller_of(const json::object& object) {
  for (const json::value& owner : array_at(object, "metadata.ownerReferences")) {
    const json::object* reference = owner.if_object();
    const json::value* controls = reference ? reference->if_contains("controller") : nullptr;
    if (!controls || !controls->is_bool() || !controls->get_bool()) continue;
    std::string kind(text_at(*reference, "kind")), group(text_at(*reference, "apiVersion"));
    std::ranges::transform(kind, kind.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
    const size_t slash = group.find('/');
    return fmt::format("{}{}/{}", kind, slash == std::string::npos ? "" : "." + group.substr(0, slash),
                       text_at(*reference, "name"));
  }
  return "<none>";
}

json::array controller_revision_cells(const json::object& object, WallTime now) {
  return {name_of(object), controller_of(object), int_at(object, "revision"), age_of(object, now)};
}

}  // namespace

TableView stateful_set_table() { return {kStatefulSetColumns, stateful_set_cells}; }
TableView controller_revision_table() { return {kControllerRevisionColumns, controller_revision_cells}; }
TableView deployment_table() { return {kDeploymentColumns, deployment_cells}; }
TableView replica_set_table() { return {kReplicaSetColumns, replica_set_cells}; }
TableView daemon_set_table() { return {kDaemonSetColumns, daemon_set_cells}; }

}  // namespace causeway::apiserver
