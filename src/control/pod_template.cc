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

Result<std::string> pod_for(const kube::ReplicaSet& set) {
  auto object = TRY(parse(set.spec.pod_template.text), "ReplicaSet {}", kube::full_name(set.metadata));
  json::object metadata;
  // At most 58 bytes, so that the five random letters of generateName fit into a DNS label.
  metadata["generateName"] = set.metadata.name.substr(0, 57) + "-";
  metadata["namespace"] = set.metadata.ns;
  for (const auto* key : {"labels", "annotations", "finalizers"})
    if (auto* from = child(object, "metadata").if_contains(key)) metadata[key] = *from;
  json::array owners;
  owners.push_back(json::object{{"apiVersion", "apps/v1"},
                                {"kind", "ReplicaSet"},
                                {"name", set.metadata.name},
                                {"uid", set.metadata.uid},
                                {"controller", true},
                                {"blockOwnerDeletion", true}});
  metadata["ownerReferences"] = std::move(owners);
  json::object pod{{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", std::move(metadata)}};
  if (auto* spec = object.if_contains("spec")) pod["spec"] = *spec;
  return json::serialize(pod);
}

}  // namespace causeway::control
