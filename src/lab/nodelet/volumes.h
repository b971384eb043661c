// Volumes made of API objects: which files a ConfigMap, Secret, projected or downward API volume has. Pure.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "lab/nodelet/environment.h"

namespace causeway::lab {

struct VolumeFile {
  std::string path;  // inside the volume: relative, without ".."
  std::string content;
  mode_t mode = 0644;
  bool operator==(const VolumeFile&) const = default;
};

// It shows API objects, and follows them.
bool is_projection(const kube::Volume& volume);
// Errors: NotFound or Invalid, as kubelet says them in FailedMount.
Result<std::vector<VolumeFile>> compile_volume(const kube::Pod& pod, const kube::Volume& volume,
                                               const ContainerFacts& facts);
std::vector<std::string> config_maps_of(const kube::Volume& volume);
std::vector<std::string> secrets_of(const kube::Volume& volume);
// Why the lab cannot provide it; empty: it can.
std::string unsupported(const kube::Volume& volume);

}  // namespace causeway::lab
