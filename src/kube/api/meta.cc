#include "kube/api/meta.h"

#include "kube/api/pod.h"

namespace causeway::kube {

std::string to_string(const IntOrString& value) {
  if (auto* number = std::get_if<int32_t>(&value)) return std::to_string(*number);
  return std::get<std::string>(value);
}

std::string full_name(const ObjectMeta& meta) { return meta.ns.empty() ? meta.name : meta.ns + "/" + meta.name; }

const OwnerReference* controller_of(const ObjectMeta& meta) {
  for (const auto& owner : meta.owner_references)
    if (owner.controller.value_or(false)) return &owner;
  return nullptr;
}

const Condition* find_condition(const std::vector<Condition>& conditions, std::string_view type) {
  for (const auto& condition : conditions)
    if (condition.type == type) return &condition;
  return nullptr;
}

bool is_ready(const Pod& pod) {
  auto* condition = find_condition(pod.status.conditions, "Ready");
  return condition && condition->status == "True";
}

bool is_finished(const Pod& pod) { return pod.status.phase == "Succeeded" || pod.status.phase == "Failed"; }

}  // namespace causeway::kube
