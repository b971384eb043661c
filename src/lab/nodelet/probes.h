// The probes of one run of a container: when each is made, and what its answers mean.
#pragma once

#include <functional>

#include "async/scope.h"
#include "lab/nodelet/node_context.h"
#include "lab/nodelet/pod_status.h"

namespace causeway::lab {

// What the probes know of the container and tell its owner.
struct Probed {
  const kube::Pod& pod;
  const kube::Container& container;
  ContainerView& view;  // `started` and `ready` are the probes' to set
  Ip address;           // asked when a probe names no host
  std::function<void()> changed;
  // The container failed its liveness or startup probe (`which`): end it. The probe that asked is not made again.
  std::function<Task<Status>(std::string_view which, const kube::Probe& probe)> end;
  // Runs a command in the container; fails with what it printed unless it ends with 0.
  std::function<Task<Status>(std::vector<std::string> command, Duration limit)> exec;
};

class Probes {
 public:
  // Begins them: until a probe has answered, the container is as ready as one without that probe.
  Probes(NodeContext& context, Probed probed);

 private:
  enum class Kind { Readiness, Liveness, Startup };
  Task<Status> run(kube::Probe probe, Kind kind);
  Task<Status> ask(kube::Probe probe);
  // What a probe that has succeeded, or failed, often enough says. Ended: this probe is not made again.
  enum class Next { Again, Ended };
  Next succeeded(Kind kind);
  void set_ready(bool ready);
  void say_failed(Kind kind, const Error& error);

  NodeContext& context_;
  Probed probed_;
  Scope scope_;
};

}  // namespace causeway::lab
