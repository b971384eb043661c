#include "cli/manifest.h"

#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <regex>

#include "base/file.h"

namespace causeway::cli {
namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

// Plain scalars by the rules that kubectl uses (YAML 1.1 as sigs.k8s.io/yaml reads it: "no" is a boolean, 0x1f and 017
// are numbers); a quoted one is a string whatever it looks like.
json::value scalar(const YAML::Node& node) {
  const std::string& text = node.Scalar();
  if (node.Tag() == "!" || node.Tag() == "tag:yaml.org,2002:str") return json::value(text);
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return nullptr;
  static const std::regex kTrue("true|True|TRUE|yes|Yes|YES|on|On|ON");
  static const std::regex kFalse("false|False|FALSE|no|No|NO|off|Off|OFF");
  static const std::regex kInteger("[-+]?(0x[0-9a-fA-F]{1,15}|0[0-7]{0,19}|[1-9][0-9]{0,17})");
  static const std::regex kFloat("[-+]?[0-9]+(\\.[0-9]*([eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)");
  if (std::regex_match(text, kTrue)) return true;
  if (std::regex_match(text, kFalse)) return false;
  if (std::regex_match(text, kInteger)) return std::stoll(text, nullptr, 0);
  if (std::regex_match(text, kFloat)) return std::stod(text);
  return json::value(text);
}

constexpr std::string_view kTooDeep = "nested deeper than 100 levels";

// What a document may become. Each value costs one and its text: without aliases that is never more than the document
// has bytes, and a few aliases that hold each other would make billions of values of a few lines.
class Budget {
 public:
  explicit Budget(size_t document) : left_(document * 10 + (64 << 10)) {}
  bool spend(const YAML::Node& node) {
    const size_t cost = 1 + (node.IsScalar() ? node.Scalar().size() : 0);
    if (cost > left_) return false;
    left_ -= cost;
    return true;
  }

 private:
  size_t left_;
};

Result<json::value> convert(const YAML::Node& node, int depth, Budget& budget) {
  if (depth > 100) return fail(Errc::Invalid, "{}", kTooDeep);
  if (!budget.spend(node))
    return fail(Errc::Invalid, "line {}: its aliases make it more than ten times as large as it is written",
                node.Mark().line + 1);
  switch (node.Type()) {
    case YAML::NodeType::Undefined:
    case YAML::NodeType::Null: return json::value(nullptr);
    case YAML::NodeType::Scalar: return scalar(node);
    case YAML::NodeType::Sequence: {
      json::array out;
      for (const auto& item : node) out.push_back(TRY(convert(item, depth + 1, budget)));
      return out;
    }
    case YAML::NodeType::Map: {
      json::object out;
      for (const auto& entry : node) {
        const std::string key = entry.first.Scalar();
        if (out.contains(key))
          return fail(Errc::Invalid, "line {}: the key \"{}\" is there twice", entry.first.Mark().line + 1, key);
        out[key] = TRY(convert(entry.second, depth + 1, budget));
      }
      return out;
    }
  }
  return json::value(nullptr);
}

std::string text_of(const json::object& object, std::string_view key) {
  auto* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : "";
}

Status add(const json::value& value, const std::string& source, std::vector<Manifest>& out) {
  if (value.is_null()) return ok();
  if (!value.is_object()) return fail(Errc::Invalid, "{}: a manifest is a map with apiVersion and kind", source);
  const auto& object = value.as_object();
  if (text_of(object, "kind") == "List" && object.contains("items") && object.at("items").is_array()) {
    for (const auto& item : object.at("items").as_array()) TRY(add(item, source, out));
    return ok();
  }
  Manifest manifest{.source = source, .api_version = text_of(object, "apiVersion"), .kind = text_of(object, "kind")};
  if (manifest.api_version.empty() || manifest.kind.empty())
    return fail(Errc::Invalid, "{}: apiVersion or kind is not set", source);
  if (auto* metadata = object.if_contains("metadata"); metadata != nullptr && metadata->is_object()) {
    manifest.name = text_of(metadata->as_object(), "name");
    manifest.ns = text_of(metadata->as_object(), "namespace");
  }
  if (manifest.name.empty()) return fail(Errc::Invalid, "{}: {}: metadata.name is not set", source, manifest.kind);
  manifest.json = json::serialize(value);
  out.push_back(std::move(manifest));
  return ok();
}

// `before` and `wanted` as objects: nulls for what went away, at every depth.
void mark_removed(const json::object& before, json::object& wanted) {
  for (const auto& entry : before) {
    auto* now = wanted.if_contains(entry.key());
    if (now == nullptr) {
      wanted[entry.key()] = nullptr;
    } else if (now->is_object() && entry.value().is_object()) {
      mark_removed(entry.value().as_object(), now->as_object());
    }
  }
}

}  // namespace

