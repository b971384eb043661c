#include "control/controllers.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace causeway::control {

namespace {

// A Lease that was renewed less than this long ago is held; the ordinary duration is 15 s, and clocks differ.
constexpr Duration kHeld = 60s;

std::string names() {
  std::string list;
  for (auto controller : kAllControllers) list += fmt::format("{}{}", list.empty() ? "" : ", ", to_string(controller));
  return list;
}

template <class T>
void report(std::string& text, const kube::Cache<T>& cache) {
  const auto& health = cache.health();
  text +=
      fmt::format("{:<12} {:>6} objects  {:<9} {}{}{}\n", T::kKind.plural, cache.size(), kube::to_string(health.phase),
                  health.synced ? "synced" : "not synced", health.error.empty() ? "" : ": ", health.error);
}

}  // namespace

std::string_view to_string(Controller controller) {
  switch (controller) {
    case Controller::NodeIpam: return "node-ipam-controller";
    case Controller::Deployment: return "deployment-controller";
    case Controller::ReplicaSet: return "replicaset-controller";
    case Controller::StatefulSet: return "statefulset-controller";
    case Controller::DaemonSet: return "daemonset-controller";
    case Controller::Scheduler: return "scheduler";
    case Controller::GarbageCollector: return "garbage-collector-controller";
    case Controller::TaintEviction: return "taint-eviction-controller";
    case Controller::EndpointSlice: return "endpointslice-controller";
    case Controller::Endpoints: return "endpoints-controller";
    case Controller::Mirroring: return "endpointslice-mirroring-controller";
    case Controller::AddressReservation: return "address-reservation-controller";
  }
  return "";
}

Result<std::set<Controller>> parse_controllers(std::string_view text) {
  std::set<Controller> enabled, disabled;
  while (!text.empty()) {
    auto word = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (word == "*") {
      enabled.insert(std::begin(kAllControllers), std::end(kAllControllers));
      continue;
    }
    const bool off = word.starts_with('-');
    const auto name = word.substr(off ? 1 : 0);
    const auto* found = std::ranges::find(kAllControllers, name, [](auto controller) { return to_string(controller); });
    if (found == std::end(kAllControllers))
      return fail(Errc::Invalid, "--controllers: there is no \"{}\"; there are: *, {}", name, names());
    (off ? disabled : enabled).insert(*found);
  }
  for (auto controller : disabled) enabled.erase(controller);
  if (enabled.empty()) return fail(Errc::Invalid, "--controllers leaves nothing to do; name some of: *, {}", names());
  return enabled;
}

Task<Result<std::string>> find_rival(kube::Client& api, std::set<Controller> enabled) {
  struct Program {
    const char* lease;
    std::set<Controller> work;
  };
  // Node IPAM is part of kube-controller-manager too, but off by default there: no proof of a rival.
  const Program programs[] = {
      {"kube-controller-manager",
       {Controller::Deployment, Controller::ReplicaSet, Controller::StatefulSet, Controller::DaemonSet,
        Controller::GarbageCollector, Controller::TaintEviction, Controller::EndpointSlice, Controller::Endpoints,
        Controller::Mirroring}},
      {"kube-scheduler", {Controller::Scheduler}},
  };
  const auto now = std::chrono::time_point_cast<std::chrono::microseconds>(api.loop().wall_now());
  for (const auto& program : programs) {
    std::vector<std::string_view> both;
    for (auto controller : program.work)
      if (enabled.contains(controller)) both.push_back(to_string(controller));
    if (both.empty()) continue;
    auto lease = co_await api.get<kube::Lease>({"kube-system", program.lease});
    if (!lease && lease.error().code() == Errc::NotFound) continue;
    if (!lease) co_return fail(std::move(lease.error()));
    const auto& spec = lease->spec;
    if (spec.holder_identity.value_or("").empty() || !spec.renew_time || now - *spec.renew_time > kHeld) continue;
    co_return fmt::format(
        "{} runs the {} of this cluster (Lease kube-system/{} is held by {}); leave them out of --controllers",
        program.lease, fmt::join(both, ", "), program.lease, *spec.holder_identity);
  }
  co_return std::string();
}

