#include "control/mirroring.h"

#include "base/format.h"
#include "control/trigger_time.h"

namespace causeway::control {

Mirroring::Mirroring(Loop& loop, kube::Client& api, kube::Cache<kube::Service>& services,
                     kube::Cache<kube::Endpoints>& endpoints, kube::Cache<kube::EndpointSlice>& slices,
                     kube::EventRecorder& events)
    : services_(services),
      endpoints_(endpoints),
      slices_(slices),
      events_(events),
      writer_(api, slices, kMirrorController),
      queue_(loop, "mirrored Endpoints", 5, [this](kube::Ref ref) { return reconcile(std::move(ref)); }) {
  services_.on_change([this](const kube::Service* old, const kube::Service* now) {
    queue_.add(kube::ref_of((now ? now : old)->metadata));
  });
  endpoints_.on_change([this](const kube::Endpoints* old, const kube::Endpoints* now) {
    queue_.add(kube::ref_of((now ? now : old)->metadata));
  });
  slices_.on_change([this](const kube::EndpointSlice* old, const kube::EndpointSlice* now) {
    const auto concerned = writer_.changed(old, now);
    if (!concerned) return;
    concerned->at_once ? queue_.add(concerned->owner) : queue_.add_after(concerned->owner, kSettle);
  });
  services_.on_sync([this] { look_at_all(); });
  endpoints_.on_sync([this] { look_at_all(); });
  slices_.on_sync([this] { look_at_all(); });
}

void Mirroring::look_at_all() {
  if (!synced()) return;
  endpoints_.for_each([this](const kube::Endpoints& one) { queue_.add(kube::ref_of(one.metadata)); });
  slices_.for_each([this](const kube::EndpointSlice& slice) {
    if (const auto concerned = writer_.changed(&slice, &slice)) queue_.add(concerned->owner);
  });
}

Task<Status> Mirroring::reconcile(kube::Ref ref) {
  if (!synced()) co_return ok();
  auto existing = writer_.slices_of(ref);
  if (!existing) co_return ok();
  const auto* found = endpoints_.find(ref);
  std::optional<kube::Endpoints> endpoints;
  if (found && is_mirrored(*found, services_.find(ref))) endpoints = *found;
  auto plan = plan_mirror(endpoints ? &*endpoints : nullptr, std::move(*existing));
  if (plan.invalid > 0)
    events_.record(*endpoints, kube::EventType::Warning, "InvalidIPAddress",
                   fmt::format("Skipped {} invalid IP addresses when mirroring to EndpointSlices", plan.invalid));
  if (plan.surplus > 0)
    events_.record(*endpoints, kube::EventType::Warning, "TooManyAddressesToMirror",
                   fmt::format("A max of {} addresses can be mirrored to EndpointSlices per Endpoints subset. {} "
                               "addresses were skipped",
                               kMostMirrored, plan.surplus));
  if (endpoints)
    if (const auto time = endpoints->metadata.annotations.find(kTriggerTime);
        time != endpoints->metadata.annotations.end())
      for (auto* list : {&plan.slices.create, &plan.slices.update})
        for (auto& slice : *list) slice.metadata.annotations[kTriggerTime] = time->second;
  auto written = co_await writer_.write(ref, std::move(plan.slices));
  if (!written && written.error().code() == Errc::Denied) co_return ok();  // the namespace is being emptied
  co_return written;
}

}  // namespace causeway::control
