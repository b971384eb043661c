// Runs one Pod from its assignment to its removal: sandbox, network, init containers, containers with restarts and
// probes, termination, and its status in the API.
//
// One coroutine decides (step() after each event of the inbox); the rest only reports to it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "async/scope.h"
#include "kube/client/client.h"
#include "kube/client/events.h"
#include "lab/nodelet/cni.h"
#include "lab/nodelet/pod_status.h"
#include "lab/nodelet/runtime.h"

namespace causeway::lab {

// What all Pods of a node share. Borrowed by every runner.
struct NodeContext {
  Loop& loop;
  Children& children;
  kube::Client& api;
  kube::EventRecorder& events;
  CniRuntime& cni;
  std::string node;
  std::vector<Ip> host_ips;
  std::string node_hosts;  // the node's /etc/hosts
  std::string node_resolv_conf;
  std::vector<std::string> submounts;
  std::optional<CniNetwork> network;  // absent until the agent has put it in place
};

class PodRunner {
 public:
  // `removed` is called once the Pod is over and gone from the API; it may destroy the runner.
  PodRunner(NodeContext& context, kube::Pod pod, std::function<void()> removed);
  ~PodRunner();

  // The newest object of the API.
  void update(const kube::Pod& pod);
  // The API has it no more: end it now.
  void vanish();
  // Something that it may wait for has changed (the node's network).
  void wake() { inbox_.push(true); }

  const kube::Pod& pod() const { return pod_; }
  // Of a container, or absent: which log file is the current one.
  std::optional<int> current_log(const std::string& container) const;
  bool running_container(const std::string& name) const;

 private:
  enum class Life { Waiting, Running, BackOff, Done };
  struct Container {
    const kube::Container* spec = nullptr;
    ContainerView view;
    Life life = Life::Waiting;
    pid_t pid = 0;
    Fd pidfd;
    kube::Time started_at{};
    Duration back_off{};  // before the restart after the next
    TimePoint due{};      // BackOff: when it starts again
    std::unique_ptr<Timer> timer;
    std::unique_ptr<Scope> probes;  // of this run
    bool liveness_failed = false;
    bool announced = false;  // the Event about its image is out
  };

  Task<Status> run();
  Task<Status> live();
  Task<Status> make_sandbox();
  Task<Status> drop_sandbox();
  Task<Status> start(Container& container);
  Task<Result<ContainerFacts>> facts_for(const kube::Container& container);
  Task<Status> start_due();
  Task<Status> stop_all(Duration grace);
  Task<Status> remove_from_api();
  Task<Status> write_statuses();
  Task<Status> write_status();
  Task<Status> probe(Container& container, kube::Probe probe, int kind);

  void start_probes(Container& container);
  void ended(Container& container, ExitStatus status);
  bool restarts(const Container& container, int exit_code) const;
  bool over() const;
  bool running() const;
  void changed() { dirty_.push(true); }
  void refuse(const Error& error);
  PodView view() const;
  kube::Time now() const;
  bool wants_end() const { return vanished_ || pod_.metadata.deletion_timestamp.has_value(); }

  NodeContext& context_;
  kube::Pod pod_;
  const kube::PodSpec spec_;  // as it was assigned: containers point into it
  std::function<void()> removed_;
  std::vector<std::unique_ptr<Container>> init_;
  std::vector<std::unique_ptr<Container>> main_;

  std::string sandbox_id_;
  pid_t sandbox_pid_ = 0;
  Fd sandbox_pidfd_;
  std::optional<CniResult> network_;  // present: DEL is owed
  std::optional<CniNetwork> network_used_;
  std::string netns_;
  std::vector<Ip> pod_ips_;
  int sandboxes_ = 0;

  kube::Time start_time_{};
  std::string failed_reason_, failed_message_;
  bool vanished_ = false;
  std::string written_;          // the last status, encoded
  std::unique_ptr<Timer> slow_;  // tells the API about a start that takes its time
  Channel<bool> inbox_;
  Channel<bool> dirty_;
  Scope scope_;
};

}  // namespace causeway::lab
