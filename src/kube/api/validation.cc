// Which rules a kind is held to.
#include "kube/api/validation.h"

#include <algorithm>

#include "kube/api/names.h"
#include "kube/api/validate_causeway.h"

namespace causeway::kube {

namespace {

using namespace validate;
using Rule = void (*)(FieldErrors&, const json::object&);
using UpdateRule = void (*)(FieldErrors&, const json::object&, const json::object&);

void immutable_selector(FieldErrors& errors, const json::object& old, const json::object& updated) {
  immutable(errors, {"spec.selector"}, find(object_or_empty(old, "spec"), "selector"),
            find(object_or_empty(updated, "spec"), "selector"));
}
void immutable_address_type(FieldErrors& errors, const json::object& old, const json::object& updated) {
  immutable(errors, {"addressType"}, find(old, "addressType"), find(updated, "addressType"));
}
void config_map_update(FieldErrors& errors, const json::object& old, const json::object& updated) {
  data_update(errors, old, updated, "ConfigMap");
}
void secret_update(FieldErrors& errors, const json::object& old, const json::object& updated) {
  data_update(errors, old, updated, "Secret");
}

struct Rules {
  std::string_view group;
  std::string_view kind;
  bool namespaced;
  NameCheck name;
  Rule rule;
  UpdateRule update;
};
constexpr Rules kRules[] = {
    {"", "Pod", true, check_dns1123_subdomain, validate::pod, pod_update},
    // Relaxed in 1.36 (RelaxedServiceNameValidation): a Service's name may start with a digit.
    {"", "Service", true, check_dns1123_label, service, service_update},
    {"", "Node", false, check_dns1123_subdomain, node, node_update},
    {"", "Namespace", false, check_dns1123_label, nullptr, nullptr},
    {"", "ConfigMap", true, check_dns1123_subdomain, config_map, config_map_update},
    {"", "Secret", true, check_dns1123_subdomain, secret, secret_update},
    {"", "Event", true, check_dns1123_subdomain, event, nullptr},
    {"apps", "Deployment", true, check_dns1123_subdomain, deployment, immutable_selector},
    {"apps", "ReplicaSet", true, check_dns1123_subdomain, replica_set, immutable_selector},
    {"apps", "DaemonSet", true, check_dns1123_subdomain, daemon_set, immutable_selector},
    {"apps", "StatefulSet", true, check_dns1123_subdomain, stateful_set, stateful_set_update},
    {"apps", "ControllerRevision", true, check_dns1123_subdomain, controller_revision, controller_revision_update},
    {"networking.k8s.io", "NetworkPolicy", true, check_dns1123_subdomain, network_policy, nullptr},
    {"policy.networking.k8s.io", "ClusterNetworkPolicy", false, check_dns1123_subdomain, cluster_network_policy,
     nullptr},
    {"discovery.k8s.io", "EndpointSlice", true, check_dns1123_subdomain, endpoint_slice, immutable_address_type},
    {"", "Endpoints", true, check_dns1123_subdomain, endpoints, nullptr},
    {"networking.k8s.io", "ServiceCIDR", false, check_dns1123_subdomain, service_cidr, service_cidr_update},
    {"networking.k8s.io", "IPAddress", false, check_canonical_ip, address_object, address_object_update},
    {"causeway.io", "AddressReservation", false, check_dns1123_subdomain, address_reservation,
     address_reservation_update},
    {"coordination.k8s.io", "Lease", true, check_dns1123_subdomain, lease, nullptr},
};

const Rules* rules_of(const KindInfo& kind) {
  for (const Rules& rules : kRules)
    if (rules.group == kind.group && rules.kind == kind.kind) return &rules;
  return nullptr;
}

FieldErrors object_errors(const KindInfo& kind, const json::object& object) {
  FieldErrors errors;
  const Rules* rules = rules_of(kind);
  validate::metadata(errors, object, kind.namespaced, rules ? rules->name : check_path_segment);
  if (rules && rules->rule) rules->rule(errors, object);
  return errors;
}

}  // namespace

FieldErrors validate_create(const KindInfo& kind, const json::object& object) { return object_errors(kind, object); }

FieldErrors validate_update(const KindInfo& kind, const json::object& old, const json::object& updated) {
  FieldErrors errors = object_errors(kind, updated);
  // Ratcheting: a fault that the stored object has in the same words is not the fault of this update.
  if (!errors.empty()) {
    FieldErrors known = object_errors(kind, old);
    std::erase_if(errors,
                  [&](const FieldError& error) { return std::find(known.begin(), known.end(), error) != known.end(); });
  }
  metadata_update(errors, old, updated);
  if (const Rules* rules = rules_of(kind); rules && rules->update) rules->update(errors, old, updated);
  return errors;
}

FieldErrors validate_status_update(const KindInfo& kind, const json::object& old, const json::object& updated) {
  FieldErrors errors;
  metadata_update(errors, old, updated);
  const json::object& status = object_or_empty(updated, "status");
  Path path{"status"};
  if (kind.group == "apps") {
    for (auto field : {"replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration",
                       "updatedReplicas", "unavailableReplicas", "currentReplicas"})
      not_negative(errors, path, status, field);
    if (kind.kind == "ReplicaSet" || kind.kind == "Deployment" || kind.kind == "StatefulSet") {
      auto total = integer_in(status, "replicas").value_or(0);
      for (auto field : {"readyReplicas", "availableReplicas"})
        if (auto count = integer_in(status, field).value_or(0); count > total)
          errors.push_back(FieldError::invalid((path / field).text, count, "cannot be greater than status.replicas"));
    }
  }
  if (kind.group.empty() && kind.kind == "Pod") {
    size_t index = 0;
    for (const json::value& item : array_or_empty(status, "podIPs"))
      if (const json::object* entry = item.if_object())
        ip_address(errors, (path / "podIPs")[index++], text_in(*entry, "ip"));
  }
  if (kind.group.empty() && kind.kind == "Node") node_update(errors, old, updated);
  if (kind.group.empty() && kind.kind == "Service") {
    // A stored fault is not this update's.
    FieldErrors before;
    service_status(before, old);
    service_status(errors, updated);
    std::erase_if(errors, [&](const FieldError& error) { return std::ranges::find(before, error) != before.end(); });
  }
  return errors;
}

}  // namespace causeway::kube
