// Field rules that several kinds share, and metadata.
#include <algorithm>
#include <charconv>
#include <set>

#include "base/ip.h"
#include "kube/api/names.h"
#include "kube/api/selector.h"
#include "kube/api/validate.h"

namespace causeway::kube::validate {

void add_if_wrong(FieldErrors& errors, const Path& path, std::string_view value, const std::string& complaint) {
  if (!complaint.empty()) errors.push_back(FieldError::invalid(path.text, json::value(value), complaint));
}

void one_of(FieldErrors& errors, const Path& path, std::string_view value,
            std::initializer_list<std::string_view> allowed) {
  if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return;
  errors.push_back(FieldError::not_supported(path.text, json::value(value), {allowed.begin(), allowed.size()}));
}

void protocol(FieldErrors& errors, const Path& path, const json::object& object) {
  auto value = text_in(object, "protocol");
  if (value.empty())
    errors.push_back(FieldError::required((path / "protocol").text));
  else
    one_of(errors, path / "protocol", value, {"SCTP", "TCP", "UDP"});
}

void port_number(FieldErrors& errors, const Path& path, int64_t port) {
  if (port < 1 || port > 65535)
    errors.push_back(FieldError::invalid(path.text, port, "must be between 1 and 65535, inclusive"));
}

void port_or_name(FieldErrors& errors, const Path& path, const json::value* value) {
  if (!value) return port_number(errors, path, 0);
  if (value->is_int64()) return port_number(errors, path, value->get_int64());
  if (const json::string* name = value->if_string())
    add_if_wrong(errors, path, {name->data(), name->size()}, check_port_name({name->data(), name->size()}));
}

void not_negative(FieldErrors& errors, const Path& path, const json::object& object, std::string_view field) {
  if (auto value = integer_in(object, field); value && *value < 0)
    errors.push_back(FieldError::invalid((path / field).text, *value, "must be greater than or equal to 0"));
}

void ip_address(FieldErrors& errors, const Path& path, std::string_view text) {
  if (!Ip::parse(text))
    errors.push_back(FieldError::invalid(path.text, json::value(text),
                                         "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"));
}

void cidr(FieldErrors& errors, const Path& path, std::string_view text) {
  if (Cidr::parse(text)) return;
  // Host bits are the frequent fault: say so, with the form that was meant.
  size_t slash = text.find('/');
  auto address = Ip::parse(text.substr(0, slash));
  std::string_view length = slash == std::string_view::npos ? std::string_view() : text.substr(slash + 1);
  int prefix = -1;
  std::from_chars(length.data(), length.data() + length.size(), prefix);
  std::string detail = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
  if (address && prefix >= 0 && prefix <= address->bits() && std::to_string(prefix) == length)
    detail = fmt::format("must not have bits set beyond the prefix length (should be \"{}\")",
                         to_string(Cidr(*address, prefix)));
  errors.push_back(FieldError::invalid(path.text, json::value(text), detail));
}

void endpoint_ip(FieldErrors& errors, const Path& path, std::string_view text) {
  const auto ip = Ip::parse(text);
  if (!ip) return ip_address(errors, path, text);
  std::string detail;
  if (ip->is_unspecified())
    detail = fmt::format("may not be unspecified ({})", text);
  else if (ip->is_loopback())
    detail = "may not be in the loopback range (127.0.0.0/8, ::1/128)";
  else if (ip->is_link_local())
    detail = "may not be in the link-local range (169.254.0.0/16, fe80::/10)";
  else if (ip->is_multicast())
    detail = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)";
  add_if_wrong(errors, path, text, detail);
}

void labels(FieldErrors& errors, const Path& path, const json::object& labels) {
  for (const auto& member : labels) {
    add_if_wrong(errors, path, member.key(), check_qualified_name(member.key()));
    if (const json::string* value = member.value().if_string())
      add_if_wrong(errors, path, {value->data(), value->size()}, check_label_value({value->data(), value->size()}));
  }
}