namespace {

// Each document as a tree, with its name for errors.
Result<std::vector<std::pair<std::string, json::value>>> parse_trees(const std::string& text,
                                                                     const std::string& source) {
  std::vector<std::pair<std::string, json::value>> out;
  std::vector<YAML::Node> documents;
  try {
    documents = YAML::LoadAll(text);
  } catch (const YAML::DeepRecursion& error) {
    return fail(Errc::Invalid, "{}: line {}, column {}: {}", source, error.mark.line + 1, error.mark.column + 1,
                kTooDeep);
  } catch (const YAML::Exception& error) {
    return fail(Errc::Invalid, "{}: line {}, column {}: {}", source, error.mark.line + 1, error.mark.column + 1,
                error.msg);
  }
  Budget budget(text.size());
  for (size_t i = 0; i < documents.size(); ++i) {
    const std::string name = documents.size() == 1 ? source : fmt::format("{}, document {}", source, i + 1);
    json::value value;
    try {
      value = TRY(convert(documents[i], 0, budget), "{}", name);
    } catch (const std::exception& error) {
      return fail(Errc::Invalid, "{}: {}", name, error.what());
    }
    out.emplace_back(name, std::move(value));
  }
  return out;
}

}  // namespace

Result<std::vector<Document>> parse_documents(const std::string& text, const std::string& source) {
  std::vector<Document> out;
  for (const auto& [name, value] : TRY(parse_trees(text, source)))
    if (!value.is_null()) out.push_back({name, json::serialize(value)});
  return out;
}

Result<std::vector<Manifest>> parse_manifests(const std::string& text, const std::string& source) {
  std::vector<Manifest> out;
  for (const auto& [name, value] : TRY(parse_trees(text, source))) TRY(add(value, name, out));
  return out;
}

Result<std::vector<Manifest>> read_manifests(const std::string& path) {
  if (path == "-") return parse_manifests(std::string(std::istreambuf_iterator<char>(std::cin), {}), "standard input");
  std::error_code error;
  std::vector<std::string> files{path};
  if (fs::is_directory(path, error)) {
    files.clear();
    for (const auto& entry : fs::directory_iterator(path, error)) {
      const auto extension = entry.path().extension();
      if (extension == ".yaml" || extension == ".yml" || extension == ".json") files.push_back(entry.path());
    }
    std::ranges::sort(files);
    if (files.empty()) return fail(Errc::NotFound, "{} holds no .yaml, .yml or .json file", path);
  }
  std::vector<Manifest> out;
  for (const auto& file : files)
    for (auto& manifest : TRY(parse_manifests(TRY(read_file(file)), file))) out.push_back(std::move(manifest));
  return out;
}

std::string three_way_patch(const std::string& before, const std::string& wanted) {
  boost::system::error_code error;
  json::value patch = json::parse(wanted, error);
  if (error || !patch.is_object()) return wanted;
  const json::value old = before.empty() ? json::value(nullptr) : json::parse(before, error);
  if (!error && old.is_object()) mark_removed(old.as_object(), patch.as_object());
  return json::serialize(patch);
}

}  // namespace causeway::cli
