#include "kube/api/schema.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <unordered_map>

#include "kube/api/schema_table.h"

namespace causeway::kube {

namespace {

struct Schema {
  std::vector<TypeSchema> types;
  std::unordered_map<std::string_view, const TypeSchema*> by_name;
};

std::string_view take_until(std::string_view& text, char end) {
  size_t at = text.find(end);
  std::string_view head = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return head;
}
std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) parts.push_back(take_until(text, separator));
  return parts;
}
bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

constexpr std::pair<std::string_view, ValueType> kScalars[] = {
    {"string", ValueType::String},
    {"bool", ValueType::Bool},
    {"int32", ValueType::Int32},
    {"int64", ValueType::Int64},
    {"bytes", ValueType::Bytes},
    {"time", ValueType::Time},
    {"microtime", ValueType::MicroTime},
    {"quantity", ValueType::Quantity},
    {"intorstring", ValueType::IntOrString},
    {"any", ValueType::Any},
};

// One line of the table; the name of an object type is left in `object_name` until all types are known.
FieldSchema parse_field(std::string_view line, std::string_view& object_name) {
  FieldSchema field;
  field.name = take_until(line, ' ');
  std::string_view type = take_until(line, ' ');
  if (take_prefix(type, "[]"))
    field.shape = Shape::List;
  else if (take_prefix(type, "{}"))
    field.shape = Shape::Map;
  field.type = ValueType::Object;
  for (const auto& [name, scalar] : kScalars)
    if (name == type) field.type = scalar;
  if (field.type == ValueType::Object) object_name = type;
  while (!line.empty()) {
    std::string_view word = take_until(line, ' ');
    if (word == "required")
      field.required = true;
    else if (word == "retainkeys")
      field.retain_keys = true;
    else if (word == "set")
      field.set = true;
    else if (take_prefix(word, "enum="))
      field.enum_values = split(word, '|');
    else if (take_prefix(word, "keys="))
      field.list_keys = split(word, ',');
    else if (take_prefix(word, "merge")) {
      field.merge = true;
      if (take_prefix(word, "=")) field.merge_key = word;
    }
  }
  return field;
}

Schema read_tables() {
  Schema schema;
  std::deque<std::vector<std::string_view>> object_names;
  for (std::string_view table :
       {std::string_view(kSchemaTable), std::string_view(kOwnSchemaTable), std::string_view(kClusterPolicySchemaTable)})
    while (!table.empty()) {
      std::string_view line = take_until(table, '\n');
      if (line.empty()) continue;
      if (!take_prefix(line, " ")) {
        schema.types.push_back({.name = line});
        object_names.emplace_back();
        continue;
      }
      std::string_view object_name;
      schema.types.back().fields.push_back(parse_field(line, object_name));
      object_names.back().push_back(object_name);
    }
  for (const auto& type : schema.types) schema.by_name.emplace(type.name, &type);
  for (size_t i = 0; i < schema.types.size(); ++i) {
    for (size_t j = 0; j < object_names[i].size(); ++j) {
      if (object_names[i][j].empty()) continue;
      auto found = schema.by_name.find(object_names[i][j]);
      if (found == schema.by_name.end()) {
        fmt::print(stderr, "the schema table names the type {}, which it lacks\n", object_names[i][j]);
        std::abort();
      }
      schema.types[i].fields[j].object = found->second;
    }
  }
  return schema;
}

const Schema& schema() {
  static const Schema kSchema = read_tables();
  return kSchema;
}

// The group of the API and the prefix that the table gives its types.
struct Group {
  std::string_view group;
  std::string_view prefix;
  std::string_view open_api;
  std::string_view version = "v1";
};
constexpr Group kGroups[] = {
    {"apps", "apps.", "io.k8s.api.apps.v1."},
    {"networking.k8s.io", "networking.", "io.k8s.api.networking.v1."},
    {"discovery.k8s.io", "discovery.", "io.k8s.api.discovery.v1."},
    {"coordination.k8s.io", "coordination.", "io.k8s.api.coordination.v1."},
    {"events.k8s.io", "events.", "io.k8s.api.events.v1."},
    {"autoscaling", "autoscaling.", "io.k8s.api.autoscaling.v1."},
    {"causeway.io", "causeway.", "io.causeway.v1alpha1.", "v1alpha1"},
    {"k8s.cni.cncf.io", "cni.", "io.cncf.cni.k8s.v1."},
    {"policy.networking.k8s.io", "cnp.", "io.k8s.networking.policy.v1alpha2.", "v1alpha2"},
};
// Of the types without prefix, those that live in meta/v1.
constexpr std::string_view kMetaTypes[] = {
    "ObjectMeta", "ListMeta", "OwnerReference", "ManagedFieldsEntry", "LabelSelector", "LabelSelectorRequirement",
    "Condition",  "Status",   "StatusDetails",  "StatusCause",        "DeleteOptions", "Preconditions",
};

}  // namespace

const FieldSchema* TypeSchema::find(std::string_view field) const {
  for (const auto& candidate : fields)
    if (candidate.name == field) return &candidate;
  return nullptr;
}

const TypeSchema* find_type(std::string_view name) {
  auto found = schema().by_name.find(name);
  return found == schema().by_name.end() ? nullptr : found->second;
}

std::span<const TypeSchema> all_types() { return schema().types; }

const TypeSchema* schema_of(std::string_view group, std::string_view version, std::string_view kind) {
  if (group.empty()) return version == "v1" ? find_type(kind) : nullptr;
  for (const auto& known : kGroups)
    if (known.group == group && known.version == version) return find_type(std::string(known.prefix).append(kind));
  return nullptr;
}

std::string open_api_name(const TypeSchema& type) {
  for (const auto& known : kGroups)
    if (type.name.starts_with(known.prefix)) {
      std::string_view name = type.name.substr(known.prefix.size());
      return std::string(known.open_api).append(name);
    }
  for (auto meta : kMetaTypes)
    if (meta == type.name) return std::string("io.k8s.apimachinery.pkg.apis.meta.v1.").append(type.name);
  return std::string("io.k8s.api.core.v1.").append(type.name);
}

const FieldSchema* find_field(const TypeSchema& root, std::string_view path) {
  const TypeSchema* type = &root;
  const FieldSchema* field = nullptr;
  while (!path.empty()) {
    std::string_view name = take_until(path, '.');
    name = name.substr(0, name.find('['));
    if (!type) return nullptr;
    field = type->find(name);
    if (!field) return nullptr;
    type = field->object;
  }
  return field;
}

}  // namespace causeway::kube
