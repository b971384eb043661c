#include "apiserver/json_patch.h"

#include <boost/json.hpp>
#include <charconv>
#include <string>
#include <vector>

namespace causeway::apiserver {

namespace json = boost::json;

namespace {

constexpr size_t kOperationsAtMost = 10'000;  // as kube-apiserver: a copy can double the document

// The reference tokens of a JSON Pointer (RFC 6901).
Result<std::vector<std::string>> parse_pointer(std::string_view pointer) {
  std::vector<std::string> tokens;
  if (pointer.empty()) return tokens;
  if (pointer.front() != '/') return fail(Errc::Invalid, "the path \"{}\" does not begin with \"/\"", pointer);
  for (char c : pointer) {
    if (c == '/')
      tokens.emplace_back();
    else
      tokens.back() += c;
  }
  for (std::string& token : tokens) {
    std::string plain;
    for (size_t i = 0; i < token.size(); ++i) {
      if (token[i] != '~') {
        plain += token[i];
        continue;
      }
      if (i + 1 >= token.size() || (token[i + 1] != '0' && token[i + 1] != '1'))
        return fail(Errc::Invalid, "the path \"{}\" has a \"~\" that is neither ~0 nor ~1", pointer);
      plain += token[++i] == '0' ? '~' : '/';
    }
    token = std::move(plain);
  }
  return tokens;
}

// "0" or digits without a leading zero, below `end`.
std::optional<size_t> parse_index(std::string_view token, size_t end) {
  if (token.empty() || (token.size() > 1 && token.front() == '0')) return std::nullopt;
  size_t index = 0;
  auto [last, error] = std::from_chars(token.data(), token.data() + token.size(), index);
  if (error != std::errc{} || last != token.data() + token.size() || index >= end) return std::nullopt;
  return index;
}

json::value* step(json::value& parent, const std::string& token) {
  if (auto* object = parent.if_object()) return object->if_contains(token);
  if (auto* array = parent.if_array())
    if (auto index = parse_index(token, array->size())) return &(*array)[*index];
  return nullptr;
}

json::value* resolve(json::value& root, const std::vector<std::string>& tokens, size_t count) {
  json::value* at = &root;
  for (size_t i = 0; at && i < count; ++i) at = step(*at, tokens[i]);
  return at;
}

struct Pointer {
  std::string text;
  std::vector<std::string> tokens;
};

Result<Pointer> pointer_of(const json::object& operation, std::string_view member) {
  const json::value* value = operation.if_contains(member);
  if (!value || !value->is_string()) return fail(Errc::Invalid, "it has no string \"{}\"", member);
  std::string text(value->get_string());
  auto tokens = TRY(parse_pointer(text));
  return Pointer{std::move(text), std::move(tokens)};
}

std::unexpected<Error> missing(const Pointer& path) {
  return fail(Errc::Conflict, "the path \"{}\" does not exist", path.text);
}

Result<json::value*> find(json::value& root, const Pointer& path) {
  json::value* found = resolve(root, path.tokens, path.tokens.size());
  if (!found) return missing(path);
  return found;
}

Status add(json::value& root, const Pointer& path, json::value value) {
  if (path.tokens.empty()) {
    root = std::move(value);
    return ok();
  }
  json::value* parent = resolve(root, path.tokens, path.tokens.size() - 1);
  if (!parent) return missing(path);
  const std::string& last = path.tokens.back();
  if (auto* object = parent->if_object()) {
    object->insert_or_assign(last, std::move(value));
    return ok();
  }
  auto* array = parent->if_array();
  if (!array) return missing(path);
  if (last == "-") {
    array->push_back(std::move(value));
    return ok();
  }
  auto index = parse_index(last, array->size() + 1);
  if (!index) return missing(path);
  array->insert(array->begin() + *index, std::move(value));
  return ok();
}

Status remove(json::value& root, const Pointer& path) {
  if (path.tokens.empty()) return fail(Errc::Invalid, "the whole document cannot be removed");
  json::value* parent = resolve(root, path.tokens, path.tokens.size() - 1);
  if (!parent) return missing(path);
  const std::string& last = path.tokens.back();
  if (auto* object = parent->if_object()) {
    if (object->erase(last) == 0) return missing(path);
    return ok();
  }
  auto* array = parent->if_array();
  auto index = array ? parse_index(last, array->size()) : std::nullopt;
  if (!index) return missing(path);
  array->erase(array->begin() + *index);
  return ok();
}

Result<const json::value*> value_of(const json::object& operation) {
  const json::value* value = operation.if_contains("value");
  if (!value) return fail(Errc::Invalid, "it has no \"value\"");
  return value;
}

bool is_proper_prefix(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  return a.size() < b.size() && std::equal(a.begin(), a.end(), b.begin());
}

Status apply_one(json::value& root, const json::object& operation) {
  const json::value* op = operation.if_contains("op");
  if (!op || !op->is_string()) return fail(Errc::Invalid, "it has no string \"op\"");
  const std::string_view verb = op->get_string();
  const Pointer path = TRY(pointer_of(operation, "path"));
  if (verb == "add") return add(root, path, *TRY(value_of(operation)));
  if (verb == "remove") return remove(root, path);
  if (verb == "replace") {
    const json::value* value = TRY(value_of(operation));
    *TRY(find(root, path)) = *value;
    return ok();
  }
  if (verb == "test") {
    const json::value* value = TRY(value_of(operation));
    if (*TRY(find(root, path)) != *value)
      return fail(Errc::Conflict, "testing value {} failed: it is another", path.text);
    return ok();
  }
  if (verb == "copy" || verb == "move") {
    const Pointer from = TRY(pointer_of(operation, "from"));
    json::value value = *TRY(find(root, from));
    if (verb == "move") {
      if (is_proper_prefix(from.tokens, path.tokens))
        return fail(Errc::Invalid, "\"{}\" cannot be moved into itself", from.text);
      if (from.text == path.text) return ok();
      TRY(remove(root, from));
    }
    return add(root, path, std::move(value));
  }
  return fail(Errc::Invalid, "its op \"{}\" is none of add, remove, replace, move, copy, test", verb);
}

}  // namespace

Status apply_json_patch(json::value& target, const json::value& patch) {
  const auto* operations = patch.if_array();
  if (!operations) return fail(Errc::Invalid, "a JSON patch is an array of operations");
  if (operations->size() > kOperationsAtMost)
    return fail(Errc::Invalid, "the JSON patch has {} operations; at most {} are taken", operations->size(),
                kOperationsAtMost);
  json::value result = target;
  for (size_t i = 0; i < operations->size(); ++i) {
    const auto* operation = (*operations)[i].if_object();
    if (!operation) return fail(Errc::Invalid, "operation {} of the JSON patch is no object", i);
    TRY(apply_one(result, *operation), "operation {} of the JSON patch", i);
  }
  target = std::move(result);
  return ok();
}

void apply_merge_patch(json::value& target, const json::value& patch) {
  const auto* members = patch.if_object();
  if (!members) {
    target = patch;
    return;
  }
  if (!target.is_object()) target = json::object(target.storage());
  auto& object = target.get_object();
  for (const auto& [name, value] : *members) {
    if (value.is_null())
      object.erase(name);
    else
      apply_merge_patch(object[name], value);
  }
}

}  // namespace causeway::apiserver
