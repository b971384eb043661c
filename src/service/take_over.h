// Waits for a kube-proxy's end, and takes away what it left.
#pragma once

#include <functional>

#include "async/worker_pool.h"
#include "service/kube_proxy.h"

namespace causeway::service {

struct TakeOver {
  Loop& loop;
  WorkerPool& worker;
  std::function<Result<bool>()> runs;  // whether a kube-proxy does
  // Ok once all of ours is in the kernel; asked after its end, and again each time when it ran once more.
  std::function<Task<Status>()> in_place;
  // On the worker: it reads every tracked connection and every rule of iptables.
  std::function<Result<KubeProxyRemoved>()> remove;
};
// Ends when there is nothing left, or nobody can say whether one runs. New connections are ours before; its rules go
// when ours are all there and it runs no more, so that who goes back to it, and starts it first, loses nothing. Its
// virtual servers go with their last connection. What fails is logged and tried again.
Task<Status> take_over_from_kube_proxy(TakeOver with);

}  // namespace causeway::service
