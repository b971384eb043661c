#include "control/slice_metrics.h"

#include <doctest/doctest.h>

using namespace causeway;
using namespace causeway::control;

namespace {

kube::EndpointSlice slice(std::string name, int first, int count) {
  kube::EndpointSlice out{.address_type = "IPv4"};
  out.metadata.name = std::move(name);
  for (int i = first; i < first + count; ++i) {
    kube::SliceEndpoint endpoint;
    endpoint.addresses = {fmt::format("10.1.{}.{}", i / 250, i % 250)};
    out.endpoints.push_back(std::move(endpoint));
  }
  return out;
}

const Metric& named(const std::vector<Metric>& metrics, std::string_view name) {
  for (const auto& metric : metrics)
    if (metric.name == "endpoint_slice_controller_" + std::string(name)) return metric;
  throw std::runtime_error(std::string(name));
}

}  // namespace

TEST_CASE("what a look at a Service added, removed and changed is counted, and what it has") {
  SliceMetrics metrics;
  kube::Service web;
  web.metadata.ns = "shop";
  web.metadata.name = "web";
  web.spec.traffic_distribution = "PreferSameZone";
  SliceSet after{.create = {slice("c", 200, 30)}, .update = {slice("b", 100, 50)}, .unchanged = {slice("a", 0, 100)}};
  const auto before = slice("b", 90, 70);
  metrics.observe(web, {&before}, after, false, 100);
  metrics.count(SliceMetrics::Result::Success);
  metrics.count(SliceMetrics::Result::Stale);
  const auto all = metrics.metrics();
  CHECK(named(all, "endpoints_added_per_sync").samples[0].histogram->sum() == 30);
  CHECK(named(all, "endpoints_removed_per_sync").samples[0].histogram->sum() == 20);
  CHECK(named(all, "endpoints_desired").samples[0].value == 180);
  CHECK(named(all, "desired_endpoint_slices").samples[0].value == 2);
  const Sample& changed = named(all, "endpointslices_changed_per_sync").samples[0];
  CHECK(changed.histogram->sum() == 2);
  CHECK(changed.labels ==
        std::map<std::string, std::string>{{"topology", "Disabled"}, {"traffic_distribution", "PreferSameZone"}});
  CHECK(named(all, "services_count_by_traffic_distribution").samples[0].value == 1);
  CHECK(named(all, "syncs").samples.size() == 2);
  metrics.forget({.ns = "shop", .name = "web"});
  CHECK(named(metrics.metrics(), "endpoints_desired").samples[0].value == 0);
}
