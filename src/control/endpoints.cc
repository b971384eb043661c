#include "control/endpoints.h"

#include "base/format.h"
#include "control/endpoint_of.h"
#include "control/endpoints_plan.h"

namespace causeway::control {
namespace {

bool is_managed(const kube::Endpoints& endpoints) {
  const auto found = endpoints.metadata.labels.find(kEndpointsManagedBy);
  return found != endpoints.metadata.labels.end() && found->second == kEndpointsController;
}

}  // namespace

EndpointsObjects::EndpointsObjects(Loop& loop, kube::Client& api, kube::Cache<kube::Service>& services,
                                   kube::Cache<kube::Pod>& pods, kube::Cache<kube::Endpoints>& endpoints,
                                   Selection& selection, kube::EventRecorder& events)
    : api_(api),
      services_(services),
      pods_(pods),
      endpoints_(endpoints),
      selection_(selection),
      events_(events),
      queue_(loop, "Endpoints", 5, [this](kube::Ref ref) { return reconcile(std::move(ref)); }) {
  selection_.on_look([this](const kube::Ref& service) { queue_.add(service); });
  endpoints_.on_change([this](const kube::Endpoints* old, const kube::Endpoints* now) {
    queue_.add(kube::ref_of((now ? now : old)->metadata));
  });
  services_.on_sync([this] { look_at_all(); });
  pods_.on_sync([this] { look_at_all(); });
  endpoints_.on_sync([this] { look_at_all(); });
}

void EndpointsObjects::look_at_all() {
  if (!synced()) return;
  services_.for_each([this](const kube::Service& service) { queue_.add(kube::ref_of(service.metadata)); });
  // Of Services that went while we did not look.
  endpoints_.for_each([this](const kube::Endpoints& one) { queue_.add(kube::ref_of(one.metadata)); });
}

Task<Status> EndpointsObjects::reconcile(kube::Ref ref) {
  if (!synced()) co_return ok();
  const auto* found = services_.find(ref);
  if (!found) co_return co_await remove(ref);
  known_.insert(ref);
  if (!has_selected_endpoints(*found)) co_return ok();
  const kube::Service service = *found;
  const auto pods = selection_.pods_of(service);
  const auto time = trigger_times_.next(service, pods);
  auto plan = plan_endpoints(service, pods, endpoints_.find(ref));
  if (!plan) co_return ok();
  set_trigger_time(plan->metadata, time);
  const bool fresh = plan->metadata.resource_version.empty();
  auto written = fresh ? co_await api_.create(std::move(*plan)) : co_await api_.update(std::move(*plan));
  if (written) co_return ok();
  const auto code = written.error().code();
  // Made already, and the cache is late; or the namespace is being emptied.
  if (fresh && (code == Errc::AlreadyExists || code == Errc::Denied)) co_return ok();
  if (code != Errc::Conflict && code != Errc::Cancelled)
    events_.record(service, kube::EventType::Warning, fresh ? "FailedToCreateEndpoint" : "FailedToUpdateEndpoint",
                   fmt::format("Failed to {} endpoint for service {}: {}", fresh ? "create" : "update", ref,
                               written.error().message()));
  co_return fail(std::move(written.error()));
}

// With the Service go its Endpoints, whoever wrote them; those of a Service that we never saw only when we wrote them.
Task<Status> EndpointsObjects::remove(kube::Ref ref) {
  trigger_times_.forget(ref);
  const auto* endpoints = endpoints_.find(ref);
  const bool was_there = known_.erase(ref) > 0;
  if (!endpoints || (!was_there && !is_managed(*endpoints))) co_return ok();
  auto gone = co_await api_.remove<kube::Endpoints>(ref, {.uid = endpoints->metadata.uid});
  if (!gone && gone.error().code() != Errc::NotFound) co_return gone;
  co_return ok();
}

}  // namespace causeway::control
