// When an ADD answers, its Pod receives.
#include <doctest/doctest.h>

#include <atomic>

#include "faulty.h"
#include "world.h"

using namespace causeway;
using namespace causeway::pod;
using namespace causeway::pod::test;

namespace {

// Says so many times of an address that it leads elsewhere, as the kernel does until its work queue got to it.
class LateRtnetlink final : public FaultyRtnetlink {
 public:
  LateRtnetlink(std::unique_ptr<Rtnetlink> real, Steps& steps, std::atomic<int>& late)
      : FaultyRtnetlink(std::move(real), steps), late_(late) {}
  Result<netlink::Route> route_to(Ip destination) override {
    auto route = FaultyRtnetlink::route_to(destination);
    if (late_-- > 0 && route) route->type = netlink::RouteType::Unicast;
    return route;
  }

 private:
  std::atomic<int>& late_;
};

class LateDoors final : public Doors {
 public:
  explicit LateDoors(std::atomic<int>& late) : late_(late) {}
  Result<std::unique_ptr<netlink::Rtnetlink>> node() override { return netlink::open_rtnetlink(); }
  Result<std::unique_ptr<netlink::Rtnetlink>> pod() override {
    return std::make_unique<LateRtnetlink>(TRY(netlink::open_rtnetlink()), steps_, late_);
  }

 private:
  Steps steps_;
  std::atomic<int>& late_;
};

}  // namespace

TEST_CASE("an ADD waits until the kernel takes packets to the Pod's IPv6 address") {
  World world;
  world.make_pod("a");
  std::atomic<int> late = 7;
  auto wiring = kernel_wiring(std::make_unique<LateDoors>(late));
  const Ip address = Ip::parse("fd00:1::7").value();
  const auto wired = netns::call_in(world.node(), [&]() -> Result<Wired> {
    auto netns = TRY(wiring->open_namespace({}, world.path_of("a")));
    Record record{.key = {"id-a", "eth0"}, .addresses = {Ip::parse("10.1.0.7").value(), address}};
    record.generation = 1;
    record.netns = netns.id;
    record.mtu = 1450;
    return wiring->wire({.record = record, .netns = netns.fd, .mtu = record.mtu});
  });
  REQUIRE_MESSAGE(wired.has_value(), wired.error().message());
  CHECK(late == -1);  // asked until it said so, of the IPv6 address alone
  CHECK(world.inside("a")->route_to(address)->type == netlink::RouteType::Local);
}