Controllers::Controllers(Loop& loop, kube::Client& api, ControllersOptions options)
    : ipam_events_(api, "node-ipam-controller", options.host),
      deployment_events_(api, "deployment-controller", options.host),
      replica_set_events_(api, "replicaset-controller", options.host),
      stateful_events_(api, "statefulset-controller", options.host),
      daemon_events_(api, "daemonset-controller", options.host),
      scheduler_events_(api, "default-scheduler", options.host),
      eviction_events_(api, "taint-eviction-controller", options.host),
      slice_events_(api, "endpoint-slice-controller", options.host),
      endpoints_events_(api, "endpoint-controller", options.host),
      mirroring_events_(api, "endpoint-slice-mirroring-controller", options.host),
      nodes_(api),
      pods_(api),
      sets_(api),
      deployments_(api),
      stateful_(api),
      daemons_(api),
      revision_cache_(api),
      services_(api),
      slices_(api),
      endpoints_(api) {
  const auto on = [&](Controller controller) { return options.enabled.contains(controller); };
  if (on(Controller::NodeIpam) && options.node_cidrs)
    ipam_.emplace(loop, api, nodes_, ipam_events_, std::move(*options.node_cidrs));
  if (on(Controller::Scheduler)) scheduler_.emplace(loop, api, nodes_, pods_, scheduler_events_);
  if (on(Controller::ReplicaSet)) replica_sets_.emplace(loop, api, sets_, pods_, replica_set_events_);
  if (on(Controller::Deployment)) rollouts_.emplace(loop, api, deployments_, sets_, deployment_events_);
  if (on(Controller::StatefulSet) || on(Controller::DaemonSet)) revisions_.emplace(api, revision_cache_);
  if (on(Controller::StatefulSet)) stateful_sets_.emplace(loop, api, stateful_, pods_, *revisions_, stateful_events_);
  if (on(Controller::DaemonSet)) daemon_sets_.emplace(loop, api, daemons_, nodes_, pods_, *revisions_, daemon_events_);
  if (on(Controller::TaintEviction)) evictions_.emplace(loop, api, nodes_, pods_, eviction_events_);
  if (on(Controller::EndpointSlice) || on(Controller::Endpoints)) selection_.emplace(services_, pods_);
  if (on(Controller::EndpointSlice))
    endpoint_slices_.emplace(loop, api, services_, pods_, nodes_, slices_, *selection_, slice_events_);
  if (on(Controller::Endpoints))
    endpoints_objects_.emplace(loop, api, services_, pods_, endpoints_, *selection_, endpoints_events_);
  if (on(Controller::Mirroring)) mirroring_.emplace(loop, api, services_, endpoints_, slices_, mirroring_events_);
  if (on(Controller::AddressReservation)) reservations_.emplace(loop, api, options.reservations);
  if (on(Controller::GarbageCollector)) {
    garbage_.emplace(loop, api);
    garbage_->follow(nodes_);
    garbage_->follow(pods_);
    garbage_->follow(sets_);
    garbage_->follow(deployments_);
    garbage_->follow(stateful_);
    garbage_->follow(daemons_);
    garbage_->follow(revision_cache_);
    garbage_->follow(services_);
    garbage_->follow(slices_);
    garbage_->follow(endpoints_);
  }
}

void Controllers::start() {
  const bool pods = scheduler_ || replica_sets_ || revisions_ || evictions_ || selection_ || garbage_;
  const bool sets = replica_sets_ || rollouts_ || garbage_;
  if (ipam_ || scheduler_ || evictions_ || endpoint_slices_ || daemon_sets_ || garbage_) nodes_.start();
  if (pods) pods_.start();
  if (sets) sets_.start();
  if (rollouts_ || garbage_) deployments_.start();
  if (stateful_sets_ || garbage_) stateful_.start();
  if (daemon_sets_ || garbage_) daemons_.start();
  if (revisions_ || garbage_) revision_cache_.start();
  if (selection_ || mirroring_ || garbage_) services_.start();
  if (endpoint_slices_ || mirroring_ || garbage_) slices_.start();
  if (endpoints_objects_ || mirroring_ || garbage_) endpoints_.start();
  if (garbage_) garbage_->start();
  if (reservations_) reservations_->start();
}

std::string Controllers::waiting_for() const {
  std::vector<std::string_view> kinds;
  const auto ask = [&](const auto& cache, std::string_view kind) {
    if (cache.health().phase != kube::Phase::Idle && !cache.synced()) kinds.push_back(kind);
  };
  ask(nodes_, "Nodes");
  ask(pods_, "Pods");
  ask(sets_, "ReplicaSets");
  ask(deployments_, "Deployments");
  ask(stateful_, "StatefulSets");
  ask(daemons_, "DaemonSets");
  ask(revision_cache_, "ControllerRevisions");
  ask(services_, "Services");
  ask(slices_, "EndpointSlices");
  ask(endpoints_, "Endpoints");
  if (kinds.empty()) return "";
  return fmt::format("the API server has not told its {} yet", fmt::join(kinds, ", "));
}

std::string Controllers::page() const {
  std::string text;
  report(text, nodes_);
  report(text, pods_);
  report(text, sets_);
  report(text, deployments_);
  report(text, stateful_);
  report(text, daemons_);
  report(text, revision_cache_);
  report(text, services_);
  report(text, slices_);
  report(text, endpoints_);
  if (ipam_)
    for (const auto& set : ipam_->cidrs().sets())
      text += fmt::format("cluster CIDR {}: {} of {} blocks taken\n", set.cluster(), set.used(), set.capacity());
  if (reservations_) text += fmt::format("{} kept addresses\n", reservations_->kept());
  if (garbage_) text += fmt::format("ownership of {} objects\n", garbage_->graph().size());
  return text;
}

}  // namespace causeway::control
