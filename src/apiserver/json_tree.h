// Reading and changing Boost.JSON trees by dotted paths ("spec.nodeName"). Only for members whose names have no dot.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <string>
#include <string_view>

#include "apiserver/object.h"
#include "base/result.h"

namespace causeway::apiserver {

namespace json = boost::json;

inline std::string_view view(const json::string& text) { return {text.data(), text.size()}; }

// Null when a member on the way is missing or no object.
const json::value* find_at(const json::object& root, std::string_view path);
json::value* find_at(json::object& root, std::string_view path);

// What stands there, or the fallback when it is missing or of another type.
std::string_view text_at(const json::object& root, std::string_view path, std::string_view fallback = {});
int64_t int_at(const json::object& root, std::string_view path, int64_t fallback = 0);
bool bool_at(const json::object& root, std::string_view path, bool fallback = false);
// Never null: an empty one when missing.
const json::object& object_at(const json::object& root, std::string_view path);
const json::array& array_at(const json::object& root, std::string_view path);

// The object there; what is missing (or null) on the way is made.
json::object& make_object_at(json::object& root, std::string_view path);
void set_at(json::object& root, std::string_view path, json::value value);
void erase_at(json::object& root, std::string_view path);

// The map of strings there ("metadata.labels"); members that are no strings are left out.
Strings strings_at(const json::object& root, std::string_view path);
// Scalars as text; empty when missing: "true", "3", "Running".
std::string scalar_text_at(const json::object& root, std::string_view path);

// A whole document that is an object. Errors: Invalid with line of thought for people ("not JSON: ... at byte 12").
Result<json::object> parse_object(std::string_view text);
Result<json::value> parse_value(std::string_view text);

// apiVersion, kind and metadata first, spec and status last, as people read them.
json::object ordered(json::object object);

}  // namespace causeway::apiserver
