// Loaded images: unpacked once for this machine, by the digest of their configuration, and named in each lab that
// loaded them.
//
//   /var/lib/causeway-lab/images/sha256-<digest>/{rootfs,config.json}     all labs
//   <lab's cluster folder>/images.json                                    {"docker.io/library/web:1":
//   "sha256-<digest>"}
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "lab/images/image_config.h"
#include "lab/state.h"

namespace causeway::lab {

// An index is images.json in the folder of a lab that its nodes see as /etc/causeway (Paths::image_index).
using ImageIndex = std::map<std::string, std::string>;  // full reference -> folder in the store
// An index that does not exist is empty. Errors: Invalid, Io.
Result<ImageIndex> read_image_index(const std::string& path);

struct LoadedImage {
  std::string name;       // full reference
  std::string digest;     // "sha256:..."
  bool unpacked = false;  // by this call; it was there otherwise
};
// Loads an OCI or docker archive (as docker save, buildah and skopeo write them; compressed too) and names its images
// in the index. `as`: the name of its one image, over what the archive says. Nothing is left of one that fails.
Result<std::vector<LoadedImage>> load_archive(const std::string& archive, const std::string& as,
                                              const std::string& index);
// Removes what no index of `indexes`, those of all labs, names; without labs the store itself.
void prune_images(const std::vector<std::string>& indexes);

struct NodeImage {
  std::string digest;
  std::string root;  // folder
  ImageConfig config;
};
// As a node sees it: the image that a container names, absent when it is not loaded. Errors: Invalid, Io.
Result<std::optional<NodeImage>> find_image(const std::string& image, const std::string& index,
                                            const std::string& store);

}  // namespace causeway::lab
