#include "apiserver/open_api.h"

#include <boost/json.hpp>
#include <set>

#include "apiserver/json_tree.h"
#include "apiserver/kinds.h"
#include "kube/api/schema.h"

namespace causeway::apiserver {

namespace {

// FNV-1a: names a version of a document, guards nothing.
std::string hash_of(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char c : text) hash = (hash ^ c) * 0x100000001b3;
  return fmt::format("{:016X}", hash);
}

json::object group_version_kind(const kube::KindInfo& info) {
  return {{"group", info.group}, {"version", info.version}, {"kind", info.kind}};
}

json::object reference(const kube::TypeSchema& type) {
  return {{"$ref", "#/components/schemas/" + kube::open_api_name(type)}};
}

json::object value_schema(const kube::FieldSchema& field) {
  using kube::ValueType;
  switch (field.type) {
    case ValueType::String: return {{"type", "string"}, {"default", ""}};
    case ValueType::Bool: return {{"type", "boolean"}};
    case ValueType::Int32: return {{"type", "integer"}, {"format", "int32"}};
    case ValueType::Int64: return {{"type", "integer"}, {"format", "int64"}};
    case ValueType::Bytes: return {{"type", "string"}, {"format", "byte"}};
    case ValueType::Time: return {{"type", "string"}, {"format", "date-time"}};
    case ValueType::MicroTime: return {{"type", "string"}, {"format", "date-time"}};
    case ValueType::Quantity: return {{"type", "string"}};
    case ValueType::IntOrString: return {{"type", "string"}, {"format", "int-or-string"}};
    case ValueType::Any: return {{"type", "object"}};
    case ValueType::Object: return reference(*field.object);
  }
  std::abort();
}

json::object field_schema(const kube::FieldSchema& field) {
  json::object value = value_schema(field);
  json::object schema;
  switch (field.shape) {
    case kube::Shape::One: schema = std::move(value); break;
    case kube::Shape::List: schema = {{"type", "array"}, {"items", std::move(value)}}; break;
    case kube::Shape::Map: schema = {{"type", "object"}, {"additionalProperties", std::move(value)}}; break;
  }
  if (field.shape == kube::Shape::One && field.type == kube::ValueType::Object) {
    // Nothing may stand beside a $ref.
    schema = {{"allOf", json::array{std::move(schema)}}, {"default", json::object{}}};
  }
  if (!field.enum_values.empty()) {
    json::array values;
    for (std::string_view value : field.enum_values) values.push_back(json::value_from(value));
    schema["enum"] = std::move(values);
  }
  if (field.merge) schema["x-kubernetes-patch-strategy"] = field.retain_keys ? "merge,retainKeys" : "merge";
  if (!field.merge && field.retain_keys) schema["x-kubernetes-patch-strategy"] = "retainKeys";
  if (!field.merge_key.empty()) schema["x-kubernetes-patch-merge-key"] = field.merge_key;
  if (!field.list_keys.empty()) {
    json::array keys;
    for (std::string_view key : field.list_keys) keys.push_back(json::value_from(key));
    schema["x-kubernetes-list-type"] = "map";
    schema["x-kubernetes-list-map-keys"] = std::move(keys);
  }
  if (field.set) schema["x-kubernetes-list-type"] = "set";
  return schema;
}

// The type and all that it holds.
void add_schemas(json::object& schemas, const kube::TypeSchema& type) {
  const std::string name = kube::open_api_name(type);
  if (schemas.contains(name)) return;
  schemas[name] = nullptr;  // a type that holds itself ends here
  json::object properties;
  json::array required;
  for (const kube::FieldSchema& field : type.fields) {
    properties[field.name] = field_schema(field);
    if (field.required) required.push_back(json::value_from(field.name));
    if (field.type == kube::ValueType::Object) add_schemas(schemas, *field.object);
  }
  json::object schema{{"type", "object"}, {"properties", std::move(properties)}};
  if (!required.empty()) schema["required"] = std::move(required);
  schemas[name] = std::move(schema);
}

json::object parameter(std::string_view name, std::string_view in, std::string_view type = "string") {
  json::object shown{{"name", name}, {"in", in}, {"schema", {{"type", type}, {"uniqueItems", true}}}};
  if (in == "path") shown["required"] = true;
  return shown;
}

json::object operation(const Kind& kind, std::string_view action, bool writes, const json::object& result) {
  json::array parameters;
  if (writes)
    for (std::string_view name : {"dryRun", "fieldManager", "fieldValidation"})
      parameters.push_back(parameter(name, "query"));
  if (action == "list") {
    for (std::string_view name :
         {"continue", "fieldSelector", "labelSelector", "resourceVersion", "resourceVersionMatch"})
      parameters.push_back(parameter(name, "query"));
    for (std::string_view name : {"limit", "timeoutSeconds"}) parameters.push_back(parameter(name, "query", "integer"));
    for (std::string_view name : {"allowWatchBookmarks", "sendInitialEvents", "watch"})
      parameters.push_back(parameter(name, "query", "boolean"));
  }
  const json::object content{{"application/json", {{"schema", result}}}};
  json::object shown{
      {"operationId", fmt::format("{}{}{}{}", action, kind.info.group, kind.info.version, kind.info.kind)},
      {"responses", {{"200", {{"description", "OK"}, {"content", content}}}}},
      {"x-kubernetes-action", action},
      {"x-kubernetes-group-version-kind", group_version_kind(kind.info)}};
  if (!parameters.empty()) shown["parameters"] = std::move(parameters);
  // PATCH names no body on purpose: kubectl then merges by what it knows of the kind itself.
  if (action == "post" || action == "put") shown["requestBody"] = {{"required", true}, {"content", content}};
  return shown;
}

void add_paths(json::object& paths, const Kind& kind, const json::object& object) {
  const std::string base =
      kind.info.namespaced ? kube::collection_path(kind.info, "{namespace}") : kube::collection_path(kind.info);
  json::array ns;
  if (kind.info.namespaced) ns.push_back(parameter("namespace", "path"));
  json::array named = ns;
  named.push_back(parameter("name", "path"));
  json::object collection{{"parameters", ns}};
  json::object single{{"parameters", named}};
  collection["get"] = operation(kind, "list", false, object);
  single["get"] = operation(kind, "get", false, object);
  if (!kind.stored_as) {
    collection["post"] = operation(kind, "post", true, object);
    collection["delete"] = operation(kind, "deletecollection", false, object);
    single["put"] = operation(kind, "put", true, object);
    single["patch"] = operation(kind, "patch", true, object);
    single["delete"] = operation(kind, "delete", false, object);
  }
  if (kind.info.namespaced) paths[kube::collection_path(kind.info)] = {{"get", operation(kind, "list", false, object)}};
  paths[base] = std::move(collection);
  paths[base + "/{name}"] = std::move(single);
}

json::object document(const GroupVersion& served) {
  json::object paths;
  json::object schemas;
  for (const Kind& kind : all_kinds()) {
    if (kind.info.group != served.group || kind.info.version != served.version) continue;
    const kube::TypeSchema* type = kube::schema_of(kind.info);
    if (!type) continue;
    add_schemas(schemas, *type);
    schemas[kube::open_api_name(*type)].as_object()["x-kubernetes-group-version-kind"] =
        json::array{group_version_kind(kind.info)};
    add_paths(paths, kind, reference(*type));
  }
  return {{"openapi", "3.0.0"},
          {"info", {{"title", "Causeway"}, {"version", "v1.36"}}},
          {"paths", std::move(paths)},
          {"components", {{"schemas", std::move(schemas)}}}};
}

}  // namespace

