// Node, ConfigMap, Secret, Event and Lease.
#include <algorithm>
#include <boost/json/serialize.hpp>
#include <set>

#include "base/ip.h"
#include "kube/api/codec.h"
#include "kube/api/names.h"
#include "kube/api/quantity.h"
#include "kube/api/validate.h"

namespace causeway::kube::validate {

namespace {

constexpr size_t kMostData = 1024 * 1024;  // of a ConfigMap or Secret, in bytes (api/core/v1 MaxSecretSize)

bool is_base64(std::string_view text) {
  size_t end = text.find_last_not_of('=') + 1;
  auto digit = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
  };
  return text.size() % 4 == 0 && text.size() - end <= 2 && std::all_of(text.begin(), text.begin() + end, digit);
}

// The keys of `field`, and the bytes that its values take.
size_t data(FieldErrors& errors, const json::object& object, std::string_view field, bool encoded) {
  size_t size = 0;
  for (const auto& member : object_or_empty(object, field)) {
    add_if_wrong(errors, Path{std::string(field)}.key(member.key()), member.key(), check_config_map_key(member.key()));
    const json::string* text = member.value().if_string();
    if (!text) continue;
    std::string_view value(text->data(), text->size());
    size += encoded ? value.size() / 4 * 3 : value.size();
    if (encoded && !is_base64(value))
      errors.push_back(
          FieldError::invalid(Path{std::string(field)}.key(member.key()).text, "<value>", "must be base64"));
  }
  return size;
}

}  // namespace

void node(FieldErrors& errors, const json::object& object) {
  const json::object& spec = object_or_empty(object, "spec");
  Path path{"spec"};
  std::set<std::string> seen;
  size_t index = 0;
  for (const json::value& item : array_or_empty(spec, "taints")) {
    Path at = (path / "taints")[index++];
    const json::object* taint = item.if_object();
    if (!taint) continue;
    auto key = text_in(*taint, "key"), value = text_in(*taint, "value"), effect = text_in(*taint, "effect");
    if (key.empty())
      errors.push_back(FieldError::required((at / "key").text));
    else
      add_if_wrong(errors, at / "key", key, check_qualified_name(key));
    add_if_wrong(errors, at / "value", value, check_label_value(value));
    if (effect.empty())
      errors.push_back(FieldError::required((at / "effect").text));
    else
      taint_effect(errors, at / "effect", effect);
    if (!seen.insert(fmt::format("{}:{}", key, effect)).second)
      errors.push_back(FieldError::duplicate(at.text, *taint));
  }
  const json::array& cidrs = array_or_empty(spec, "podCIDRs");
  std::vector<Cidr> parsed;
  for (size_t i = 0; i < cidrs.size(); ++i)
    if (const json::string* text = cidrs[i].if_string()) {
      cidr(errors, (path / "podCIDRs")[i], {text->data(), text->size()});
      if (auto one = Cidr::parse({text->data(), text->size()})) parsed.push_back(*one);
    }
  bool two_families = parsed.size() == 2 && parsed[0].family() != parsed[1].family();
  if (cidrs.size() > 2 || (parsed.size() == 2 && !two_families))
    errors.push_back(
        FieldError::invalid((path / "podCIDRs").text, cidrs, "may specify no more than one CIDR for each IP family"));
  for (auto which : {"capacity", "allocatable"})
    for (const auto& member : object_or_empty(object_or_empty(object, "status"), which))
      if (const json::string* text = member.value().if_string();
          text && !parse_quantity_milli({text->data(), text->size()}))
        errors.push_back(FieldError::invalid((Path{"status"} / which).key(member.key()).text, member.value(),
                                             "must be a quantity such as 500m or 64Mi"));
}

