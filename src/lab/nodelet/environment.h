// What a container's process starts with: environment and arguments, as kubelet computes them. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "kube/api/types.h"

namespace causeway::lab {

// The values that a container's env, command and args may refer to.
struct ContainerFacts {
  std::vector<Ip> pod_ips;
  std::vector<Ip> host_ips;
  std::string hostname;
  // Data of the ConfigMaps and Secrets that it names; absent: it does not exist.
  std::map<std::string, kube::StringMap> config_maps;
  std::map<std::string, kube::StringMap> secrets;
};

struct ProcessImage {
  std::vector<std::string> argv;  // empty: the container names no command
  std::vector<std::string> env;
};
// Errors: Invalid or NotFound, as kubelet says them in CreateContainerConfigError ("couldn't find key x in ConfigMap
// a/b").
Result<ProcessImage> compile_process(const kube::Pod& pod, const kube::Container& container,
                                     const ContainerFacts& facts);

// $(NAME) by the map; $$ is $; what the map does not have stays as it is (Kubernetes'
// third_party/forked/golang/expansion).
std::string expand(std::string_view text, const std::map<std::string, std::string>& values);
// "metadata.name", "metadata.labels['app']", "status.podIP" ... Errors: Invalid, naming the path.
Result<std::string> field_value(const kube::Pod& pod, const ContainerFacts& facts, std::string_view path);

// The names of the ConfigMaps or Secrets that the container needs.
std::vector<std::string> config_maps_of(const kube::Container& container);
std::vector<std::string> secrets_of(const kube::Container& container);

}  // namespace causeway::lab
