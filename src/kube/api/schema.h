// What the kinds of the API are made of: one table (schema_table.cc) behind the check of field names and types, the
// strategic merge, OpenAPI and explain. Read once, on first use; the agent never touches it.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kube/api/kind.h"

namespace causeway::kube {

enum class ValueType : uint8_t {
  String,
  Bool,
  Int32,
  Int64,
  Bytes,      // base64
  Time,       // RFC 3339, seconds
  MicroTime,  // RFC 3339, microseconds
  Quantity,   // a string or a number
  IntOrString,
  Any,     // anything at all, unchecked (managed fields)
  Object,  // of the type `object`
};
enum class Shape : uint8_t { One, List, Map };  // Map: of strings to the type

struct TypeSchema;
struct FieldSchema {
  std::string_view name;
  Shape shape = Shape::One;
  ValueType type = ValueType::String;
  const TypeSchema* object = nullptr;  // for ValueType::Object
  bool required = false;
  std::vector<std::string_view> enum_values;
  // Strategic merge. `merge`: lists are merged, by `merge_key` for objects, as sets for scalars; else replaced.
  bool merge = false;
  std::string_view merge_key;
  bool retain_keys = false;
  // Associative lists ("x-kubernetes-list-type: map" with these keys) and sets.
  std::vector<std::string_view> list_keys;
  bool set = false;
};
struct TypeSchema {
  std::string_view name;  // "PodSpec", "apps.DeploymentSpec": group prefix for all but core and meta
  std::vector<FieldSchema> fields;
  const FieldSchema* find(std::string_view field) const;
};

// The type of a kind ("Pod", "apps/v1 Deployment", also Scale, Binding, Status, DeleteOptions), or null.
const TypeSchema* schema_of(std::string_view group, std::string_view version, std::string_view kind);
inline const TypeSchema* schema_of(const KindInfo& kind) { return schema_of(kind.group, kind.version, kind.kind); }
// By its name in the table, or null.
const TypeSchema* find_type(std::string_view name);
std::span<const TypeSchema> all_types();
// "io.k8s.api.core.v1.PodSpec": the name of its definition in OpenAPI.
std::string open_api_name(const TypeSchema& type);
// The field at "spec.containers[].ports" seen from `root` ("[]" and indexes are optional), or null.
const FieldSchema* find_field(const TypeSchema& root, std::string_view path);

// --- checking trees against it

struct SchemaFault {
  std::string path;  // "spec.containers[0].imagee"
  std::string
      message;  // `unknown field "spec.containers[0].imagee"`, "spec.replicas: expected an integer, found a string"
  bool operator==(const SchemaFault&) const = default;
};
struct SchemaReport {
  std::vector<SchemaFault> unknown;  // refused by fieldValidation=Strict, a warning of Warn, passed over by Ignore
  std::vector<SchemaFault> wrong;    // never accepted (400): a value of another type
};
// Nulls are absent. Order: as they stand in the tree.
SchemaReport check_schema(const TypeSchema& type, const boost::json::object& tree);

// The paths of members that stand twice in one object of the text (a tree keeps only the last), each once.
// Text that is no JSON gives what was found before the fault.
std::vector<std::string> duplicate_fields(std::string_view json);

}  // namespace causeway::kube
