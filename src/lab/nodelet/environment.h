// What a container's process starts with: environment and arguments, as kubelet computes them. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "kube/api/types.h"
#include "lab/images/image_config.h"

namespace causeway::lab {

// The values that a container's env, command and args may refer to.
struct ContainerFacts {
  std::vector<Ip> pod_ips;
  std::vector<Ip> host_ips;
  std::string hostname;
  std::string home = "/root";  // of the user that it runs as
  // Data of the ConfigMaps and Secrets that it names; absent: it does not exist.
  std::map<std::string, kube::StringMap> config_maps;
  std::map<std::string, kube::StringMap> secrets;
  // What stands for a limit that the container does not set.
  int64_t node_milli_cpu = 0;
  int64_t node_memory = 0;  // bytes
  // Variables that tell of Services (service_variables()); the container's own win over them.
  std::map<std::string, std::string> services;
};

struct ProcessImage {
  std::vector<std::string> argv;  // empty: neither the container nor its image names a command
  std::vector<std::string> env;
  std::map<std::string, std::string> variables;  // those that the container sets, for subPathExpr
};
// `image`: what the container's image says of itself; null: it is not loaded. Errors: Invalid or NotFound, as kubelet
// says them in CreateContainerConfigError ("couldn't find key x in ConfigMap a/b").
Result<ProcessImage> compile_process(const kube::Pod& pod, const kube::Container& container,
                                     const ContainerFacts& facts, const ImageConfig* image = nullptr);

// $(NAME) by the map; $$ is $; what the map does not have stays as it is (Kubernetes'
// third_party/forked/golang/expansion).
std::string expand(std::string_view text, const std::map<std::string, std::string>& values);
// "metadata.name", "metadata.labels['app']", "status.podIP" ... Errors: Invalid, naming the path.
Result<std::string> field_value(const kube::Pod& pod, const ContainerFacts& facts, std::string_view path);

// "limits.cpu" ... of a container, in units of the divisor, rounded up. Errors: Invalid, naming the resource.
Result<std::string> resource_value(const kube::Container& container, const kube::ResourceFieldSelector& selector,
                                   const ContainerFacts& facts);
// WEB_SERVICE_HOST, WEB_SERVICE_PORT, WEB_PORT_80_TCP_ADDR ... of Services that have an address (kubelet's envvars).
std::map<std::string, std::string> service_variables(const std::vector<const kube::Service*>& services);

// The names of the ConfigMaps or Secrets that the container needs.
std::vector<std::string> config_maps_of(const kube::Container& container);
std::vector<std::string> secrets_of(const kube::Container& container);

}  // namespace causeway::lab
