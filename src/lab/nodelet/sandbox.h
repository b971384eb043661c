// The sandbox of a Pod: the pause process that holds its namespaces, and its network.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lab/nodelet/node_context.h"
#include "lab/nodelet/runtime.h"

namespace causeway::lab {

class Sandbox {
 public:
  // Borrows the Pod, which its owner keeps up to date. `ended` is called when the pause process was killed.
  Sandbox(NodeContext& context, const kube::Pod& pod, std::function<void()> ended);
  ~Sandbox();
  Sandbox(const Sandbox&) = delete;

  // Starts the pause process and connects it (CNI ADD). Unavailable: the node has no network yet. After an error, and
  // after `ended`, drop() comes first.
  Task<Status> make();
  // CNI DEL, repeated until it succeeds (else the address would leak), then the end of the pause process.
  Task<Status> drop();

  // 0: there is none.
  pid_t pid() const { return pid_; }
  // It runs and has its network.
  bool ready() const { return pid_ != 0 && (network_ || pod_.spec.host_network); }
  const std::vector<Ip>& pod_ips() const { return pod_ips_; }
  // How many were made.
  int made() const { return made_; }

 private:
  Task<Status> leave_network();
  CniCall call() const;

  NodeContext& context_;
  const kube::Pod& pod_;
  std::function<void()> ended_;
  std::string id_;
  pid_t pid_ = 0;
  Fd pidfd_;
  std::optional<CniResult> network_;  // present: DEL is owed
  std::optional<CniNetwork> network_used_;
  std::string netns_;
  std::vector<Ip> pod_ips_;
  int made_ = 0;
};

}  // namespace causeway::lab