void node_update(FieldErrors& errors, const json::object& old, const json::object& updated) {
  const json::object& before = object_or_empty(old, "spec");
  const json::object& after = object_or_empty(updated, "spec");
  if (!array_or_empty(before, "podCIDRs").empty() &&
      array_or_empty(before, "podCIDRs") != array_or_empty(after, "podCIDRs"))
    errors.push_back(
        FieldError::forbidden("spec.podCIDRs", "node updates may not change podCIDR except from \"\" to valid"));
  if (!text_in(before, "providerID").empty() && text_in(before, "providerID") != text_in(after, "providerID"))
    errors.push_back(
        FieldError::forbidden("spec.providerID", "node updates may not change providerID except from \"\" to valid"));
}

void config_map(FieldErrors& errors, const json::object& object) {
  size_t size = data(errors, object, "data", false) + data(errors, object, "binaryData", true);
  for (const auto& member : object_or_empty(object, "binaryData"))
    if (object_or_empty(object, "data").contains(member.key()))
      errors.push_back(FieldError::invalid(Path{"data"}.key(member.key()).text, json::value(member.key()),
                                           "duplicate of key present in binaryData"));
  if (size > kMostData) errors.push_back(FieldError::too_long("", kMostData));
}

void secret(FieldErrors& errors, const json::object& object) {
  if (data(errors, object, "data", true) > kMostData) errors.push_back(FieldError::too_long("data", kMostData));
  auto type = text_in(object, "type");
  auto needs = [&](std::string_view key) {
    if (!object_or_empty(object, "data").contains(key))
      errors.push_back(FieldError::required(Path{"data"}.key(key).text));
  };
  if (type == "kubernetes.io/tls") {
    needs("tls.crt");
    needs("tls.key");
  } else if (type == "kubernetes.io/dockerconfigjson") {
    needs(".dockerconfigjson");
  } else if (type == "kubernetes.io/ssh-auth") {
    needs("ssh-privatekey");
  }
}

void data_update(FieldErrors& errors, const json::object& old, const json::object& updated, std::string_view kind) {
  if (kind == "Secret") immutable(errors, {"type"}, find(old, "type"), find(updated, "type"));
  if (!flag_in(old, "immutable")) return;
  constexpr std::string_view kReason = "field is immutable when `immutable` is set";
  if (!flag_in(updated, "immutable")) errors.push_back(FieldError::forbidden("immutable", std::string(kReason)));
  for (auto field : {"data", "binaryData"})
    if (object_or_empty(old, field) != object_or_empty(updated, field))
      errors.push_back(FieldError::forbidden(field, std::string(kReason)));
}

void event(FieldErrors& errors, const json::object& object) {
  const json::object& involved = object_or_empty(object, "involvedObject");
  auto ns = text_in(object_or_empty(object, "metadata"), "namespace"), of = text_in(involved, "namespace");
  // Events of cluster objects live in "default" (core/validation/events.go).
  if (of.empty() ? ns != "default" && ns != "kube-system" : of != ns)
    errors.push_back(
        FieldError::invalid("involvedObject.namespace", json::value(of), "does not match event.namespace"));
  if (has(object, "eventTime")) {
    for (auto field : {"reportingComponent", "action", "reason"})
      if (text_in(object, field).empty()) errors.push_back(FieldError::required(field));
    if (auto type = text_in(object, "type"); type != "Normal" && type != "Warning")
      errors.push_back(FieldError::invalid("type", json::value(type), "has invalid value: " + std::string(type)));
  }
  if (text_in(object, "message").size() > 1024 && has(object, "eventTime"))
    errors.push_back(FieldError::too_long("message", 1024));
}

void lease(FieldErrors& errors, const json::object& object) {
  const json::object& spec = object_or_empty(object, "spec");
  if (auto seconds = integer_in(spec, "leaseDurationSeconds"); seconds && *seconds <= 0)
    errors.push_back(FieldError::invalid("spec.leaseDurationSeconds", *seconds, "must be greater than 0"));
  not_negative(errors, {"spec"}, spec, "leaseTransitions");
  if (const json::value* holder = find(spec, "holderIdentity");
      holder && holder->is_string() && holder->get_string().empty())
    errors.push_back(FieldError::invalid("spec.holderIdentity", "", "must not be empty"));
}

}  // namespace causeway::kube::validate
