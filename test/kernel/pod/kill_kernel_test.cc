// The agent is killed at each step of an ADD, and of a DEL; another one takes over; the runtime repeats its call.
#include <doctest/doctest.h>

#include <set>
#include <thread>

#include "pod/record.h"
#include "world.h"

using namespace causeway;
using namespace causeway::pod;
using namespace causeway::pod::test;

namespace {
constexpr const char* kLives = "id-lives";
}

TEST_CASE("kill -9 of the agent at every step of an ADD leaks nothing, and the runtime's DEL and new ADD succeed") {
  World world;
  world.make_pod("lives");
  world.make_pod("a");
  REQUIRE(world.start_agent({"10.1.0.0/24", "fd00:1::/64"}));
  const auto lives = world.add("lives");
  REQUIRE(lives.exit == 0);
  world.kill_agent();

  int killed = 0;
  for (int step = 1; step < 200; ++step) {
    if (!world.start_agent({"10.1.0.0/24", "fd00:1::/64"}, step))
      continue;  // it died in its own start: try the next one
    const auto cut = world.add("a");
    if (cut.exit == 0 && world.agent_lives()) break;
    ++killed;
    INFO("killed at step ", step);
    CHECK(cut.output.find("\"code\":11,") != std::string::npos);
    // The next agent; the runtime gives up on the sandbox and makes a new one in another namespace.
    REQUIRE(world.start_agent({"10.1.0.0/24", "fd00:1::/64"}));
    CHECK(world.del("a").exit == 0);
    CHECK(world.links() == std::vector<std::string>{host_ifname({kLives, "eth0"})});
    const auto added = world.add("a");
    REQUIRE_MESSAGE(added.exit == 0, added.output);
    for (const auto& address : addresses_in(added.output))
      for (const auto& taken : addresses_in(lives.output)) CHECK(address != taken);
    CHECK(world.connects(world.pod("lives"), world.pod("a"), addresses_in(added.output).back()));
    CHECK(world.del("a").exit == 0);
    CHECK(world.links().size() == 1);
    CHECK(world.add("lives").output == lives.output);
  }
  CHECK(killed > 15);
}

TEST_CASE("an ADD whose agent is killed half-way succeeds when the next agent comes in time") {
  World world;
  world.make_pod("a");
  REQUIRE(world.start_agent({"10.1.0.0/24"}));
  world.kill_agent();
  int killed = 0;
  for (int step = 3; step < 200; step += 4) {
    if (!world.start_agent({"10.1.0.0/24"}, step)) continue;
    Ran added;
    std::thread runtime([&] { added = world.add("a"); });
    // The plugin tries again every 20 ms; the new agent finds its half-made link and removes it before it listens.
    for (int i = 0; i < 3000 && world.agent_lives() && world.links().empty(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    for (int i = 0; i < 100 && world.agent_lives(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const bool died = !world.agent_lives();
    if (died) REQUIRE(world.start_agent({"10.1.0.0/24"}));
    runtime.join();
    REQUIRE_MESSAGE(added.exit == 0, added.output);
    CHECK(world.links().size() == 1);
    CHECK(world.connects(world.node(), world.pod("a"), addresses_in(added.output).front()));
    CHECK(world.del("a").exit == 0);
    if (!died) break;
    CHECK(world.links().empty());
    ++killed;
  }
  CHECK(killed > 3);
}

TEST_CASE("an ADD removes the link of a killed ADD that showed only after the agent had looked for leftovers") {
  World world;
  world.make_pod("a");
  REQUIRE(world.start_agent({"10.1.0.0/24"}));
  REQUIRE(world.net().apply_one(netlink::CreateVeth{{.name = host_ifname({"id-a", "eth0"}), .mtu = 1400},
                                                    {.name = "eth0", .mtu = 1400, .netns_fd = world.pod("a")}}));
  const auto added = world.add("a");
  REQUIRE_MESSAGE(added.exit == 0, added.output);
  CHECK(world.links() == std::vector<std::string>{host_ifname({"id-a", "eth0"})});
  CHECK(world.connects(world.node(), world.pod("a"), addresses_in(added.output).front()));
  CHECK(world.del("a").exit == 0);
}

TEST_CASE("kill -9 of the agent at every step of a DEL: the DEL succeeds, and all is gone with the next agent") {
  World world;
  REQUIRE(world.start_agent({"10.1.0.0/24"}));
  world.kill_agent();
  int killed = 0;
  for (int step = 1; step < 200; ++step) {
    world.make_pod("a");
    REQUIRE(world.start_agent({"10.1.0.0/24"}));
    REQUIRE(world.add("a").exit == 0);
    if (world.start_agent({"10.1.0.0/24"}, step)) {
      const auto gone = world.del("a");
      CHECK(gone.exit == 0);
      CHECK(gone.output == "");
    } else {
      CHECK(world.del("a").exit == 0);
    }
    // The deletion of the link comes behind the answer: it may die there too.
    for (int i = 0; i < 100 && world.agent_lives(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const bool died = !world.agent_lives();
    REQUIRE(world.start_agent({"10.1.0.0/24"}));
    CHECK(world.links().empty());
    CHECK(world.inside("a")->link("eth0").error().code() == Errc::NotFound);
    world.remove_pod("a");
    if (!died) break;
    ++killed;
  }
  CHECK(killed > 3);
}