const std::map<std::string, OpenApi::Document>& OpenApi::documents() {
  if (documents_.empty()) {
    for (const GroupVersion& served : group_versions()) {
      std::string text = json::serialize(document(served));
      std::string hash = hash_of(text);
      const std::string path = served.group.empty() ? fmt::format("api/{}", served.version)
                                                    : fmt::format("apis/{}/{}", served.group, served.version);
      documents_.emplace(path, Document{std::move(text), std::move(hash)});
    }
  }
  return documents_;
}

std::optional<http::Response> OpenApi::serve(const http::Request& request, const http::Target& target) {
  constexpr std::string_view kRoot = "/openapi/v3";
  std::string_view path = target.path;
  // An empty protobuf message is an empty version 2 document: kubectl then looks a kind that it does not know up in
  // discovery, and says that there is none.
  if (path == "/openapi/v2")
    return http::Response{.headers = {{"Content-Type", "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"}}};
  if (!path.starts_with(kRoot)) return std::nullopt;
  path.remove_prefix(kRoot.size());
  if (path.empty() || path == "/") {
    json::object paths;
    for (const auto& [name, document] : documents())
      paths[name] = {{"serverRelativeURL", fmt::format("{}/{}?hash={}", kRoot, name, document.hash)}};
    return http::Response{.headers = {{"Content-Type", "application/json"}},
                          .body = json::serialize(json::object{{"paths", paths}})};
  }
  auto found = documents().find(std::string(path.substr(1)));
  if (found == documents().end()) return std::nullopt;
  const Document& document = found->second;
  http::Headers headers{{"Content-Type", "application/json"}, {"ETag", fmt::format("\"{}\"", document.hash)}};
  // A URL with the hash never changes its content.
  if (target.get("hash") == document.hash) headers["Cache-Control"] = "public, immutable, max-age=31536000";
  auto known = request.headers.find("If-None-Match");
  if (known != request.headers.end() && known->second.find(document.hash) != std::string::npos)
    return http::Response{.status = 304, .headers = std::move(headers)};
  return http::Response{.headers = std::move(headers), .body = document.text};
}

}  // namespace causeway::apiserver
