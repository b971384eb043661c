// All that a container's start needs, put together: facts of the API, image or stand-in, user, volumes.
#pragma once

#include "lab/nodelet/node_context.h"
#include "lab/nodelet/pod_volumes.h"
#include "lab/nodelet/runtime.h"

namespace causeway::lab {

struct PreparedContainer {
  ContainerStart start;
  std::string image_id;      // "sha256:...", or what says that nothing was loaded
  std::string pulled;        // for the Event: which image runs, or what stands in for it
  std::string message_file;  // where it may leave its last words
  int stop_signal = 0;       // that ends it
};
// Errors: as kubelet says them in CreateContainerConfigError.
Task<Result<PreparedContainer>> prepare_container(NodeContext& context, const kube::Pod& pod,
                                                  const kube::Container& container, const PodVolumes& volumes,
                                                  std::vector<Ip> pod_ips, pid_t sandbox, int restart);

}  // namespace causeway::lab
