// The defaults of Kubernetes 1.36, kind by kind (pkg/apis/*/v1/defaults.go say the same in Go).
//
// A new member may move all members of its object, so no reference into an object is kept across an insertion there.
#include <fmt/format.h>

#include "kube/api/quantity.h"
#include "kube/api/schema.h"
#include "kube/api/tree.h"
#include "kube/api/validation.h"

namespace causeway::kube {

namespace {

using namespace tree;

// A typed decoder drops null members, so a stored tree has none: null and absent must not differ afterwards.
void drop_nulls(json::value& value) {
  if (json::object* object = value.if_object()) {
    for (auto member = object->begin(); member != object->end();) {
      if (member->value().is_null()) {
        member = object->stable_erase(member);
      } else {
        drop_nulls(member->value());
        ++member;
      }
    }
  } else if (json::array* list = value.if_array()) {
    for (json::value& item : *list) drop_nulls(item);
  }
}

// Quantities are strings on the wire, even if YAML gave a number.
void quantities(json::object& holder, std::string_view name) {
  json::object* map = object_in(holder, name);
  if (!map) return;
  for (auto& member : *map) {
    json::value& value = member.value();
    if (value.is_int64())
      value = std::to_string(value.get_int64());
    else if (value.is_double())
      value = fmt::format("{}", value.get_double());
  }
}

void probe(json::object& holder, std::string_view name) {
  json::object* probe = object_in(holder, name);
  if (!probe) return;
  constexpr std::pair<std::string_view, int64_t> kTimes[] = {
      {"timeoutSeconds", 1}, {"periodSeconds", 10}, {"successThreshold", 1}, {"failureThreshold", 3}};
  for (auto [field, value] : kTimes)
    if (integer_in(*probe, field).value_or(0) == 0) (*probe)[field] = value;
  if (json::object* http = object_in(*probe, "httpGet")) {
    set_default(*http, "path", "/");
    set_default(*http, "scheme", "HTTP");
  }
  if (json::object* grpc = object_in(*probe, "grpc"); grpc && !has(*grpc, "service")) (*grpc)["service"] = "";
}

// The tag of "registry:5000/image:tag@digest"; "latest" when there is neither tag nor digest.
std::string_view image_tag(std::string_view image) {
  bool digest = image.contains('@');
  image = image.substr(0, image.find('@'));
  if (size_t slash = image.rfind('/'); slash != std::string_view::npos) image.remove_prefix(slash + 1);
  size_t colon = image.find(':');
  if (colon == std::string_view::npos) return digest ? "" : "latest";
  return image.substr(colon + 1);
}

// Of an environment variable, or of a file of the downward API.
void refs(json::object& from) {
  if (json::object* field = object_in(from, "fieldRef")) set_default(*field, "apiVersion", "v1");
  if (json::object* resource = object_in(from, "resourceFieldRef")) {
    json::value* divisor = resource->if_contains("divisor");
    if (divisor && divisor->is_int64()) *divisor = std::to_string(divisor->get_int64());
    set_default(*resource, "divisor", "0");
  }
}

void container(json::object& container) {
  set_default(container, "imagePullPolicy",
              image_tag(text_in(container, "image")) == "latest" ? "Always" : "IfNotPresent");
  set_default(container, "terminationMessagePath", "/dev/termination-log");
  set_default(container, "terminationMessagePolicy", "File");
  if (!has(container, "resources")) container["resources"] = json::object{};
  if (json::object* resources = object_in(container, "resources")) {
    quantities(*resources, "limits");
    quantities(*resources, "requests");
  }
  for_each_object(container, "ports", [](json::object& port) { set_default(port, "protocol", "TCP"); });
  for_each_object(container, "env", [](json::object& env) {
    if (json::object* from = object_in(env, "valueFrom")) refs(*from);
  });
  for (auto name : {"livenessProbe", "readinessProbe", "startupProbe"}) probe(container, name);
  if (json::object* lifecycle = object_in(container, "lifecycle"))
    for (auto hook : {"postStart", "preStop"})
      if (json::object* handler = object_in(*lifecycle, hook))
        if (json::object* http = object_in(*handler, "httpGet")) {
          set_default(*http, "path", "/");
          set_default(*http, "scheme", "HTTP");
        }
}

void volume(json::object& volume) {
  if (volume.size() == 1 && has(volume, "name")) volume["emptyDir"] = json::object{};
  for (auto source : {"secret", "configMap", "downwardAPI", "projected"})
    if (json::object* from = object_in(volume, source); from && !has(*from, "defaultMode"))
      (*from)["defaultMode"] = 0644;
  if (json::object* path = object_in(volume, "hostPath"); path && !has(*path, "type")) (*path)["type"] = "";
  if (json::object* downward = object_in(volume, "downwardAPI")) for_each_object(*downward, "items", refs);
  if (json::object* projected = object_in(volume, "projected"))
    for_each_object(*projected, "sources", [](json::object& source) {
      if (json::object* downward = object_in(source, "downwardAPI")) for_each_object(*downward, "items", refs);
      if (json::object* token = object_in(source, "serviceAccountToken"); token && !has(*token, "expirationSeconds"))
        (*token)["expirationSeconds"] = 3600;
    });
}

void pod_spec(json::object& spec) {
  set_default(spec, "restartPolicy", "Always");
  if (!has(spec, "terminationGracePeriodSeconds")) spec["terminationGracePeriodSeconds"] = 30;
  set_default(spec, "dnsPolicy", "ClusterFirst");
  if (!has(spec, "securityContext")) spec["securityContext"] = json::object{};
  set_default(spec, "schedulerName", "default-scheduler");
  for (auto list : {"initContainers", "containers", "ephemeralContainers"}) for_each_object(spec, list, container);
  for_each_object(spec, "volumes", volume);
  quantities(spec, "overhead");
  // The old name of the field mirrors the new one on the wire.
  std::string account(text_in(spec, "serviceAccountName")), old(text_in(spec, "serviceAccount"));
  if (!account.empty())
    spec["serviceAccount"] = account;
  else if (!old.empty())
    spec["serviceAccountName"] = old;
}

// What only Pods get, and not the templates of Pods.
void pod(json::object& object) {
  json::object& spec = make_object(object, "spec");
  pod_spec(spec);
  bool host_network = flag_in(spec, "hostNetwork");
  for (auto list : {"initContainers", "containers"})
    for_each_object(spec, list, [&](json::object& container) {
      if (json::object* resources = object_in(container, "resources"))
        if (has(*resources, "limits")) {
          json::object& requests = make_object(*resources, "requests");
          for (const auto& limit : object_or_empty(*resources, "limits"))
            if (!requests.contains(limit.key())) requests[limit.key()] = limit.value();
        }
      if (host_network)
        for_each_object(container, "ports", [](json::object& port) {
          auto number = integer_in(port, "containerPort");
          if (number && integer_in(port, "hostPort").value_or(0) == 0) port["hostPort"] = *number;
        });
    });
  if (!has(spec, "enableServiceLinks")) spec["enableServiceLinks"] = true;
  json::object& status = make_object(object, "status");
  set_default(status, "phase", "Pending");
}

void pod_template(json::object& spec) {
  if (json::object* found = object_in(spec, "template")) {
    make_object(*found, "metadata");
    pod_spec(make_object(*found, "spec"));
  }
}

void deployment(json::object& object) {
  json::object& spec = make_object(object, "spec");
  if (!has(spec, "replicas")) spec["replicas"] = 1;
  if (!has(spec, "revisionHistoryLimit")) spec["revisionHistoryLimit"] = 10;
  if (!has(spec, "progressDeadlineSeconds")) spec["progressDeadlineSeconds"] = 600;
  json::object& strategy = make_object(spec, "strategy");
  set_default(strategy, "type", "RollingUpdate");
  if (text_in(strategy, "type") == "RollingUpdate") {
    json::object& rolling = make_object(strategy, "rollingUpdate");
    set_default(rolling, "maxUnavailable", "25%");
    set_default(rolling, "maxSurge", "25%");
  }
  pod_template(spec);
}

void replica_set(json::object& object) {
  json::object& spec = make_object(object, "spec");
  if (!has(spec, "replicas")) spec["replicas"] = 1;
  pod_template(spec);
}

void daemon_set(json::object& object) {
  json::object& spec = make_object(object, "spec");
  if (!has(spec, "revisionHistoryLimit")) spec["revisionHistoryLimit"] = 10;
  json::object& strategy = make_object(spec, "updateStrategy");
  set_default(strategy, "type", "RollingUpdate");
  if (text_in(strategy, "type") == "RollingUpdate") {
    json::object& rolling = make_object(strategy, "rollingUpdate");
    if (!has(rolling, "maxUnavailable")) rolling["maxUnavailable"] = 1;
    if (!has(rolling, "maxSurge")) rolling["maxSurge"] = 0;
  }
  pod_template(spec);
}

void stateful_set(json::object& object) {
  json::object& spec = make_object(object, "spec");
  if (!has(spec, "replicas")) spec["replicas"] = 1;
  if (!has(spec, "revisionHistoryLimit")) spec["revisionHistoryLimit"] = 10;
  set_default(spec, "podManagementPolicy", "OrderedReady");
  json::object& strategy = make_object(spec, "updateStrategy");
  set_default(strategy, "type", "RollingUpdate");
  if (text_in(strategy, "type") == "RollingUpdate") {
    json::object& rolling = make_object(strategy, "rollingUpdate");
    if (!has(rolling, "partition")) rolling["partition"] = 0;
  }
  json::object& retention = make_object(spec, "persistentVolumeClaimRetentionPolicy");
  set_default(retention, "whenDeleted", "Retain");
  set_default(retention, "whenScaled", "Retain");
  pod_template(spec);
}

void service(json::object& object) {
  json::object& spec = make_object(object, "spec");
  set_default(spec, "type", "ClusterIP");
  set_default(spec, "sessionAffinity", "None");
  std::string type(text_in(spec, "type"));
  if (text_in(spec, "sessionAffinity") == "None") spec.stable_erase("sessionAffinityConfig");
  if (text_in(spec, "sessionAffinity") == "ClientIP") {
    json::object& client = make_object(make_object(spec, "sessionAffinityConfig"), "clientIP");
    if (!has(client, "timeoutSeconds")) client["timeoutSeconds"] = 10800;
  }
  for_each_object(spec, "ports", [](json::object& port) {
    set_default(port, "protocol", "TCP");
    const json::value* target = find(port, "targetPort");
    bool none = !target || (target->is_string() && target->get_string().empty()) ||
                (target->is_int64() && target->get_int64() == 0);
    if (auto number = integer_in(port, "port"); number && none) port["targetPort"] = *number;
  });
  bool balanced = type == "LoadBalancer";
  bool external =
      balanced || type == "NodePort" || (type == "ClusterIP" && !array_or_empty(spec, "externalIPs").empty());
  if (external) set_default(spec, "externalTrafficPolicy", "Cluster");
  if (balanced || type == "NodePort" || type == "ClusterIP") set_default(spec, "internalTrafficPolicy", "Cluster");
  if (balanced && !has(spec, "allocateLoadBalancerNodePorts")) spec["allocateLoadBalancerNodePorts"] = true;
  json::object& status = make_object(object, "status");
  json::object& balancer = make_object(status, "loadBalancer");
  if (balanced)
    for_each_object(balancer, "ingress", [](json::object& ingress) {
      if (!text_in(ingress, "ip").empty()) set_default(ingress, "ipMode", "VIP");
    });
}

void endpoint_slice(json::object& object) {
  for_each_object(object, "ports", [](json::object& port) {
    if (!has(port, "name")) port["name"] = "";
    set_default(port, "protocol", "TCP");
  });
}

void endpoints(json::object& object) {
  for_each_object(object, "subsets", [](json::object& subset) {
    for_each_object(subset, "ports", [](json::object& port) { set_default(port, "protocol", "TCP"); });
  });
}

void network_policy(json::object& object) {
  json::object& spec = make_object(object, "spec");
  for (auto rules : {"ingress", "egress"})
    for_each_object(spec, rules, [](json::object& rule) {
      for_each_object(rule, "ports", [](json::object& port) { set_default(port, "protocol", "TCP"); });
    });
  if (array_or_empty(spec, "policyTypes").empty()) {
    json::array types{"Ingress"};
    if (!array_or_empty(spec, "egress").empty()) types.push_back("Egress");
    spec["policyTypes"] = std::move(types);
  }
}

void name_space(json::object& object) {
  json::object& metadata = make_object(object, "metadata");
  std::string name(text_in(metadata, "name"));
  if (!name.empty()) make_object(metadata, "labels")["kubernetes.io/metadata.name"] = name;
  // Only a new one gets the finalizer (registry/core/namespace/strategy.go): finalizing removes it for good.
  bool fresh = text_in(metadata, "uid").empty() && !has(object, "spec");
  json::object& spec = make_object(object, "spec");
  if (fresh) spec["finalizers"] = json::array{"kubernetes"};
  set_default(make_object(object, "status"), "phase", "Active");
}

void node(json::object& object) {
  json::object& spec = make_object(object, "spec");
  // podCIDR and podCIDRs are one field in two forms.
  const json::array cidrs = array_or_empty(spec, "podCIDRs");
  std::string first(text_in(spec, "podCIDR"));
  if (!cidrs.empty() && first.empty() && cidrs[0].is_string())
    spec["podCIDR"] = cidrs[0];
  else if (cidrs.empty() && !first.empty())
    spec["podCIDRs"] = json::array{json::value(first)};
  if (json::object* status = object_in(object, "status")) {
    quantities(*status, "capacity");
    quantities(*status, "allocatable");
    if (has(*status, "capacity") && !has(*status, "allocatable")) {
      json::object capacity = object_or_empty(*status, "capacity");
      (*status)["allocatable"] = std::move(capacity);
    }
  }
}

std::string base64(std::string_view bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    size_t left = bytes.size() - i;
    auto byte = [&](size_t at) { return at < left ? static_cast<uint32_t>(static_cast<uint8_t>(bytes[i + at])) : 0; };
    uint32_t group = byte(0) << 16 | byte(1) << 8 | byte(2);
    text += kDigits[group >> 18];
    text += kDigits[group >> 12 & 63];
    text += left > 1 ? kDigits[group >> 6 & 63] : '=';
    text += left > 2 ? kDigits[group & 63] : '=';
  }
  return text;
}

void secret(json::object& object) {
  set_default(object, "type", "Opaque");
  if (has(object, "stringData")) {
    json::object& data = make_object(object, "data");
    for (const auto& member : object_or_empty(object, "stringData"))
      if (const json::string* text = member.value().if_string())
        data[member.key()] = base64({text->data(), text->size()});
    object.stable_erase("stringData");
  }
}

}  // namespace

