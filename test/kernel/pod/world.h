// A node and its Pods as namespaces, the agent as a process, and the runtime's side of CNI.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "kernel/netlink/rtnetlink.h"
#include "kernel/netns/netns.h"

namespace causeway::pod::test {

inline constexpr const char* kConfig =
    R"({"cniVersion":"1.1.0","name":"causeway","type":"causeway-cni","agentSocket":"RUN/agent.sock"})";

struct Ran {
  int exit = -1;
  std::string output;
  std::string errors;
  double milliseconds = 0;
};

class World {
 public:
  World();   // removes what killed runs left
  ~World();  // stops the agent, removes all

  const std::string& run() const { return run_; }  // folder of the agent
  int node() const { return node_.get(); }
  netlink::Rtnetlink& net() { return *net_; }  // of the node

  // A new namespace under its path.
  std::string make_pod(const std::string& name);
  void remove_pod(const std::string& name);
  int pod(const std::string& name) { return pods_.at(name).get(); }
  std::unique_ptr<netlink::Rtnetlink> inside(const std::string& name);

  // Waits until it listens; false: it died before.
  bool host_ports = false;  // the agents started from now on have them
  bool start_agent(std::vector<std::string> cidrs = {"10.1.0.0/24", "fd00:1::/64"}, int kill_at = 0, int seed = 5);
  void kill_agent();    // SIGKILL
  void freeze_agent();  // SIGSTOP
  bool agent_lives();

  using Environment = std::map<std::string, std::string>;
  Ran cni(const std::string& command, const std::string& container, const std::string& netns,
          const std::string& config = kConfig, Environment more = {});
  Ran exec(const std::string& config, const Environment& environment);
  Ran add(const std::string& pod) { return cni("ADD", "id-" + pod, path_of(pod)); }
  Ran del(const std::string& pod) { return cni("DEL", "id-" + pod, path_of(pod)); }
  std::string path_of(const std::string& pod) const { return run_ + "/netns/" + pod; }

  // Links of the node but lo, after all that waits to be deleted is gone.
  std::vector<std::string> links();
  // One TCP connection from one namespace to an address of the other.
  bool connects(int from, int to, const Ip& address);

 private:
  std::string run_;
  Fd node_;
  std::unique_ptr<netlink::Rtnetlink> net_;
  std::map<std::string, Fd> pods_;
  pid_t agent_ = -1;
};

// The addresses of a result.
std::vector<Ip> addresses_in(const std::string& result);

}  // namespace causeway::pod::test