void label_selector(FieldErrors& errors, const Path& path, const json::object& selector) {
  labels(errors, path / "matchLabels", object_or_empty(selector, "matchLabels"));
  size_t index = 0;
  for (const json::value& item : array_or_empty(selector, "matchExpressions")) {
    Path at = (path / "matchExpressions")[index++];
    const json::object* expression = item.if_object();
    if (!expression) continue;
    auto op = text_in(*expression, "operator");
    const json::array& values = array_or_empty(*expression, "values");
    if (op == "In" || op == "NotIn") {
      if (values.empty())
        errors.push_back(
            FieldError::required((at / "values").text, "must be specified when `operator` is 'In' or 'NotIn'"));
    } else if (op == "Exists" || op == "DoesNotExist") {
      if (!values.empty())
        errors.push_back(FieldError::forbidden((at / "values").text,
                                               "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
    } else {
      errors.push_back(FieldError::invalid((at / "operator").text, json::value(op), "not a valid selector operator"));
    }
    auto key = text_in(*expression, "key");
    add_if_wrong(errors, at / "key", key, check_qualified_name(key));
    for (size_t i = 0; i < values.size(); ++i)
      if (const json::string* value = values[i].if_string())
        add_if_wrong(errors, (at / "values")[i], {value->data(), value->size()},
                     check_label_value({value->data(), value->size()}));
  }
}

void taint_effect(FieldErrors& errors, const Path& path, std::string_view effect) {
  one_of(errors, path, effect, {"NoSchedule", "PreferNoSchedule", "NoExecute"});
}

void immutable(FieldErrors& errors, const Path& path, const json::value* old, const json::value* updated,
               std::string_view detail) {
  json::value none;
  const json::value& before = old ? *old : none;
  const json::value& after = updated ? *updated : none;
  if (before != after) errors.push_back(FieldError::invalid(path.text, after, std::string(detail)));
}

StringMap string_map(const json::object& object) {
  StringMap map;
  for (const auto& member : object)
    if (const json::string* text = member.value().if_string())
      map.emplace(member.key(), std::string(text->data(), text->size()));
  return map;
}

LabelSelector typed_selector(const json::object& selector) {
  LabelSelector typed;
  typed.match_labels = string_map(object_or_empty(selector, "matchLabels"));
  for (const json::value& item : array_or_empty(selector, "matchExpressions")) {
    const json::object* expression = item.if_object();
    if (!expression) continue;
    auto& requirement = typed.match_expressions.emplace_back();
    requirement.key = text_in(*expression, "key");
    requirement.op = text_in(*expression, "operator");
    for (const json::value& value : array_or_empty(*expression, "values"))
      if (const json::string* text = value.if_string()) requirement.values.emplace_back(text->data(), text->size());
  }
  return typed;
}

namespace {
// The number before "%", or nothing.
std::optional<int64_t> percentage(const json::string& text) {
  std::string_view digits(text.data(), text.size());
  if (!digits.ends_with('%')) return std::nullopt;
  digits.remove_suffix(1);
  int64_t value = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || digits[0] == '-' || error != std::errc() || end != digits.data() + digits.size())
    return std::nullopt;
  return value;
}
}  // namespace

int64_t int_or_percent(const json::value* value) {
  if (!value) return 0;
  if (value->is_int64()) return value->get_int64();
  return value->is_string() ? percentage(value->get_string()).value_or(0) : 0;
}

void int_or_percent_field(FieldErrors& errors, const Path& path, const json::value* value) {
  if (!value) return;
  if (value->is_int64()) {
    if (value->get_int64() < 0)
      errors.push_back(FieldError::invalid(path.text, *value, "must be greater than or equal to 0"));
  } else if (value->is_string() && !percentage(value->get_string())) {
    errors.push_back(FieldError::invalid(
        path.text, *value,
        "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used "
        "for validation is '[0-9]+%')"));
  }
}

void metadata(FieldErrors& errors, const json::object& object, bool namespaced, NameCheck name_check) {
  const json::object& meta = object_or_empty(object, "metadata");
  Path path{"metadata"};
  auto name = text_in(meta, "name");
  auto prefix = text_in(meta, "generateName");
  if (name.empty()) {
    errors.push_back(FieldError::required((path / "name").text, "name or generateName is required"));
  } else {
    add_if_wrong(errors, path / "name", name, name_check(name));
  }
  // A prefix may end in '-'; what follows it makes it a name.
  if (!prefix.empty() && name.empty())
    add_if_wrong(errors, path / "generateName", prefix, name_check(std::string(prefix) + "a"));
  auto ns = text_in(meta, "namespace");
  if (namespaced && ns.empty()) errors.push_back(FieldError::required((path / "namespace").text));
  if (namespaced && !ns.empty()) add_if_wrong(errors, path / "namespace", ns, check_dns1123_label(ns));
  if (!namespaced && !ns.empty())
    errors.push_back(FieldError::forbidden((path / "namespace").text, "not allowed on this type"));
  not_negative(errors, path, meta, "generation");

  labels(errors, path / "labels", object_or_empty(meta, "labels"));
  size_t size = 0;
  for (const auto& member : object_or_empty(meta, "annotations")) {
    std::string lower(member.key());
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
    add_if_wrong(errors, path / "annotations", member.key(), check_qualified_name(lower));
    size += member.key().size() + (member.value().is_string() ? member.value().get_string().size() : 0);
  }
  if (size > 256 * 1024) errors.push_back(FieldError::too_long((path / "annotations").text, 256 * 1024));

  size_t index = 0, controllers = 0;
  for (const json::value& item : array_or_empty(meta, "ownerReferences")) {
    Path at = (path / "ownerReferences")[index++];
    const json::object* owner = item.if_object();
    if (!owner) continue;
    for (std::string_view field : {"apiVersion", "kind", "name", "uid"})
      if (text_in(*owner, field).empty())
        errors.push_back(
            FieldError::invalid((at / field).text, json::value(text_in(*owner, field)),
                                field == "apiVersion" ? "version must not be empty" : "must not be empty"));
    if (flag_in(*owner, "controller") && ++controllers == 2)
      errors.push_back(FieldError::invalid((path / "ownerReferences").text, meta.at("ownerReferences"),
                                           "Only one reference can have Controller set to true"));
  }
  index = 0;
  for (const json::value& item : array_or_empty(meta, "finalizers"))
    if (const json::string* text = item.if_string())
      add_if_wrong(errors, (path / "finalizers")[index++], {text->data(), text->size()},
                   check_qualified_name({text->data(), text->size()}));
}

void metadata_update(FieldErrors& errors, const json::object& old, const json::object& updated) {
  const json::object& before = object_or_empty(old, "metadata");
  const json::object& after = object_or_empty(updated, "metadata");
  Path path{"metadata"};
  for (auto field :
       {"name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"})
    immutable(errors, path / field, find(before, field), find(after, field));
  // Nobody may hold on to an object whose deletion has begun (apimachinery's ValidateNoNewFinalizers).
  if (!has(before, "deletionTimestamp")) return;
  std::vector<std::string> added;
  for (const json::value& item : array_or_empty(after, "finalizers")) {
    const json::array& known = array_or_empty(before, "finalizers");
    if (item.is_string() && std::find(known.begin(), known.end(), item) == known.end())
      added.emplace_back(item.get_string().data(), item.get_string().size());
  }
  if (!added.empty())
    errors.push_back(FieldError::forbidden(
        (path / "finalizers").text,
        fmt::format("no new finalizers can be added if the object is being deleted, found new finalizers [{}]",
                    fmt::join(added, " "))));
}

}  // namespace causeway::kube::validate
