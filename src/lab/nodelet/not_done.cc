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
  std::string mounts;
  if (const auto* list = array_in(container, "volumeMounts"))
    for (const auto& mount : *list)
      if (const auto* object = mount.if_object())
        mounts += fmt::format("{}{} ({})", mounts.empty() ? "" : ", ", text_of(*object, "mountPath"),
                              text_of(*object, "name"));
  if (!mounts.empty()) out.push_back(fmt::format("container {}: the lab mounts no volumes: {}", name, mounts));
  if (const auto* resources = object_in(container, "resources"))
    if (const auto* limits = object_in(*resources, "limits"); limits != nullptr && !limits->empty())
      out.push_back(fmt::format("container {}: the lab enforces no limits: {}", name, keys_of(*limits)));
  if (const auto* hooks = object_in(container, "lifecycle"); hooks != nullptr && !hooks->empty())
    out.push_back(fmt::format("container {}: the lab runs no lifecycle hooks: {}", name, keys_of(*hooks)));
  if (const auto* context = object_in(container, "securityContext"); context != nullptr && !context->empty())
    out.push_back(fmt::format("container {}: the lab applies no securityContext: {}", name, keys_of(*context)));
}

}  // namespace

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
    if (const std::string keys = keys_of(*context, "sysctls"); !keys.empty())
      out.push_back(fmt::format("the lab applies nothing of the Pod's securityContext but sysctls: {}", keys));
  return out;
}

}  // namespace causeway::lab
