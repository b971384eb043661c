// Node IPAM: gives each Node its Pod CIDRs, once, and frees them when the Node is gone.
#pragma once

#include <map>
#include <set>

#include "async/scope.h"
#include "control/node_cidrs.h"
#include "kube/client/cache.h"
#include "kube/client/events.h"

namespace causeway::control {

class NodeIpam {
 public:
  // Borrows all but `cidrs`. Registers with the cache, which starts later.
  NodeIpam(Loop& loop, kube::Client& api, kube::Cache<kube::Node>& nodes, kube::EventRecorder& events, NodeCidrs cidrs);

  const NodeCidrs& cidrs() const { return cidrs_; }

 private:
  void changed(const kube::Node* old, const kube::Node* now);
  void synced();
  void adopt(const kube::Node& node);
  void serve(const kube::Node& node);
  Task<Status> write(std::string name, std::vector<Cidr> cidrs);

  Loop& loop_;
  kube::Client& api_;
  kube::Cache<kube::Node>& nodes_;
  kube::EventRecorder& events_;
  NodeCidrs cidrs_;
  bool synced_ = false;  // before that a CIDR that looks free may be some Node's
  std::set<std::string> writing_;
  std::set<std::string> waiting_;  // Nodes for which no CIDR was left
  Scope scope_;                    // last
};

}  // namespace causeway::control
