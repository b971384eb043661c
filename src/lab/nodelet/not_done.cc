#include "lab/nodelet/not_done.h"

#include <fmt/format.h>

#include <boost/json.hpp>

namespace causeway::lab {
namespace {

namespace json = boost::json;

std::string text_of(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : "?";
}

const json::object* object_in(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value == nullptr ? nullptr : value->if_object();
}

const json::array* array_in(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value == nullptr ? nullptr : value->if_array();
}

std::string keys_of(const json::object& object, std::string_view except = {}) {
  std::string out;
  for (const auto& member : object)
    if (member.key() != except) out += (out.empty() ? "" : ", ") + std::string(member.key());
  return out;
}

void look_at(const json::object& container, std::vector<std::string>& out) {
  const std::string name = text_of(container, "name");
  if (const auto* resources = object_in(container, "resources"))
    if (const auto* limits = object_in(*resources, "limits"); limits != nullptr && !limits->empty())
      out.push_back(fmt::format("container {}: the lab enforces no limits: {}", name, keys_of(*limits)));
  if (const auto* context = object_in(container, "securityContext"))
    for (const char* key : {"seLinuxOptions", "windowsOptions", "procMount", "seccompProfile", "appArmorProfile"})
      if (context->if_contains(key))
        out.push_back(fmt::format("container {}: the lab does not apply securityContext.{}", name, key));
  if (const auto* devices = array_in(container, "volumeDevices"); devices && !devices->empty())
    out.push_back(fmt::format("container {}: the lab has no block devices (volumeDevices)", name));
  if (const auto* mounts = array_in(container, "volumeMounts"))
    for (const auto& mount : *mounts)
      if (const auto* object = mount.if_object())
        if (const std::string kind = text_of(*object, "mountPropagation"); kind != "?" && kind != "None")
          out.push_back(
              fmt::format("container {}: the lab does not propagate mounts: {}", name, text_of(*object, "mountPath")));
}

std::string why_not(const char* which, bool grpc, const std::optional<kube::HttpGetAction>& http) {
  if (grpc) return fmt::format("{}: the lab does not ask by gRPC; use exec, httpGet or tcpSocket", which);
  if (http && http->scheme == "HTTPS")
    return fmt::format("{}: the lab asks by HTTP, not HTTPS; use exec, httpGet with scheme HTTP, or tcpSocket", which);
  return {};
}

}  // namespace

std::string refused(const kube::Container& container) {
  for (const auto& [which, probe] :
       {std::pair{"livenessProbe", &container.liveness_probe}, std::pair{"readinessProbe", &container.readiness_probe},
        std::pair{"startupProbe", &container.startup_probe}})
    if (*probe)
      if (auto reason = why_not(which, (*probe)->grpc.has_value(), (*probe)->http_get); !reason.empty()) return reason;
  if (container.lifecycle)
    for (const auto& [which, hook] : {std::pair{"lifecycle.postStart", &container.lifecycle->post_start},
                                      std::pair{"lifecycle.preStop", &container.lifecycle->pre_stop}})
      if (*hook)
        if (auto reason = why_not(which, false, (*hook)->http_get); !reason.empty()) return reason;
  return {};
}

std::vector<std::string> not_done(std::string_view pod_json) {
  std::vector<std::string> out;
  boost::system::error_code error;
  const json::value pod = json::parse(pod_json, error);
  if (error || !pod.is_object()) return out;
  const auto* spec = object_in(pod.as_object(), "spec");
  if (spec == nullptr) return out;
  for (const char* list : {"initContainers", "containers"})
    if (const auto* containers = array_in(*spec, list))
      for (const auto& container : *containers)
        if (const auto* object = container.if_object()) look_at(*object, out);
  if (const auto* context = object_in(*spec, "securityContext"))
    for (const char* key : {"seLinuxOptions", "windowsOptions", "seccompProfile", "appArmorProfile"})
      if (context->if_contains(key))
        out.push_back(fmt::format("the lab does not apply the Pod's securityContext.{}", key));
  for (const char* key : {"shareProcessNamespace", "hostPID", "hostIPC"})
    if (const auto* value = spec->if_contains(key); value && value->is_bool() && value->get_bool())
      out.push_back(fmt::format("the lab does not do spec.{}", key));
  if (const auto* key = spec->if_contains("hostUsers"); key && key->is_bool() && !key->get_bool())
    out.push_back("the lab runs all Pods in the machine's user namespace (spec.hostUsers: false)");
  for (const char* key : {"activeDeadlineSeconds", "runtimeClassName", "topologySpreadConstraints", "resourceClaims"})
    if (spec->if_contains(key)) out.push_back(fmt::format("the lab does not do spec.{}", key));
  if (const auto* affinity = object_in(*spec, "affinity"))
    for (const char* kind : {"podAffinity", "podAntiAffinity"})
      if (const auto* found = object_in(*affinity, kind))
        for (const auto& rule : *found)
          if (rule.key() != "requiredDuringSchedulingIgnoredDuringExecution")
            out.push_back(
                fmt::format("the scheduler here does not do spec.affinity.{}.{}", kind, std::string_view(rule.key())));
  if (const auto* volumes = array_in(*spec, "volumes"))
    for (const auto& volume : *volumes)
      if (const auto* object = volume.if_object())
        if (const auto* empty = object_in(*object, "emptyDir"); empty && empty->if_contains("sizeLimit"))
          out.push_back(fmt::format("volume {}: the lab does not enforce sizeLimit", text_of(*object, "name")));
  return out;
}

}  // namespace causeway::lab
