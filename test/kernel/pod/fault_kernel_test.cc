// An ADD that fails at any of its steps leaves nothing in the kernel, in the Pod and in the journal.
#include <doctest/doctest.h>

#include "base/log.h"
#include "faulty.h"
#include "pod/server.h"
#include "world.h"

using namespace causeway;
using namespace causeway::pod;
using namespace causeway::pod::test;

namespace {

Task<Result<std::string>> start_and_add(CniServer& server, Call call, Steps& steps, int until) {
  CO_TRY(co_await server.start());
  server.set_network({.pod_cidrs = {Cidr::parse("10.1.0.0/24").value(), Cidr::parse("fd00:1::/64").value()},
                      .mtu = 1450,
                      .not_ready = ""});
  steps = {.until = until};
  const auto reply = co_await server.serve(std::move(call));
  co_return (reply.success ? "" : "failed: ") + reply.output;
}

// One agent's life in the node's namespace: start, an ADD that fails at step `until`, end.
Status one_life(World& world, int until, std::string& outcome, bool& failed_later) {
  Steps steps;
  auto loop = make_loop();
  WorkerPool workers(*loop, 1);
  FaultyStorage storage(TRY(open_file_storage(world.run() + "/ipam/journal")), steps);
  auto wiring = kernel_wiring(std::make_unique<FaultyDoors>(steps));
  RoutePlane plane(steps, TRY(netlink::open_rtnetlink()));
  auto options = TRY(this_boot());
  CniServer server(*loop, workers, storage, *wiring, plane, {.ipam = options, .spool = world.run() + "/spool"});
  Call call;
  call.request.field[wire::kCommand] = "ADD";
  call.request.field[wire::kContainer] = "id-a";
  call.request.field[wire::kIfname] = "eth0";
  call.request.field[wire::kNetns] = world.path_of("a");
  call.request.field[wire::kConfig] = R"({"cniVersion":"1.1.0","name":"causeway"})";
  outcome = TRY(run_until_done(*loop, start_and_add(server, std::move(call), steps, until)));
  failed_later = steps.taken >= until;
  if (outcome.starts_with("failed: ")) {
    CHECK(plane.known.empty());
    CHECK(server.attachments() == 0);
    for (int i = 0; i < 1000 && server.render().find("links to delete 0") == std::string::npos; ++i)
      TRY(run_until_done(*loop, loop->sleep(1ms)));
  }
  return ok();
}

}  // namespace

TEST_CASE("an ADD that fails at any step leaves nothing behind") {
  log::set_level(log::Level::Error);
  int until = 1;
  for (;; ++until) {
    World world;
    world.make_pod("a");
    std::string outcome;
    bool reached = true;
    const auto lived = netns::run_in(world.node(), [&] { return one_life(world, until, outcome, reached); });
    REQUIRE_MESSAGE(lived.has_value(), lived.error().message());
    if (!reached) {
      CHECK(outcome.starts_with("{\"cniVersion\":\"1.1.0\",\"interfaces\""));
      break;
    }
    INFO("step ", until, ": ", outcome);
    CHECK(outcome.starts_with("failed: {\"cniVersion\":\"1.1.0\",\"code\":"));
    CHECK(outcome.find("injected at step") != std::string::npos);
    CHECK(world.links().empty());
    CHECK(world.inside("a")->links()->size() == 1);
    CHECK(world.net().routes({.protocol = netlink::kRouteProtocol})->empty());
  }
  CHECK(until > 20);  // journal, doors, link, both ends, data path, journal
}