void set_defaults(const KindInfo& kind, json::object& object) {
  for (auto& member : object) drop_nulls(member.value());
  for (auto member = object.begin(); member != object.end();)
    member = member->value().is_null() ? object.stable_erase(member) : member + 1;
  if (kind.version != "v1") return;
  if (kind.group.empty()) {
    if (kind.kind == "Pod")
      pod(object);
    else if (kind.kind == "Service")
      service(object);
    else if (kind.kind == "Namespace")
      name_space(object);
    else if (kind.kind == "Node")
      node(object);
    else if (kind.kind == "Secret")
      secret(object);
    else if (kind.kind == "Endpoints")
      endpoints(object);
  } else if (kind.group == "apps") {
    if (kind.kind == "Deployment")
      deployment(object);
    else if (kind.kind == "ReplicaSet")
      replica_set(object);
    else if (kind.kind == "DaemonSet")
      daemon_set(object);
    else if (kind.kind == "StatefulSet")
      stateful_set(object);
  } else if (kind.group == "networking.k8s.io") {
    if (kind.kind == "NetworkPolicy") network_policy(object);
  } else if (kind.group == "discovery.k8s.io") {
    if (kind.kind == "EndpointSlice") endpoint_slice(object);
  }
}

}  // namespace causeway::kube
