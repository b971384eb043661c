#include "apiserver/json_tree.h"

#include <boost/json.hpp>

namespace causeway::apiserver {

namespace {

// Takes the first name off a dotted path.
std::string_view take_name(std::string_view& path) {
  const size_t dot = path.find('.');
  const std::string_view name = path.substr(0, dot);
  path = dot == std::string_view::npos ? std::string_view{} : path.substr(dot + 1);
  return name;
}

}  // namespace

const json::value* find_at(const json::object& root, std::string_view path) {
  const json::object* object = &root;
  while (true) {
    const json::value* value = object->if_contains(take_name(path));
    if (!value || path.empty()) return value;
    object = value->if_object();
    if (!object) return nullptr;
  }
}

json::value* find_at(json::object& root, std::string_view path) {
  return const_cast<json::value*>(find_at(std::as_const(root), path));
}

std::string_view text_at(const json::object& root, std::string_view path, std::string_view fallback) {
  const json::value* value = find_at(root, path);
  return value && value->is_string() ? view(value->get_string()) : fallback;
}

int64_t int_at(const json::object& root, std::string_view path, int64_t fallback) {
  const json::value* value = find_at(root, path);
  if (!value) return fallback;
  if (value->is_int64()) return value->get_int64();
  if (value->is_uint64()) return static_cast<int64_t>(value->get_uint64());
  return fallback;
}

bool bool_at(const json::object& root, std::string_view path, bool fallback) {
  const json::value* value = find_at(root, path);
  return value && value->is_bool() ? value->get_bool() : fallback;
}

const json::object& object_at(const json::object& root, std::string_view path) {
  static const json::object kEmpty;
  const json::value* value = find_at(root, path);
  return value && value->is_object() ? value->get_object() : kEmpty;
}

const json::array& array_at(const json::object& root, std::string_view path) {
  static const json::array kEmpty;
  const json::value* value = find_at(root, path);
  return value && value->is_array() ? value->get_array() : kEmpty;
}

json::object& make_object_at(json::object& root, std::string_view path) {
  json::object* object = &root;
  while (!path.empty()) {
    json::value& value = (*object)[take_name(path)];
    if (!value.is_object()) value = json::object(value.storage());
    object = &value.get_object();
  }
  return *object;
}

void set_at(json::object& root, std::string_view path, json::value value) {
  const size_t dot = path.rfind('.');
  json::object& parent = dot == std::string_view::npos ? root : make_object_at(root, path.substr(0, dot));
  parent.insert_or_assign(dot == std::string_view::npos ? path : path.substr(dot + 1), std::move(value));
}

void erase_at(json::object& root, std::string_view path) {
  const size_t dot = path.rfind('.');
  if (dot == std::string_view::npos) {
    root.erase(path);
    return;
  }
  json::value* parent = find_at(root, path.substr(0, dot));
  if (parent && parent->is_object()) parent->get_object().erase(path.substr(dot + 1));
}

Strings strings_at(const json::object& root, std::string_view path) {
  Strings strings;
  for (const auto& [name, value] : object_at(root, path))
    if (value.is_string()) strings.emplace(std::string_view(name.data(), name.size()), view(value.get_string()));
  return strings;
}

std::string scalar_text_at(const json::object& root, std::string_view path) {
  const json::value* value = find_at(root, path);
  if (!value || value->is_null() || value->is_structured()) return {};
  if (value->is_string()) return std::string(view(value->get_string()));
  return json::serialize(*value);
}

Result<json::value> parse_value(std::string_view text) {
  json::error_code error;
  json::stream_parser parser;
  const size_t read = parser.write(json::string_view(text.data(), text.size()), error);
  if (!error) parser.finish(error);
  if (error) return fail(Errc::Invalid, "not JSON: {} at byte {}", error.message(), read);
  return parser.release();
}

Result<json::object> parse_object(std::string_view text) {
  auto value = TRY(parse_value(text));
  if (!value.is_object()) return fail(Errc::Invalid, "it is no JSON object");
  return std::move(value.get_object());
}

json::object ordered(json::object object) {
  json::object result(object.storage());
  result.reserve(object.size());
  auto take = [&](std::string_view name) {
    if (auto it = object.find(name); it != object.end()) result.emplace(name, std::move(it->value()));
  };
  for (std::string_view name : {"apiVersion", "kind", "metadata"}) take(name);
  for (auto& [name, value] : object)
    if (name != "apiVersion" && name != "kind" && name != "metadata" && name != "spec" && name != "status")
      result.emplace(name, std::move(value));
  for (std::string_view name : {"spec", "status"}) take(name);
  return result;
}

}  // namespace causeway::apiserver
