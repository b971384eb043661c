// A program inside a running container: exec probes and lifecycle hooks.
#pragma once

#include <string>
#include <vector>

#include "lab/nodelet/node_context.h"
#include "lab/spawn.h"

namespace causeway::lab {

// A container's process, and what another one in it starts with.
struct ContainerProcess {
  pid_t pid = 0;
  std::string cgroup;
  std::vector<std::string> env;
  std::string directory;
  Identity identity;
};

struct ExecResult {
  int code = 0;
  std::string output;  // of both streams, the first 10 KiB
};
// Runs to its end, at most `limit`. Killed when the caller is cancelled. Errors: Timeout; whatever kept it from
// starting.
Task<Result<ExecResult>> exec_in(NodeContext& context, ContainerProcess process, std::vector<std::string> argv,
                                 Duration limit);

}  // namespace causeway::lab
