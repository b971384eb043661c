// Cluster DNS on a node: keeps `causeway dns` running, and the API told whether it answers here.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ip.h"
#include "http/client.h"
#include "kube/client/client.h"
#include "lab/children.h"

namespace causeway::lab {

class ClusterDns {
 public:
  // `service`: the addresses of the Service, one for each family. Borrows the loop and the children.
  ClusterDns(Loop& loop, Children& children, std::string node, std::vector<Ip> node_addresses, std::vector<Ip> service);

  // The process; it needs neither agent nor API to begin.
  Status start();
  // Writes the Service, and the node's slices of it whenever the process begins or ceases to be ready. Until cancelled.
  Task<Status> tell(kube::Client& api);

 private:
  Task<bool> ask_ready();
  Task<Status> write(kube::Client& api, bool ready);

  Loop& loop_;
  const std::string node_;
  const std::vector<Ip> node_addresses_, service_;
  Supervisor process_;
  std::unique_ptr<http::Client> observe_;  // its pages
  Channel<bool> ended_;
};

}  // namespace causeway::lab
