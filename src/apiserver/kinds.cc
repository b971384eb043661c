#include "apiserver/kinds.h"

#include <algorithm>
#include <cstdlib>

#include "apiserver/event_view.h"
#include "kube/api/causeway.h"
#include "kube/api/cluster_policy.h"
#include "kube/api/types.h"

namespace causeway::apiserver {

namespace {

// A custom resource on Kubernetes (the Network Plumbing Working Group's); built in here.
constexpr kube::KindInfo kAttachmentDefinition{"k8s.cni.cncf.io", "v1", "NetworkAttachmentDefinition",
                                               "network-attachment-definitions", true};
constexpr kube::KindInfo kEventView{"events.k8s.io", "v1", "Event", "events", true};

// A later kind is one more entry here, and its schema in kube/api.
const std::vector<Kind>& kinds() {
  static const std::vector<Kind> kKinds = {
      {.info = kube::ConfigMap::kKind, .singular = "configmap", .short_names = {"cm"}, .table = config_map_table()},
      {.info = kube::Endpoints::kKind, .singular = "endpoints", .short_names = {"ep"}, .table = endpoints_table()},
      {.info = kube::Event::kKind,
       .singular = "event",
       .short_names = {"ev"},
       .fields = {"involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
                  "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
                  "reportingComponent", "source", "type"},
       .table = event_table()},
      {.info = kube::Namespace::kKind,
       .singular = "namespace",
       .short_names = {"ns"},
       .has_status = true,
       .fields = {"status.phase"},
       .table = namespace_table()},
      {.info = kube::Node::kKind,
       .singular = "node",
       .short_names = {"no"},
       .has_status = true,
       .fields = {"spec.unschedulable"},
       .table = node_table()},
      {.info = kube::Pod::kKind,
       .singular = "pod",
       .short_names = {"po"},
       .categories = {"all"},
       .has_status = true,
       .has_generation = true,
       .fields = {"spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
                  "spec.hostNetwork", "status.phase", "status.podIP", "status.nominatedNodeName"},
       .table = pod_table()},
      {.info = kube::Secret::kKind, .singular = "secret", .fields = {"type"}, .table = secret_table()},
      {.info = kube::Service::kKind,
       .singular = "service",
       .short_names = {"svc"},
       .categories = {"all"},
       .has_status = true,
       .fields = {"spec.clusterIP", "spec.type"},
       .table = service_table()},
      {.info = kube::ControllerRevision::kKind, .singular = "controllerrevision", .table = controller_revision_table()},
      {.info = kube::DaemonSet::kKind,
       .singular = "daemonset",
       .short_names = {"ds"},
       .categories = {"all"},
       .has_status = true,
       .has_generation = true,
       .table = daemon_set_table()},
      {.info = kube::Deployment::kKind,
       .singular = "deployment",
       .short_names = {"deploy"},
       .categories = {"all"},
       .has_status = true,
       .has_scale = true,
       .has_generation = true,
       .table = deployment_table()},
      {.info = kube::ReplicaSet::kKind,
       .singular = "replicaset",
       .short_names = {"rs"},
       .categories = {"all"},
       .has_status = true,
       .has_scale = true,
       .has_generation = true,
       .fields = {"status.replicas"},
       .table = replica_set_table()},
      {.info = kube::StatefulSet::kKind,
       .singular = "statefulset",
       .short_names = {"sts"},
       .categories = {"all"},
       .has_status = true,
       .has_scale = true,
       .has_generation = true,
       .table = stateful_set_table()},
      {.info = kube::Lease::kKind, .singular = "lease", .needs_resource_version = true, .table = lease_table()},
      {.info = kube::EndpointSlice::kKind,
       .singular = "endpointslice",
       .has_generation = true,
       .table = endpoint_slice_table()},
      {.info = kube::IpAddress::kKind, .singular = "ipaddress", .short_names = {"ip"}, .table = ip_address_table()},
      {.info = kube::ServiceCidr::kKind, .singular = "servicecidr", .has_status = true, .table = service_cidr_table()},
      {.info = kube::AddressReservation::kKind,
       .singular = "addressreservation",
       .short_names = {"addrres"},
       .table = address_reservation_table()},
      {.info = kube::NetworkPolicy::kKind,
       .singular = "networkpolicy",
       .short_names = {"netpol"},
       .has_generation = true,
       .table = network_policy_table()},
      {.info = kube::ClusterNetworkPolicy::kKind,
       .singular = "clusternetworkpolicy",
       .short_names = {"cnp"},
       .has_status = true,
       .has_generation = true,
       .table = cluster_network_policy_table()},
      {.info = kAttachmentDefinition,
       .singular = "network-attachment-definition",
       .short_names = {"net-attach-def"},
       .has_generation = true,
       .table = attachment_definition_table()},
      {.info = kEventView,
       .singular = "event",
       .short_names = {"ev"},
       .fields = {"regarding.kind", "regarding.namespace", "regarding.name", "regarding.uid", "regarding.apiVersion",
                  "reason", "reportingController", "type"},
       .table = event_table(),
       .stored_as = &kube::Event::kKind,
       .to_view = to_events_v1},
  };
  return kKinds;
}

}  // namespace

std::span<const Kind> all_kinds() { return kinds(); }

const Kind* find_kind(std::string_view group, std::string_view version, std::string_view plural) {
  for (const Kind& kind : kinds())
    if (kind.info.plural == plural && kind.info.group == group && kind.info.version == version) return &kind;
  return nullptr;
}

const Kind* find_kind(std::string_view group_resource) {
  const size_t dot = group_resource.find('.');
  const std::string_view plural = group_resource.substr(0, dot);
  const std::string_view group = dot == std::string_view::npos ? "" : group_resource.substr(dot + 1);
  for (const Kind& kind : kinds())
    if (kind.info.plural == plural && kind.info.group == group) return &kind;
  return nullptr;
}

const Kind& kind_of(const kube::KindInfo& info) {
  const Kind* kind = find_kind(info.group, info.version, info.plural);
  if (!kind) std::abort();  // the table above lacks a kind that this program names
  return *kind;
}

std::string storage_of(const Kind& kind) { return kube::group_resource(kind.stored_as ? *kind.stored_as : kind.info); }

std::vector<GroupVersion> group_versions() {
  std::vector<GroupVersion> versions;
  for (const Kind& kind : kinds()) {
    const GroupVersion version{kind.info.group, kind.info.version};
    if (std::find(versions.begin(), versions.end(), version) == versions.end()) versions.push_back(version);
  }
  return versions;
}

}  // namespace causeway::apiserver
