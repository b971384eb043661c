#include "apiserver/kubernetes_service.h"

#include "base/log.h"
#include "kube/api/service.h"

namespace causeway::apiserver {

namespace {

// Somebody who deletes the three one by one is waited for.
constexpr Duration kPause = 1s;
constexpr Duration kRetry = 10s;  // as kube-apiserver looks again: its address may be another Service's now

}  // namespace

void KubernetesService::observe(const Event& event) {
  static const std::set<std::string> kResources = {kube::group_resource(kube::Service::kKind),
                                                   kube::group_resource(kube::Endpoints::kKind),
                                                   kube::group_resource(kube::EndpointSlice::kKind)};
  const Key& key = event.object->key;
  if (key.ns != "default" || !key.name.starts_with("kubernetes") || !kResources.contains(event.object->resource))
    return;
  if (!std::exchange(rung_, true)) bell_.push(0);
}

Task<Status> KubernetesService::run() {
  while (true) {
    CO_TRY(co_await bell_.next());
    CO_TRY(co_await context_.loop.sleep(kPause));
    rung_ = false;
    while (true) {
      auto done = co_await bootstrap(context_, advertise_);
      if (done) break;
      if (done.error().code() == Errc::Cancelled) co_return done;
      log::warning("the Service kubernetes: {}; tried again in 10 s", done.error().message());
      CO_TRY(co_await context_.loop.sleep(kRetry));
    }
  }
}

}  // namespace causeway::apiserver
