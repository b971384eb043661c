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
#include "lab/nodelet/container_start.h"
#include "lab/nodelet/hooks.h"
#include "lab/nodelet/node_context.h"
#include "lab/nodelet/probes.h"
#include "lab/nodelet/sandbox.h"
#include "lab/nodelet/status_writer.h"

namespace causeway::lab {

class PodRunner {
 public:
  // `removed` is called once the Pod is over and gone from the API; it may destroy the runner.
  PodRunner(NodeContext& context, kube::Pod pod, std::function<void()> removed);
  ~PodRunner();

  // The newest object of the API.
  void update(const kube::Pod& pod);
  // The API has it no more: end it now.
  void vanish();
  // The node's network is another, or there at last.
  void network_changed() {
    network_changed_ = true;
    wake();
  }

  const kube::Pod& pod() const { return pod_; }
  // It was deleted; what runs of it may take its time.
  bool ending() const { return wants_end(); }
  // Of a container, or absent: which log file is the current one.
  std::optional<int> current_log(const std::string& container) const;
  bool running_container(const std::string& name) const;

 private:
  void wake() { inbox_.push(true); }
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
    std::unique_ptr<Probes> probes;  // of this run
    std::string pulled;              // the last Event about its image
    ContainerProcess process;        // of this run
    std::string message_file;
    int stop_signal = 0;
    bool hooked = false;    // postStart has still to end
    bool stopping = false;  // it was asked to end
    Container() = default;
    Container(const Container&) = delete;
  };

  Task<Status> run();
  Task<Status> live();
  Task<Status> make_sandbox();
  Task<Status> wait_to_retry();
  Task<Status> say_not_done();
  void sandbox_ended();
  Task<Status> start(Container& container);
  Task<Status> start_due();
  Task<Status> begin(Container& container, PreparedContainer prepared);
  Task<Status> post_start(Container& container);
  void watch_probes(Container& container);
  Task<Status> stop_all(Duration grace);
  Task<Status> stop(std::vector<Container*> containers, TimePoint deadline);
  Task<Status> ask_to_end(Container& container, Duration limit);
  Task<Status> remove_from_api();
  Task<Status> end(Container& container, std::string why, Duration grace);
  void retry_later(Container& container, std::string reason, const Error& error);
  std::string last_words(const Container& container, int code) const;

  void ended(Container& container, ExitStatus status);
  bool restarts(const Container& container, int exit_code) const;
  bool is_sidecar(const Container& container) const { return container.spec->restart_policy == "Always"; }
  bool over() const;
  void changed() { status_.changed(); }
  void refuse(std::string reason, std::string message);
  std::optional<PodView> view() const;
  kube::Time now() const;
  bool wants_end() const { return vanished_ || pod_.metadata.deletion_timestamp.has_value(); }

  NodeContext& context_;
  kube::Pod pod_;
  const kube::PodSpec spec_;  // as it was assigned: containers point into it
  std::function<void()> removed_;
  std::vector<std::unique_ptr<Container>> init_;
  std::vector<std::unique_ptr<Container>> main_;

  PodVolumes volumes_;
  Sandbox sandbox_;
  kube::Time start_time_{};
  std::string failed_reason_, failed_message_;
  bool vanished_ = false;
  bool said_not_done_ = false;
  bool ending_ = false;           // nothing starts again
  bool network_changed_ = false;  // since the last try to make a sandbox
  Duration sandbox_pause_{};      // before the last try
  std::unique_ptr<Timer> slow_;   // tells the API about a start that takes its time
  StatusWriter status_;
  Channel<bool> inbox_;
  Scope scope_;
};

}  // namespace causeway::lab
