// Which images an archive has.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace causeway::lab {

struct ArchivedImage {
  std::string source;              // for skopeo: "docker-archive:PATH:@0"
  std::vector<std::string> names;  // as the archive says them; may be none
  bool operator==(const ArchivedImage&) const = default;
};

// `path` without colons. Errors: Invalid when it is no OCI or docker archive.
Result<std::vector<ArchivedImage>> list_archive(const std::string& path);

// Pure: the texts of manifest.json (docker) and index.json (OCI).
Result<std::vector<ArchivedImage>> parse_docker_manifest(const std::string& path, const std::string& text);
Result<std::vector<ArchivedImage>> parse_oci_index(const std::string& path, const std::string& text);

}  // namespace causeway::lab
