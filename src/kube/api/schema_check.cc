// Trees against the schema: unknown names, wrong types, and members that stand twice in the text.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <limits>
#include <set>

#include "kube/api/schema.h"

namespace json = boost::json;

namespace causeway::kube {

namespace {

std::string_view expected(ValueType type) {
  switch (type) {
    case ValueType::String:
    case ValueType::Bytes: return "a string";
    case ValueType::Time:
    case ValueType::MicroTime: return "a time";
    case ValueType::Bool: return "true or false";
    case ValueType::Int32: return "a 32-bit integer";
    case ValueType::Int64: return "an integer";
    case ValueType::Quantity: return "a quantity";
    case ValueType::IntOrString: return "an integer or a string";
    case ValueType::Any: return "a value";
    case ValueType::Object: return "an object";
  }
  return "";
}
std::string_view found(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null: return "null";
    case json::kind::bool_: return "true or false";
    case json::kind::int64:
    case json::kind::uint64: return "an integer";
    case json::kind::double_: return "a number";
    case json::kind::string: return "a string";
    case json::kind::array: return "a list";
    case json::kind::object: return "an object";
  }
  return "";
}

class Checker {
 public:
  SchemaReport report;

  void object(const TypeSchema& type, const json::object& tree, const std::string& path) {
    for (const auto& [key, value] : tree) {
      std::string at = path.empty() ? std::string(key) : fmt::format("{}.{}", path, std::string_view(key));
      const FieldSchema* field = type.find(key);
      if (!field)
        report.unknown.push_back({at, fmt::format("unknown field \"{}\"", at)});
      else if (!value.is_null())
        shaped(*field, value, at);
    }
  }

 private:
  void wrong(const std::string& path, std::string_view what, const json::value& value) {
    report.wrong.push_back({path, fmt::format("{}: expected {}, found {}", path, what, found(value))});
  }

  void shaped(const FieldSchema& field, const json::value& value, const std::string& path) {
    switch (field.shape) {
      case Shape::One: return one(field, value, path);
      case Shape::List: {
        if (!value.is_array()) return wrong(path, "a list", value);
        size_t index = 0;
        for (const auto& item : value.get_array()) {
          std::string at = fmt::format("{}[{}]", path, index++);
          if (item.is_null())
            wrong(at, expected(field.type), item);
          else
            one(field, item, at);
        }
        return;
      }
      case Shape::Map: {
        if (!value.is_object()) return wrong(path, "an object", value);
        for (const auto& [key, item] : value.get_object())
          if (!item.is_null()) one(field, item, fmt::format("{}.{}", path, std::string_view(key)));
        return;
      }
    }
  }

  void one(const FieldSchema& field, const json::value& value, const std::string& path) {
    if (field.type == ValueType::Object) {
      if (value.is_object()) return object(*field.object, value.get_object(), path);
      return wrong(path, "an object", value);
    }
    if (!fits(field.type, value)) wrong(path, expected(field.type), value);
  }

  static bool fits(ValueType type, const json::value& value) {
    switch (type) {
      case ValueType::String:
      case ValueType::Bytes:
      case ValueType::Time:
      case ValueType::MicroTime: return value.is_string();
      case ValueType::Bool: return value.is_bool();
      case ValueType::Int32: return int32(value);
      case ValueType::Int64: return value.is_int64();
      case ValueType::Quantity: return value.is_string() || value.is_number();
      case ValueType::IntOrString: return value.is_string() || int32(value);
      case ValueType::Any:
      case ValueType::Object: return true;
    }
    return true;
  }
  static bool int32(const json::value& value) {
    return value.is_int64() && value.get_int64() >= std::numeric_limits<int32_t>::min() &&
           value.get_int64() <= std::numeric_limits<int32_t>::max();
  }
};

// Boost.JSON's event interface: keeps the path and the keys seen in each open object.
struct DuplicateHandler {
  static constexpr size_t max_object_size = size_t(-1);
  static constexpr size_t max_array_size = size_t(-1);
  static constexpr size_t max_key_size = size_t(-1);
  static constexpr size_t max_string_size = size_t(-1);

  struct Level {
    bool is_object;
    std::set<std::string, std::less<>> keys;
    std::string key;   // of the member being read
    size_t index = 0;  // of the element being read
  };
  std::vector<Level> levels;
  std::string key;
  std::vector<std::string> duplicates;

  std::string path() const {
    std::string text;
    for (const auto& level : levels) {
      if (!level.is_object)
        text += fmt::format("[{}]", level.index);
      else
        text += (text.empty() ? "" : ".") + level.key;
    }
    return text;
  }
  bool value_ended() {
    if (!levels.empty() && !levels.back().is_object) ++levels.back().index;
    return true;
  }

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code&) { return levels.push_back({true}), true; }
  bool on_object_end(size_t, json::error_code&) { return levels.pop_back(), value_ended(); }
  bool on_array_begin(json::error_code&) { return levels.push_back({false}), true; }
  bool on_array_end(size_t, json::error_code&) { return levels.pop_back(), value_ended(); }
  bool on_key_part(json::string_view part, size_t, json::error_code&) { return key.append(part), true; }
  bool on_key(json::string_view part, size_t, json::error_code&) {
    key.append(part);
    Level& level = levels.back();
    level.key = std::exchange(key, {});
    if (!level.keys.insert(level.key).second)
      if (auto at = path(); std::find(duplicates.begin(), duplicates.end(), at) == duplicates.end())
        duplicates.push_back(std::move(at));
    return true;
  }
  bool on_string_part(json::string_view, size_t, json::error_code&) { return true; }
  bool on_string(json::string_view, size_t, json::error_code&) { return value_ended(); }
  bool on_number_part(json::string_view, json::error_code&) { return true; }
  bool on_int64(int64_t, json::string_view, json::error_code&) { return value_ended(); }
  bool on_uint64(uint64_t, json::string_view, json::error_code&) { return value_ended(); }
  bool on_double(double, json::string_view, json::error_code&) { return value_ended(); }
  bool on_bool(bool, json::error_code&) { return value_ended(); }
  bool on_null(json::error_code&) { return value_ended(); }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }
};

}  // namespace

SchemaReport check_schema(const TypeSchema& type, const json::object& tree) {
  Checker checker;
  checker.object(type, tree, "");
  return std::move(checker.report);
}

std::vector<std::string> duplicate_fields(std::string_view text) {
  json::basic_parser<DuplicateHandler> parser(json::parse_options{});
  json::error_code error;
  parser.write_some(false, text.data(), text.size(), error);
  return std::move(parser.handler().duplicates);
}

}  // namespace causeway::kube
