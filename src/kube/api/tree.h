// Reading Boost.JSON trees member by member; what is missing or of another type reads as absent.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace causeway::kube::tree {

namespace json = boost::json;

// Null when absent or JSON null.
inline const json::value* find(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value && !value->is_null() ? value : nullptr;
}
inline json::value* find(json::object& object, std::string_view name) {
  json::value* value = object.if_contains(name);
  return value && !value->is_null() ? value : nullptr;
}
inline bool has(const json::object& object, std::string_view name) { return find(object, name) != nullptr; }

inline const json::object* object_in(const json::object& object, std::string_view name) {
  const json::value* value = find(object, name);
  return value ? value->if_object() : nullptr;
}
inline json::object* object_in(json::object& object, std::string_view name) {
  json::value* value = find(object, name);
  return value ? value->if_object() : nullptr;
}
inline const json::array* array_in(const json::object& object, std::string_view name) {
  const json::value* value = find(object, name);
  return value ? value->if_array() : nullptr;
}
inline json::array* array_in(json::object& object, std::string_view name) {
  json::value* value = find(object, name);
  return value ? value->if_array() : nullptr;
}
inline std::string_view text_in(const json::object& object, std::string_view name) {
  const json::value* value = find(object, name);
  const json::string* text = value ? value->if_string() : nullptr;
  return text ? std::string_view(text->data(), text->size()) : std::string_view();
}
inline std::optional<int64_t> integer_in(const json::object& object, std::string_view name) {
  const json::value* value = find(object, name);
  if (!value || !value->is_int64()) return std::nullopt;
  return value->get_int64();
}
inline bool flag_in(const json::object& object, std::string_view name) {
  const json::value* value = find(object, name);
  return value && value->is_bool() && value->get_bool();
}

// The shared empty ones, so that callers need no null checks.
inline const json::object& object_or_empty(const json::object& object, std::string_view name) {
  static const json::object kEmpty;
  const json::object* found = object_in(object, name);
  return found ? *found : kEmpty;
}
inline const json::array& array_or_empty(const json::object& object, std::string_view name) {
  static const json::array kEmpty;
  const json::array* found = array_in(object, name);
  return found ? *found : kEmpty;
}

// The object there; made when absent.
inline json::object& make_object(json::object& object, std::string_view name) {
  if (json::object* found = object_in(object, name)) return *found;
  return object.insert_or_assign(name, json::object{}).first->value().get_object();
}
// Sets it when absent, null, or (a string) empty.
inline void set_default(json::object& object, std::string_view name, json::value value) {
  const json::value* found = find(object, name);
  if (found && !(found->is_string() && found->get_string().empty())) return;
  object.insert_or_assign(name, std::move(value));
}

// Calls each(element) for the elements that are objects.
template <class Each>
void for_each_object(json::object& object, std::string_view name, Each&& each) {
  if (json::array* list = array_in(object, name))
    for (json::value& item : *list)
      if (json::object* element = item.if_object()) each(*element);
}

}  // namespace causeway::kube::tree
