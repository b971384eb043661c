// All controllers of a cluster, and the copies of its objects that they share.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "control/daemon_sets.h"
#include "control/deployments.h"
#include "control/endpoint_slices.h"
#include "control/endpoints.h"
#include "control/evictions.h"
#include "control/garbage.h"
#include "control/mirroring.h"
#include "control/node_ipam.h"
#include "control/replica_sets.h"
#include "control/reservations.h"
#include "control/scheduler.h"
#include "control/stateful_sets.h"

namespace causeway::control {

// Named as kube-controller-manager's --controllers names them, where it has them.
enum class Controller {
  NodeIpam,
  Deployment,
  ReplicaSet,
  StatefulSet,
  DaemonSet,
  Scheduler,
  GarbageCollector,
  TaintEviction,
  EndpointSlice,
  Endpoints,
  Mirroring,
  AddressReservation
};
inline constexpr Controller kAllControllers[] = {
    Controller::NodeIpam,      Controller::Deployment, Controller::ReplicaSet,       Controller::StatefulSet,
    Controller::DaemonSet,     Controller::Scheduler,  Controller::GarbageCollector, Controller::TaintEviction,
    Controller::EndpointSlice, Controller::Endpoints,  Controller::Mirroring,        Controller::AddressReservation};
std::string_view to_string(Controller controller);  // "node-ipam-controller"

// "*,-scheduler", "node-ipam-controller": names, all of them, all but some. Errors: Invalid, naming those there are.
Result<std::set<Controller>> parse_controllers(std::string_view text);

struct ControllersOptions {
  std::set<Controller> enabled;
  std::optional<NodeCidrs> node_cidrs;  // needed by NodeIpam
  std::string host;                     // source of the Events
  ReservationRules reservations;
};

// A Lease that shows another program doing this work, or "" (a real cluster has its own controllers and scheduler).
Task<Result<std::string>> find_rival(kube::Client& api, std::set<Controller> enabled);

class Controllers {
 public:
  // Borrows both. What is enabled is there after start().
  Controllers(Loop& loop, kube::Client& api, ControllersOptions options);
  void start();

  // Why it does not work yet, or "": which kinds are not known.
  std::string waiting_for() const;
  const NodeCidrs* node_cidrs() const { return ipam_ ? &ipam_->cidrs() : nullptr; }
  // Null: it is not enabled.
  const SliceWriter::Counts* slice_counts() const { return endpoint_slices_ ? &endpoint_slices_->counts() : nullptr; }
  std::vector<Metric> slice_metrics() const {
    return endpoint_slices_ ? endpoint_slices_->metrics().metrics() : std::vector<Metric>{};
  }
  // How many EndpointSlices there are, whoever wrote them.
  size_t slices() const { return slices_.size(); }
  // What the controllers know, for people.
  std::string page() const;

 private:
  kube::EventRecorder ipam_events_, deployment_events_, replica_set_events_, stateful_events_, daemon_events_,
      scheduler_events_, eviction_events_, slice_events_, endpoints_events_, mirroring_events_;
  kube::Cache<kube::Node> nodes_;
  kube::Cache<kube::Pod> pods_;
  kube::Cache<kube::ReplicaSet> sets_;
  kube::Cache<kube::Deployment> deployments_;
  kube::Cache<kube::StatefulSet> stateful_;
  kube::Cache<kube::DaemonSet> daemons_;
  kube::Cache<kube::ControllerRevision> revision_cache_;
  kube::Cache<kube::Service> services_;
  kube::Cache<kube::EndpointSlice> slices_;
  kube::Cache<kube::Endpoints> endpoints_;
  std::optional<Selection> selection_;
  std::optional<NodeIpam> ipam_;
  std::optional<Scheduler> scheduler_;
  std::optional<ReplicaSets> replica_sets_;
  std::optional<Deployments> rollouts_;
  std::optional<Revisions> revisions_;
  std::optional<StatefulSets> stateful_sets_;
  std::optional<DaemonSets> daemon_sets_;
  std::optional<Evictions> evictions_;
  std::optional<EndpointSlices> endpoint_slices_;
  std::optional<EndpointsObjects> endpoints_objects_;
  std::optional<Mirroring> mirroring_;
  std::optional<GarbageCollector> garbage_;
  std::optional<Reservations> reservations_;
};

}  // namespace causeway::control
