// The EndpointSlice mirroring controller: Endpoints that people write become EndpointSlices.
#pragma once

#include "control/key_queue.h"
#include "control/mirror_plan.h"
#include "control/slice_writer.h"
#include "kube/client/events.h"

namespace causeway::control {

class Mirroring {
 public:
  // Borrows everything. Registers with the caches, which start later.
  Mirroring(Loop& loop, kube::Client& api, kube::Cache<kube::Service>& services,
            kube::Cache<kube::Endpoints>& endpoints, kube::Cache<kube::EndpointSlice>& slices,
            kube::EventRecorder& events);

 private:
  static constexpr Duration kSettle = 1s;  // after somebody else's write to our slices

  bool synced() const { return services_.synced() && endpoints_.synced() && slices_.synced(); }
  void look_at_all();
  Task<Status> reconcile(kube::Ref ref);

  kube::Cache<kube::Service>& services_;
  kube::Cache<kube::Endpoints>& endpoints_;
  kube::Cache<kube::EndpointSlice>& slices_;
  kube::EventRecorder& events_;
  SliceWriter writer_;
  KeyQueue queue_;  // last
};

}  // namespace causeway::control
