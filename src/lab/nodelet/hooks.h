// postStart and preStop: what a container asks to be done after it began and before it is ended.
#pragma once

#include "lab/nodelet/exec.h"

namespace causeway::lab {

// Ok when it has done what it should within `limit`; `address` is asked by HTTP when the hook names no host.
Task<Status> run_hook(NodeContext& context, kube::LifecycleHandler hook, kube::Container container,
                      ContainerProcess process, Ip address, Duration limit);

// A command in the container; fails with what it printed unless it ends with 0.
Task<Status> run_command(NodeContext& context, ContainerProcess process, std::vector<std::string> command,
                         Duration limit);

}  // namespace causeway::lab
