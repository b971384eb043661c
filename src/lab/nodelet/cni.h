// Calls CNI plugins as a container runtime does (CNI specification 1.1.0, sections 3 and 4): the network configuration
// list of /etc/cni/net.d, one exec per plugin, JSON in and out.
#pragma once

#include <string>
#include <vector>

#include "async/loop.h"
#include "base/ip.h"
#include "kube/api/pod.h"
#include "lab/children.h"

namespace causeway::lab {

struct CniNetwork {
  std::string name;
  std::string version;
  struct Plugin {
    std::string type;
    std::string config;  // its JSON object
  };
  std::vector<Plugin> plugins;
};
// The first *.conflist of the folder by name. NotFound while there is none.
Result<CniNetwork> load_network(const std::string& folder);

struct CniCall {
  std::string container_id;
  std::string netns;  // path
  std::string pod_name, pod_namespace, pod_uid;
  std::vector<kube::ContainerPort> ports;  // those with a host port go to plugins that declare portMappings
  // kubernetes.io/ingress-bandwidth and egress-bandwidth of the Pod, "" for none: for those that declare bandwidth.
  std::string ingress, egress;
};

struct CniResult {
  std::vector<Ip> addresses;  // as the last plugin answered
  std::string json;           // what DEL wants back as prevResult
};

class CniRuntime {
 public:
  CniRuntime(Loop& loop, Children& children) : loop_(loop), children_(children) {}

  // Errors name the plugin and carry its code and message.
  Task<Result<CniResult>> add(CniNetwork network, CniCall call);
  // In reverse order; every plugin is called even when one fails.
  Task<Status> del(CniNetwork network, CniCall call, std::string previous_result);

 private:
  Task<Result<std::string>> run(std::string type, std::string command, std::string config, CniCall call);

  Loop& loop_;
  Children& children_;
};

}  // namespace causeway::lab
