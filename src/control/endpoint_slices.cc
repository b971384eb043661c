#include "control/endpoint_slices.h"

#include "base/format.h"
#include "control/endpoint_of.h"

namespace causeway::control {

EndpointSlices::EndpointSlices(Loop& loop, kube::Client& api, kube::Cache<kube::Service>& services,
                               kube::Cache<kube::Pod>& pods, kube::Cache<kube::Node>& nodes,
                               kube::Cache<kube::EndpointSlice>& slices, Selection& selection,
                               kube::EventRecorder& events, size_t max_endpoints)
    : services_(services),
      pods_(pods),
      nodes_(nodes),
      slices_(slices),
      selection_(selection),
      events_(events),
      max_endpoints_(max_endpoints),
      writer_(api, slices, kSliceController),
      queue_(loop, "EndpointSlice", 5, [this](kube::Ref ref) { return reconcile(std::move(ref)); }) {
  selection_.on_look([this](const kube::Ref& service) { queue_.add(service); });
  slices_.on_change([this](const kube::EndpointSlice* old, const kube::EndpointSlice* now) {
    const auto concerned = writer_.changed(old, now);
    if (!concerned) return;
    concerned->at_once ? queue_.add(concerned->owner) : queue_.add_after(concerned->owner, kSettle);
  });
  nodes_.on_change([this](const kube::Node* old, const kube::Node* now) { node_changed(old, now); });
  services_.on_sync([this] { look_at_all(); });
  pods_.on_sync([this] { look_at_all(); });
  nodes_.on_sync([this] { look_at_all(); });
  slices_.on_sync([this] { look_at_all(); });
}

bool EndpointSlices::synced() const {
  return services_.synced() && pods_.synced() && nodes_.synced() && slices_.synced();
}

void EndpointSlices::look_at_all() {
  if (!synced()) return;
  node_changed(nullptr, nullptr);
  services_.for_each([this](const kube::Service& service) { queue_.add(kube::ref_of(service.metadata)); });
}

// A zone that a Node moves to reaches the endpoints with their next change only, as in Kubernetes; but topology-mode
// follows the zones' shares.
void EndpointSlices::node_changed(const kube::Node* old, const kube::Node* now) {
  if (now && !old)
    if (auto waiting = waiting_.extract(now->metadata.name))
      for (const auto& service : waiting.mapped()) queue_.add(service);
  if (!nodes_.synced()) return;
  std::vector<const kube::Node*> nodes;
  nodes_.for_each([&](const kube::Node& node) { nodes.push_back(&node); });
  auto shares = zone_shares(nodes);
  if (shares == shares_) return;
  shares_ = std::move(shares);
  for (const auto& [service, types] : dealt_)
    for (const auto& [type, counts] : types)
      if (overloaded(counts, shares_)) queue_.add(service);
}

// The Service waits for these Nodes, and for no other any more.
void EndpointSlices::wait_for(const kube::Ref& service, const std::set<std::string>& nodes) {
  for (auto& [node, services] : waiting_)
    if (!nodes.contains(node)) services.erase(service);
  std::erase_if(waiting_, [](const auto& waiting) { return waiting.second.empty(); });
  for (const auto& node : nodes) waiting_[node].insert(service);
}

Task<Status> EndpointSlices::reconcile(kube::Ref ref) {
  if (!synced()) co_return ok();
  const auto* found = services_.find(ref);
  if (!found || !has_selected_endpoints(*found)) {
    // Slices of a Service that is gone are the garbage collector's; of one that lost its selector they stay.
    metrics_.forget(ref);
    trigger_times_.forget(ref);
    dealt_.erase(ref);
    wait_for(ref, {});
    co_return ok();
  }
  auto existing = writer_.slices_of(ref);
  if (!existing) {
    metrics_.count(SliceMetrics::Result::Stale);
    co_return ok();
  }
  const kube::Service service = *found;
  const auto pods = selection_.pods_of(service);
  const auto time = trigger_times_.next(service, pods);
  std::set<std::string> dealt;
  for (const auto& [type, counts] : dealt_[ref]) dealt.insert(type);
  auto plan = plan_slices({.service = service,
                           .pods = pods,
                           .existing = std::move(*existing),
                           .node = [this](const std::string& name) { return nodes_.find({.name = name}); },
                           .shares = shares_,
                           .dealt = std::move(dealt),
                           .max_endpoints = max_endpoints_});
  wait_for(ref, plan.unknown_nodes);
  std::vector<const kube::EndpointSlice*> before;
  for (const auto* list : {&plan.slices.update, &plan.slices.remove})
    for (const auto& slice : *list)
      if (const auto* old = slices_.find(kube::ref_of(slice.metadata))) before.push_back(old);
  metrics_.observe(service, before, plan.slices, !plan.dealt.empty(), max_endpoints_);
  if (plan.dealt.empty())
    dealt_.erase(ref);
  else
    dealt_[ref] = std::move(plan.dealt);
  for (const auto& notice : plan.notices)
    events_.record(service, notice.warning ? kube::EventType::Warning : kube::EventType::Normal, notice.reason,
                   notice.message);
  for (auto* list : {&plan.slices.create, &plan.slices.update})
    for (auto& slice : *list) set_trigger_time(slice.metadata, time);

  auto written = co_await writer_.write(ref, std::move(plan.slices));
  metrics_.count(written ? SliceMetrics::Result::Success : SliceMetrics::Result::Error);
  if (written) co_return ok();
  const auto code = written.error().code();
  // Of a namespace that is being emptied nothing more is wanted.
  if (code == Errc::Denied && written.error().message().find("because it is being terminated") != std::string::npos)
    co_return ok();
  if (code != Errc::Conflict && code != Errc::Cancelled)
    events_.record(service, kube::EventType::Warning, "FailedToUpdateEndpointSlices",
                   fmt::format("Error updating Endpoint Slices for Service {}: {}", ref, written.error().message()));
  co_return written;
}

}  // namespace causeway::control
