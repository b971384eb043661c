// One of several processes leads: whoever holds a Lease (coordination.k8s.io). The protocol of client-go's
// leaderelection, so that others' controllers and ours can share a Lease.
#pragma once

#include "async/scope.h"
#include "kube/client/client.h"

namespace causeway::kube {

struct LeaderOptions {
  Ref lease{"kube-system", "causeway-controller"};
  std::string identity;     // unique to the process
  Duration duration = 15s;  // others may take over when it was not renewed for so long
  Duration renew = 10s;     // we stop leading when we could not renew for so long; less than `duration`
  Duration retry = 2s;      // between two tries
};

// Waits for leadership, then runs `work()` until leadership is lost (work is cancelled; returns Unavailable) or work
// ends (its Status). Clocks of different machines are never compared.
Task<Status> lead(Client& api, LeaderOptions options, std::move_only_function<Task<Status>()> work);

// Gives the Lease back if `options.identity` holds it, so that another leads at its next try instead of after the
// Lease's duration. For a process that ends: the work must have ended before.
Task<Status> release(Client& api, LeaderOptions options);

}  // namespace causeway::kube
