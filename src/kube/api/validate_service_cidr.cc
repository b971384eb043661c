// ServiceCIDR and IPAddress.
#include <boost/json/serialize.hpp>

#include "base/ip.h"
#include "kube/api/names.h"
#include "kube/api/validate.h"

namespace causeway::kube::validate {

namespace {

constexpr const char* kImmutable = "field is immutable";

std::string_view text_of(const json::value& value) {
  const json::string* text = value.if_string();
  return text ? std::string_view(text->data(), text->size()) : std::string_view();
}

}  // namespace

void service_cidr(FieldErrors& errors, const json::object& object) {
  const Path path{"spec.cidrs"};
  const json::array& cidrs = array_or_empty(object_or_empty(object, "spec"), "cidrs");
  if (cidrs.empty()) return errors.push_back(FieldError::required(path.text, "at least one CIDR required"));
  if (cidrs.size() > 2) return errors.push_back(FieldError::invalid(path.text, cidrs, "may only hold up to 2 values"));
  for (size_t i = 0; i < cidrs.size(); ++i) {
    const auto text = text_of(cidrs[i]);
    const size_t before = errors.size();
    cidr(errors, path[i], text);
    if (errors.size() != before) continue;
    // New API: only the canonical form.
    if (const auto form = to_string(*Cidr::parse(text)); form != text)
      add_if_wrong(errors, path[i], text, fmt::format("must be in canonical form (\"{}\")", form));
  }
  if (cidrs.size() < 2) return;
  const auto one = Cidr::parse(text_of(cidrs[0])), two = Cidr::parse(text_of(cidrs[1]));
  if (one && two && one->family() == two->family())
    errors.push_back(FieldError::invalid(
        path.text, cidrs, "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"));
}

// A second family may join; nothing else changes.
void service_cidr_update(FieldErrors& errors, const json::object& old, const json::object& updated) {
  const json::array& before = array_or_empty(object_or_empty(old, "spec"), "cidrs");
  const json::array& after = array_or_empty(object_or_empty(updated, "spec"), "cidrs");
  const Path path{"spec.cidrs"};
  if (before.size() != after.size() && !(before.size() == 1 && after.size() == 2))
    return errors.push_back(FieldError::invalid(path.text, after, kImmutable));
  for (size_t i = 0; i < before.size(); ++i)
    if (before[i] != after[i]) errors.push_back(FieldError::invalid(path[i].text, after[i], kImmutable));
}

void address_object(FieldErrors& errors, const json::object& object) {
  const Path path{"spec.parentRef"};
  const json::object* parent = object_in(object_or_empty(object, "spec"), "parentRef");
  if (!parent) return errors.push_back(FieldError::required(path.text));
  if (auto group = text_in(*parent, "group"); !group.empty())
    add_if_wrong(errors, path / "group", group, check_dns1123_subdomain(group));
  for (auto field : {"resource", "name"}) {
    const auto text = text_in(*parent, field);
    if (text.empty())
      errors.push_back(FieldError::required((path / field).text));
    else
      add_if_wrong(errors, path / field, text, check_path_segment(text));
  }
  if (auto ns = text_in(*parent, "namespace"); !ns.empty())
    add_if_wrong(errors, path / "namespace", ns, check_path_segment(ns));
}

void address_object_update(FieldErrors& errors, const json::object& old, const json::object& updated) {
  immutable(errors, {"spec.parentRef"}, find(object_or_empty(old, "spec"), "parentRef"),
            find(object_or_empty(updated, "spec"), "parentRef"));
}

}  // namespace causeway::kube::validate
