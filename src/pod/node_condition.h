// The Node's condition NetworkUnavailable: what a network tells scheduler and people of a node. Nobody else writes it
// where there is no cloud: kubelet does not, and no controller clears it.
#pragma once

#include "async/scope.h"
#include "kube/client/client.h"

namespace causeway::pod {

struct NodeCondition {
  bool unavailable = false;
  std::string reason;   // one CamelCase word
  std::string message;  // for people
  bool operator==(const NodeCondition&) const = default;
};

class NodeConditionWriter {
 public:
  // Borrows the client.
  NodeConditionWriter(kube::Client& api, std::string node);

  // Wanted from now on; written when it differs from what the Node has, retried until it is there. `life` tells one
  // Node object from the next of its name (its creation): a new one has no conditions of ours.
  void want(NodeCondition condition, int64_t life);
  // Why it is not written, naming the verb and resource that we lack; "" when it is, and while the API server is away.
  std::string trouble() const;

 private:
  Task<Status> run();
  void wake();
  Task<Status> write(NodeCondition condition);

  kube::Client& api_;
  Loop& loop_;
  std::string node_;
  NodeCondition wanted_;
  int64_t life_ = 0;
  std::optional<NodeCondition> written_;
  std::optional<Error> error_;  // of the last try
  Channel<bool> wake_;          // one item at most
  Scope scope_;                 // last
};

}  // namespace causeway::pod
