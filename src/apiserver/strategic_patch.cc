#include "apiserver/strategic_patch.h"

#include <algorithm>
#include <boost/json.hpp>

#include "apiserver/element_order.h"
#include "apiserver/json_tree.h"

namespace causeway::apiserver {

namespace {

constexpr std::string_view kPatch = "$patch";
constexpr std::string_view kRetainKeys = "$retainKeys";
constexpr std::string_view kDeletePrimitive = "$deleteFromPrimitiveList/";
constexpr std::string_view kElementOrder = "$setElementOrder/";

std::string_view name_of(const json::key_value_pair& member) { return {member.key().data(), member.key().size()}; }

std::unexpected<Error> wrong(std::string_view path, std::string_view why) {
  return fail(Errc::Invalid, "strategic merge patch{}{}: {}", path.empty() ? "" : " at ", path, why);
}

std::string under(std::string_view path, std::string_view name) {
  return path.empty() ? std::string(name) : fmt::format("{}.{}", path, name);
}

Result<const json::array*> as_list(const json::value& value, std::string_view path, std::string_view directive) {
  const json::array* list = value.if_array();
  if (!list) return wrong(path, fmt::format("{} is no list", directive));
  return list;
}

Status merge_object(json::object& target, const json::object& patch, const kube::TypeSchema* type, std::string path);

template <class Predicate>
void remove_if(json::array& list, Predicate predicate) {
  list.erase(std::remove_if(list.begin(), list.end(), predicate), list.end());
}

// Keeps only the named members of the target; what the patch itself sets must be among them.
Status retain_keys(json::object& target, const json::object& patch, const json::value& directive,
                   std::string_view path) {
  const json::array& keys = *TRY(as_list(directive, path, kRetainKeys));
  auto retained = [&](std::string_view name) {
    return std::any_of(keys.begin(), keys.end(),
                       [&](const json::value& key) { return key.is_string() && view(key.get_string()) == name; });
  };
  for (const auto& member : patch)
    if (!name_of(member).starts_with('$') && !member.value().is_null() && !retained(name_of(member)))
      return wrong(path, fmt::format("$retainKeys does not name \"{}\", which the patch sets", name_of(member)));
  json::object kept(target.storage());
  for (auto& member : target)
    if (retained(name_of(member))) kept.emplace(member.key(), std::move(member.value()));
  target = std::move(kept);
  return ok();
}

// Values of a list that is a set: the patch's are added.
void merge_scalars(json::array& target, const json::array& patch) {
  for (const json::value& value : patch)
    if (std::find(target.begin(), target.end(), value) == target.end()) target.push_back(value);
}

// Elements with a key: the directives first, then each is merged into its like, or added.
Status merge_elements(json::array& target, const json::array& patch, const kube::FieldSchema& field,
                      const std::string& path) {
  json::array plain;
  bool replace = false;
  for (const json::value& element : patch) {
    const json::object* object = element.if_object();
    if (!object) return wrong(path, "an element of the list is no object");
    const json::value* directive = object->if_contains(kPatch);
    const json::value* key = object->if_contains(field.merge_key);
    if (directive && *directive == "replace") {
      replace = true;
      json::object rest = *object;
      rest.erase(kPatch);
      if (!rest.empty()) plain.push_back(std::move(rest));
      continue;
    }
    if (!key) return wrong(path, fmt::format("an element of the list has no \"{}\", its merge key", field.merge_key));
    if (!directive || *directive == "merge") {
      plain.push_back(element);
      continue;
    }
    if (*directive != "delete") return wrong(path, "$patch is none of delete, replace, merge");
    remove_if(target, [&](const json::value& old) { return element_key(old, field.merge_key) == *key; });
  }
  if (replace) target.clear();
  for (const json::value& element : plain) {
    const json::value key = element_key(element, field.merge_key);
    auto same = std::find_if(target.begin(), target.end(),
                             [&](const json::value& old) { return element_key(old, field.merge_key) == key; });
    json::object merged = same != target.end() && same->is_object() ? same->get_object() : json::object{};
    TRY(merge_object(merged, element.get_object(), field.object, path + "[]"));
    if (same != target.end())
      *same = std::move(merged);
    else
      target.push_back(std::move(merged));
  }
  return ok();
}

// A list that merges, with the order that $setElementOrder or else the patch asks for.
Status merge_list(json::object& target, std::string_view name, const json::array& patch, const json::array* order,
                  const json::array* remove, const kube::FieldSchema& field, const std::string& path) {
  json::value& value = target[name];
  if (!value.is_array()) value = json::array(target.storage());
  json::array& list = value.get_array();
  const json::array before = list;
  if (remove)
    remove_if(list,
              [&](const json::value& old) { return std::find(remove->begin(), remove->end(), old) != remove->end(); });
  if (field.merge_key.empty())
    merge_scalars(list, patch);
  else
    TRY(merge_elements(list, patch, field, path));
  list = order_elements(std::move(list), order ? *order : patch, before, field.merge_key);
  // What the patch emptied stays as an empty list only when it was there or was asked for.
  if (list.empty() && before.empty() && patch.empty()) target.erase(name);
  return ok();
}

Status merge_value(json::object& target, std::string_view name, const json::value& value,
                   const kube::FieldSchema* field, const std::string& path) {
  if (value.is_null()) {
    target.erase(name);
    return ok();
  }
  if (const json::object* members = value.if_object()) {
    json::value& old = target[name];
    if (!old.is_object()) old = json::object(target.storage());
    const bool known = field && field->type == kube::ValueType::Object && field->shape == kube::Shape::One;
    return merge_object(old.get_object(), *members, known ? field->object : nullptr, path);
  }
  target.insert_or_assign(name, value);
  return ok();
}

Status merge_object(json::object& target, const json::object& patch, const kube::TypeSchema* type, std::string path) {
  if (const json::value* directive = patch.if_contains(kPatch)) {
    if (*directive == "delete") {
      target.clear();
      return ok();
    }
    if (*directive == "replace")
      target.clear();
    else if (*directive != "merge")
      return wrong(path, "$patch is none of delete, replace, merge");
  }
  if (const json::value* directive = patch.if_contains(kRetainKeys)) TRY(retain_keys(target, patch, *directive, path));

  // The lists that merge, with the directives that may stand beside them or alone.
  struct ListPatch {
    const json::array* elements = nullptr;
    const json::array* order = nullptr;
    const json::array* remove = nullptr;
  };
  std::map<std::string, ListPatch, std::less<>> lists;
  for (const auto& member : patch) {
    const std::string_view name = name_of(member);
    if (name == kPatch || name == kRetainKeys) continue;
    if (name.starts_with(kElementOrder)) {
      lists[std::string(name.substr(kElementOrder.size()))].order = TRY(as_list(member.value(), path, name));
    } else if (name.starts_with(kDeletePrimitive)) {
      lists[std::string(name.substr(kDeletePrimitive.size()))].remove = TRY(as_list(member.value(), path, name));
    } else {
      const kube::FieldSchema* field = type ? type->find(name) : nullptr;
      if (const json::array* elements = member.value().if_array(); elements && field && field->merge)
        lists[std::string(name)].elements = elements;
      else
        TRY(merge_value(target, name, member.value(), field, under(path, name)));
    }
  }
  for (const auto& [name, list] : lists) {
    static const json::array kNone;
    const kube::FieldSchema* field = type ? type->find(name) : nullptr;
    if (!field || !field->merge) {
      // An order beside a list that is replaced says nothing more.
      if (list.remove) return wrong(under(path, name), "$deleteFromPrimitiveList on a list that does not merge");
      continue;
    }
    if (patch.if_contains(name) && !list.elements) continue;  // null: removed above
    TRY(merge_list(target, name, list.elements ? *list.elements : kNone, list.order, list.remove, *field,
                   under(path, name)));
  }
  return ok();
}

}  // namespace

Status apply_strategic_patch(json::object& target, const json::object& patch, const kube::TypeSchema& type) {
  json::object result = target;
  TRY(merge_object(result, patch, &type, ""));
  target = std::move(result);
  return ok();
}

}  // namespace causeway::apiserver
