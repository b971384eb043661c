#include "control/pod_template.h"

#include <algorithm>
#include <boost/json.hpp>

namespace causeway::control {
namespace {

namespace json = boost::json;

Result<json::object> parse(const std::string& text) {
  boost::system::error_code error;
  auto value = json::parse(text.empty() ? "{}" : text, error);
  if (error || !value.is_object()) return fail(Errc::Invalid, "the Pod template is not a JSON object");
  return std::move(value.as_object());
}

json::object& child(json::object& parent, std::string_view key) {
  auto& value = parent[key];
  if (!value.is_object()) value = json::object();
  return value.as_object();
}

// Members sorted, so that equal trees give equal text; no empty metadata or labels, no creationTimestamp: null.
json::value canonical(const json::value& value) {
  if (value.is_array()) {
    json::array out;
    for (const auto& item : value.as_array()) out.push_back(canonical(item));
    return out;
  }
  if (!value.is_object()) return value;
  std::vector<const json::key_value_pair*> members;
  for (const auto& member : value.as_object())
    if (!member.value().is_null()) members.push_back(&member);
  std::ranges::sort(members, {}, [](const auto* member) { return std::string_view(member->key()); });
  json::object out;
  for (const auto* member : members) out.emplace(member->key(), canonical(member->value()));
  return out;
}

Result<std::string> canonical_text(const std::string& pod_template) {
  auto object = TRY(parse(pod_template));
  auto& metadata = child(object, "metadata");
  auto& labels = child(metadata, "labels");
  labels.erase(kTemplateHashLabel);
  if (labels.empty()) metadata.erase("labels");
  return json::serialize(canonical(object));
}

}  // namespace

Result<std::string> template_hash(const std::string& pod_template, int32_t collisions) {
  const auto text = TRY(canonical_text(pod_template)) + "#" + std::to_string(collisions);
  uint32_t hash = 2166136261u;  // FNV-1a
  for (const char byte : text) hash = (hash ^ uint8_t(byte)) * 16777619u;
  static constexpr std::string_view kSafe = "bcdfghjklmnpqrstvwxz2456789";
  std::string encoded;
  for (const char digit : std::to_string(hash)) encoded += kSafe[uint8_t(digit) % kSafe.size()];
  return encoded;
}

Result<bool> same_template(const std::string& a, const std::string& b) {
  return TRY(canonical_text(a)) == TRY(canonical_text(b));
}

Result<std::string> with_label(const std::string& pod_template, std::string_view key, std::string_view value) {
  auto object = TRY(parse(pod_template));
  child(child(object, "metadata"), "labels")[key] = value;
  return json::serialize(object);
}

Result<kube::StringMap> template_labels(const std::string& pod_template) {
  auto object = TRY(parse(pod_template));
  kube::StringMap labels;
  for (const auto& [key, value] : child(child(object, "metadata"), "labels"))
    if (value.is_string()) labels.emplace(key, value.as_string());
  return labels;
}

namespace {

json::array owner_references(const PodIdentity& identity) {
  json::array owners;
  owners.push_back(json::object{{"apiVersion", "apps/v1"},
                                {"kind", identity.kind},
                                {"name", identity.owner.name},
                                {"uid", identity.owner.uid},
                                {"controller", true},
                                {"blockOwnerDeletion", true}});
  return owners;
}

void put_scratch(json::object& spec, const std::vector<std::string>& names) {
  if (names.empty()) return;
  json::array volumes;
  if (const auto* found = spec.if_contains("volumes"); found && found->is_array())
    for (const auto& volume : found->as_array()) {
      const auto* name = volume.is_object() ? volume.as_object().if_contains("name") : nullptr;
      if (!name || !name->is_string() || std::ranges::find(names, std::string_view(name->as_string())) == names.end())
        volumes.push_back(volume);
    }
  for (const auto& name : names) volumes.push_back(json::object{{"name", name}, {"emptyDir", json::object()}});
  spec["volumes"] = std::move(volumes);
}

void put_tolerations(json::object& spec, const std::vector<kube::Toleration>& tolerations) {
  if (tolerations.empty()) return;
  auto& list = spec["tolerations"];
  if (!list.is_array()) list = json::array();
  for (const auto& toleration : tolerations) {
    json::object object{{"key", toleration.key}, {"operator", toleration.op}, {"effect", toleration.effect}};
    if (std::ranges::find(list.as_array(), json::value(object)) == list.as_array().end())
      list.as_array().push_back(std::move(object));
  }
}

// Replaces what the template requires of nodes: the node was chosen by it (ReplaceDaemonSetPodNodeNameNodeAffinity).
void put_node(json::object& spec, const std::string& node) {
  if (node.empty()) return;
  json::object field{{"key", "metadata.name"}, {"operator", "In"}, {"values", json::array{json::value(node)}}};
  json::object term{{"matchFields", json::array{json::value(std::move(field))}}};
  child(child(spec, "affinity"), "nodeAffinity")["requiredDuringSchedulingIgnoredDuringExecution"] =
      json::object{{"nodeSelectorTerms", json::array{json::value(std::move(term))}}};
}

}  // namespace

Result<std::string> pod_from(const std::string& pod_template, const PodIdentity& identity) {
  auto object = TRY(parse(pod_template), "{} {}", identity.kind, kube::full_name(identity.owner));
  json::object metadata;
  if (identity.name.empty())
    // At most 58 bytes, so that the five random letters of generateName fit into a DNS label.
    metadata["generateName"] = identity.owner.name.substr(0, 57) + "-";
  else
    metadata["name"] = identity.name;
  metadata["namespace"] = identity.owner.ns;
  for (const auto* key : {"labels", "annotations", "finalizers"})
    if (auto* from = child(object, "metadata").if_contains(key)) metadata[key] = *from;
  for (const auto& [key, value] : identity.labels) child(metadata, "labels")[key] = value;
  metadata["ownerReferences"] = owner_references(identity);
  auto& spec = child(object, "spec");
  if (!identity.hostname.empty()) spec["hostname"] = identity.hostname;
  if (!identity.subdomain.empty()) spec["subdomain"] = identity.subdomain;
  put_scratch(spec, identity.scratch);
  put_tolerations(spec, identity.tolerations);
  put_node(spec, identity.node);
  return json::serialize(
      json::object{{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", std::move(metadata)}, {"spec", spec}});
}

Result<std::string> revision_data(const std::string& pod_template) {
  auto object = TRY(parse(pod_template));
  object["$patch"] = "replace";
  return json::serialize(json::object{{"spec", json::object{{"template", std::move(object)}}}});
}

Result<std::string> template_of(const std::string& revision_data) {
  auto object = TRY(parse(revision_data));
  auto pod_template = child(child(object, "spec"), "template");
  pod_template.erase("$patch");
  return json::serialize(pod_template);
}

}  // namespace causeway::control
