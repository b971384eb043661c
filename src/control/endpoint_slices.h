// The EndpointSlice controller: every Service with a selector has its Pods listed in slices.
#pragma once

#include <map>
#include <set>

#include "control/key_queue.h"
#include "control/selection.h"
#include "control/slice_metrics.h"
#include "control/slice_plan.h"
#include "control/slice_writer.h"
#include "control/trigger_time.h"
#include "kube/client/events.h"

namespace causeway::control {

class EndpointSlices {
 public:
  // Borrows everything. Registers with the caches, which start later.
  EndpointSlices(Loop& loop, kube::Client& api, kube::Cache<kube::Service>& services, kube::Cache<kube::Pod>& pods,
                 kube::Cache<kube::Node>& nodes, kube::Cache<kube::EndpointSlice>& slices, Selection& selection,
                 kube::EventRecorder& events, size_t max_endpoints = 100);

  const SliceWriter::Counts& counts() const { return writer_.counts(); }
  const SliceMetrics& metrics() const { return metrics_; }

 private:
  static constexpr Duration kSettle = 1s;  // after somebody else's write to our slices

  bool synced() const;
  void look_at_all();
  void node_changed(const kube::Node* old, const kube::Node* now);
  void wait_for(const kube::Ref& service, const std::set<std::string>& nodes);
  Task<Status> reconcile(kube::Ref ref);

  kube::Cache<kube::Service>& services_;
  kube::Cache<kube::Pod>& pods_;
  kube::Cache<kube::Node>& nodes_;
  kube::Cache<kube::EndpointSlice>& slices_;
  Selection& selection_;
  kube::EventRecorder& events_;
  size_t max_endpoints_;
  SliceWriter writer_;
  SliceMetrics metrics_;
  TriggerTimes trigger_times_;
  ZoneShares shares_;
  std::map<kube::Ref, std::map<std::string, ZoneCounts>> dealt_;  // topology-mode: Service, address type
  std::map<std::string, std::set<kube::Ref>> waiting_;            // node that is not known -> Services
  KeyQueue queue_;                                                // last
};

}  // namespace causeway::control
