#include "control/slice_plan.h"

#include <doctest/doctest.h>

using namespace causeway;
using namespace causeway::control;

namespace {

kube::Service dual_stack_service() {
  kube::Service service;
  service.metadata.ns = "default";
  service.metadata.name = "web";
  service.metadata.uid = "s-1";
  service.spec.selector = kube::StringMap{{"app", "web"}};
  service.spec.cluster_ip = "10.96.0.7";
  service.spec.ip_families = {"IPv4", "IPv6"};
  service.spec.ports = {{.protocol = "TCP", .port = 80}};
  return service;
}

SlicePlan plan(const kube::Service& service, std::vector<kube::EndpointSlice> existing) {
  static const ZoneShares no_shares{};
  return plan_slices({.service = service,
                      .existing = std::move(existing),
                      .node = [](const std::string&) -> const kube::Node* { return nullptr; },
                      .shares = no_shares});
}

// As the API server stores what the plan creates.
std::vector<kube::EndpointSlice> stored(std::vector<kube::EndpointSlice> made) {
  for (size_t i = 0; i < made.size(); ++i) {
    made[i].metadata.name = "web-" + std::to_string(i);
    made[i].metadata.uid = "e-" + std::to_string(i);
  }
  return made;
}

}  // namespace

TEST_CASE("a Service whose slices are right writes none, of neither family") {
  const auto service = dual_stack_service();
  auto first = plan(service, {});
  REQUIRE(first.slices.create.size() == 2);
  const auto again = plan(service, stored(std::move(first.slices.create)));
  CHECK(again.slices.create.empty());
  CHECK(again.slices.update.empty());
  CHECK(again.slices.remove.empty());
}

TEST_CASE("slices of a family that the Service gave up are removed, by their names") {
  auto service = dual_stack_service();
  auto existing = stored(std::move(plan(service, {}).slices.create));
  service.spec.ip_families = {"IPv4"};
  const auto now = plan(service, existing);
  REQUIRE(now.slices.remove.size() == 1);
  CHECK(now.slices.remove.front().metadata.name == "web-1");
  CHECK(now.slices.remove.front().address_type == "IPv6");
}
