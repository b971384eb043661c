// What the API says of further networks: their definitions, and the place where Pods are told of what they got.
#pragma once

#include <memory>

#include "cluster/model/objects.h"
#include "kube/client/client.h"
#include "pod/extra/networks.h"

namespace causeway::pod {

class NetworkSource {
 public:
  virtual ~NetworkSource() = default;
  // spec.config of a NetworkAttachmentDefinition. NotFound: there is none of that name, or the
  // cluster has no such kind.
  virtual Task<Result<std::string>> config_of(std::string ns, std::string name) = 0;
  // Writes the annotation network-status of the Pod, if it still is the one of that uid ("": whichever).
  virtual Task<Status> publish(cluster::PodKey pod, std::string uid, std::string status) = 0;
};

// Borrows the client.
std::unique_ptr<NetworkSource> network_source(kube::Client& api);

// A network that a Pod asks for, with what its definition says.
struct WantedNetwork {
  Selection selection;
  std::string config;
};

}  // namespace causeway::pod
