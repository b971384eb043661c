#include "apiserver/prepare.h"

#include <algorithm>
#include <boost/json.hpp>

#include "kube/api/codec.h"

namespace causeway::apiserver {

namespace {

// BestEffort: no container asks for or limits anything. Guaranteed: every one limits both and asks for as much.
std::string qos_class(const json::object& pod) {
  bool any = false;
  bool guaranteed = true;
  for (std::string_view list : {"spec.initContainers", "spec.containers"}) {
    for (const json::value& value : array_at(pod, list)) {
      if (!value.is_object()) continue;
      const json::object& limits = object_at(value.get_object(), "resources.limits");
      const json::object& requests = object_at(value.get_object(), "resources.requests");
      for (std::string_view resource : {"cpu", "memory"}) {
        const json::value* limit = limits.if_contains(resource);
        const json::value* request = requests.if_contains(resource);
        any = any || limit || request;
        if (!limit || (request && *request != *limit)) guaranteed = false;
      }
    }
  }
  if (!any) return "BestEffort";
  return guaranteed ? "Guaranteed" : "Burstable";
}

void prepare_status(const Kind& kind, json::object& object) {
  if (!kind.has_status) return;
  const std::string_view name = kind.info.kind;
  if (name == "Node") return;  // kubelets register with their status
  if (name == "Pod") {
    json::object status{{"phase", "Pending"}, {"qosClass", qos_class(object)}};
    if (!array_at(object, "spec.schedulingGates").empty())  // as kube-apiserver says it, KEP-3521
      status["conditions"] = {{{"type", "PodScheduled"},
                               {"status", "False"},
                               {"reason", "SchedulingGated"},
                               {"message", "Scheduling is blocked due to non-empty scheduling gates"}}};
    object["status"] = std::move(status);
  } else if (name == "Service")
    object["status"] = {{"loadBalancer", json::object{}}};
  else if (name == "Namespace")
    object["status"] = {{"phase", "Active"}};
  else
    object["status"] = json::object{};
}

// Makes one member of `updated` what it was.
void keep(const json::object& old, json::object& updated, std::string_view member) {
  if (const json::value* value = old.if_contains(member))
    updated.insert_or_assign(member, *value);
  else
    updated.erase(member);
}

void keep_system_metadata(const json::object& old, json::object& updated) {
  const json::object& before = object_at(old, "metadata");
  json::object& metadata = make_object_at(updated, "metadata");
  for (std::string_view member : {"name", "namespace", "uid", "generateName", "creationTimestamp", "generation",
                                  "deletionTimestamp", "deletionGracePeriodSeconds"})
    keep(before, metadata, member);
  for (std::string_view member : {"managedFields", "selfLink"}) metadata.erase(member);
}

}  // namespace

std::string now_text(WallTime now) { return kube::format_time(std::chrono::floor<std::chrono::microseconds>(now)); }

ApiResult<void> prepare_create(const Kind& kind, const std::string& ns, json::object& object, Random& random,
                               WallTime now) {
  if (const json::value* given = object.if_contains("metadata"); given && !given->is_object())
    return bad_request("metadata is no object");
  json::object& metadata = make_object_at(object, "metadata");
  if (!text_at(metadata, "resourceVersion").empty())
    return bad_request("resourceVersion should not be set on objects to be created");
  const std::string_view given_ns = text_at(metadata, "namespace");
  if (!given_ns.empty() && given_ns != ns)
    return bad_request("the namespace of the provided object does not match the namespace sent on the request");
  if (kind.info.namespaced) metadata["namespace"] = ns;
  if (text_at(metadata, "name").empty() && !text_at(metadata, "generateName").empty()) {
    constexpr size_t kBaseAtMost = 58;  // 63 with the suffix
    const std::string base(text_at(metadata, "generateName").substr(0, kBaseAtMost));
    metadata["name"] = base + random.name_suffix();
  }
  for (std::string_view member : {"resourceVersion", "generation", "deletionTimestamp", "deletionGracePeriodSeconds",
                                  "managedFields", "selfLink"})
    metadata.erase(member);
  metadata["uid"] = random.uid();
  metadata["creationTimestamp"] = now_text(now);
  if (kind.has_generation) metadata["generation"] = 1;
  prepare_status(kind, object);
  // Held until its content is gone (registry/core/namespace/strategy.go).
  if (kind.info.kind == "Namespace") set_at(object, "spec.finalizers", json::array{"kubernetes"});
  return {};
}

void prepare_update(const Kind& kind, std::string_view subresource, const json::object& old, json::object& updated) {
  keep_system_metadata(old, updated);
  if (subresource.empty()) {
    if (kind.has_status) keep(old, updated, "status");
    // The finalizers of a Namespace's spec belong to its finalize subresource.
    if (kind.info.kind == "Namespace") keep(old, updated, "spec");
    return;
  }
  if (subresource == "finalize") {
    keep(old, updated, "status");
    return;
  }
  // The status, and of the rest nothing; kubelets also label and annotate through it.
  for (const auto& member : old)
    if (std::string_view(member.key().data(), member.key().size()) != "metadata" && member.key() != "status")
      updated.insert_or_assign(member.key(), member.value());
  for (auto it = updated.begin(); it != updated.end();)
    it = it->key() == "status" || it->key() == "metadata" || old.contains(it->key()) ? it + 1 : updated.erase(it);
  json::object& metadata = make_object_at(updated, "metadata");
  const json::object& before = object_at(old, "metadata");
  const bool kubelet = kind.info.kind == "Pod" || kind.info.kind == "Node";
  keep(before, metadata, "ownerReferences");
  keep(before, metadata, "finalizers");
  if (!kubelet) {
    keep(before, metadata, "labels");
    keep(before, metadata, "annotations");
  }
}

void count_generation(const Kind& kind, const json::object& old, json::object& updated) {
  if (!kind.has_generation) return;
  // Everything that is neither identity nor status: EndpointSlices have no spec.
  auto same = [&](const json::object& a, const json::object& b) {
    for (const auto& member : a) {
      if (member.key() == "metadata" || member.key() == "status") continue;
      const json::value* other = b.if_contains(member.key());
      if (!other || *other != member.value()) return false;
    }
    return true;
  };
  if (same(old, updated) && same(updated, old)) return;
  set_at(updated, "metadata.generation", int_at(old, "metadata.generation") + 1);
}

}  // namespace causeway::apiserver
