#include "control/node_fit.h"

#include <algorithm>
#include <charconv>

namespace causeway::control {
namespace {

std::optional<int64_t> number(const std::string& text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

// `value` null: the node has no such label.
bool holds(const kube::NodeSelectorRequirement& requirement, const std::string* value) {
  const auto& values = requirement.values;
  const bool in = value && std::ranges::find(values, *value) != values.end();
  if (requirement.op == "In") return in;
  if (requirement.op == "NotIn") return !in;
  if (requirement.op == "Exists") return value != nullptr;
  if (requirement.op == "DoesNotExist") return value == nullptr;
  if ((requirement.op != "Gt" && requirement.op != "Lt") || !value || values.size() != 1) return false;
  const auto have = number(*value), bound = number(values[0]);
  if (!have || !bound) return false;
  return requirement.op == "Gt" ? *have > *bound : *have < *bound;
}

}  // namespace

bool tolerates(const kube::Toleration& toleration, const kube::Taint& taint) {
  if (!toleration.effect.empty() && toleration.effect != taint.effect) return false;
  if (toleration.op == "Exists") return toleration.key.empty() || toleration.key == taint.key;
  return toleration.key == taint.key && toleration.value == taint.value;
}

bool tolerated(const kube::Pod& pod, const kube::Taint& taint) {
  return std::ranges::any_of(pod.spec.tolerations,
                             [&](const auto& toleration) { return tolerates(toleration, taint); });
}

std::vector<kube::Taint> taints_of(const kube::Node& node) {
  auto taints = node.spec.taints;
  const auto add = [&](const char* key) {
    if (std::ranges::none_of(taints, [&](const auto& taint) { return taint.key == key; }))
      taints.push_back({.key = key, .effect = "NoSchedule"});
  };
  if (node.spec.unschedulable) add("node.kubernetes.io/unschedulable");
  const auto* ready = kube::find_condition(node.status.conditions, "Ready");
  if (!ready || ready->status != "True") add("node.kubernetes.io/not-ready");
  return taints;
}

bool matches(const kube::NodeSelectorTerm& term, const kube::Node& node) {
  if (term.match_expressions.empty() && term.match_fields.empty()) return false;
  for (const auto& requirement : term.match_expressions) {
    const auto label = node.metadata.labels.find(requirement.key);
    if (!holds(requirement, label == node.metadata.labels.end() ? nullptr : &label->second)) return false;
  }
  return std::ranges::all_of(term.match_fields, [&](const auto& requirement) {
    return requirement.key == "metadata.name" && holds(requirement, &node.metadata.name);
  });
}

bool selects(const kube::Pod& pod, const kube::Node& node) {
  const bool selected = std::ranges::all_of(pod.spec.node_selector, [&](const auto& wanted) {
    const auto label = node.metadata.labels.find(wanted.first);
    return label != node.metadata.labels.end() && label->second == wanted.second;
  });
  if (!selected || !pod.spec.affinity || !pod.spec.affinity->node_affinity) return selected;
  const auto& required = pod.spec.affinity->node_affinity->required;
  return !required ||
         std::ranges::any_of(required->node_selector_terms, [&](const auto& term) { return matches(term, node); });
}

int64_t preference(const kube::Pod& pod, const kube::Node& node) {
  int64_t earned = 0;
  if (pod.spec.affinity && pod.spec.affinity->node_affinity)
    for (const auto& preferred : pod.spec.affinity->node_affinity->preferred)
      if (matches(preferred.preference, node)) earned += preferred.weight;
  return earned;
}

std::string destined_node(const kube::Pod& pod) {
  if (!pod.spec.node_name.empty() || !pod.spec.affinity || !pod.spec.affinity->node_affinity ||
      !pod.spec.affinity->node_affinity->required)
    return pod.spec.node_name;
  for (const auto& term : pod.spec.affinity->node_affinity->required->node_selector_terms)
    for (const auto& field : term.match_fields)
      if (field.key == "metadata.name" && field.op == "In" && field.values.size() == 1) return field.values[0];
  return {};
}

}  // namespace causeway::control
