// Manifests: YAML or JSON files of Kubernetes objects, as JSON.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace causeway::cli {

struct Manifest {
  std::string source;  // "shop/web.yaml, document 2"
  std::string api_version;
  std::string kind;
  std::string ns;
  std::string name;
  std::string json;
};

// All documents of a file, or of every .yaml, .yml and .json of a folder in the order of their names ("-": standard
// input). Items of a List are documents of their own. Errors: Invalid, naming file, line and what is wrong.
Result<std::vector<Manifest>> read_manifests(const std::string& path);
Result<std::vector<Manifest>> parse_manifests(const std::string& text, const std::string& source);

// YAML (or JSON) of any shape, as JSON; empty documents are left out. Errors as above.
struct Document {
  std::string source;
  std::string json;
};
Result<std::vector<Document>> parse_documents(const std::string& text, const std::string& source);

// The patch that makes `live` what `wanted` says: fields that `before` (the manifest applied last, or empty) had and
// `wanted` has no more become null (RFC 7386).
std::string three_way_patch(const std::string& before, const std::string& wanted);

}  // namespace causeway::cli
