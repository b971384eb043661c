#include "service/prober.h"

#include <doctest/doctest.h>

#include "async/virtual_loop.h"

using namespace causeway;
using namespace causeway::service;

namespace {

const cluster::ServiceKey kWeb{"default", "web"};
const PortId kPort{"default", "web", "http"};
Endpoint at(uint32_t n) { return {Ip::v4(0x0a010000 + n), 80}; }

struct FakeDoor final : ProbeDoor {
  Loop& loop;
  std::set<Endpoint> dead;
  std::map<Endpoint, int> asked;
  explicit FakeDoor(Loop& given) : loop(given) {}
  Task<Status> ask(Endpoint endpoint, Probe probe) override {
    ++asked[endpoint];
    if (!dead.contains(endpoint)) co_return ok();
    CO_TRY(co_await loop.sleep(std::chrono::milliseconds(probe.timeout_ms)));
    co_return fail(Errc::Timeout, "no answer");
  }
};

struct World {
  VirtualLoop loop;
  FakeDoor door{loop};
  std::vector<std::set<Endpoint>> told;
  Prober prober{loop, door, [this](const cluster::ServiceKey& service, std::set<Endpoint> unhealthy) {
                  CHECK(service == kWeb);
                  told.push_back(std::move(unhealthy));
                }};
  const Probe probe{.interval_ms = 1000, .timeout_ms = 200, .failures = 3, .successes = 2};
  World() {
    for (uint32_t n : {1u, 2u}) prober.set({at(n), kPort}, kWeb, &probe);
  }
};

}  // namespace

TEST_CASE("an endpoint is unhealthy after so many failures in a row, healthy after so many answers") {
  World world;
  world.loop.advance(10s);
  CHECK(world.told.empty());
  CHECK(world.door.asked[at(1)] == doctest::Approx(10).epsilon(0.11));
  world.door.dead = {at(1)};
  world.loop.advance(2s);
  CHECK(world.told.empty());  // two failures
  world.loop.advance(2s);
  CHECK(world.told == std::vector<std::set<Endpoint>>{{at(1)}});
  CHECK(world.prober.render() ==
        "default/web:http 10.1.0.1:80 unhealthy: no answer\ndefault/web:http 10.1.0.2:80 healthy\n");
  world.door.dead.clear();
  world.loop.advance(1s);
  CHECK(world.told.size() == 1);
  world.loop.advance(2s);
  CHECK(world.told.size() == 2);
  CHECK(world.told.back().empty());
}

TEST_CASE("an answer between failures starts the count anew") {
  World world;
  world.loop.advance(5s);
  for (int i = 0; i < 5; ++i) {
    world.door.dead = {at(1)};
    world.loop.advance(2s);
    world.door.dead.clear();
    world.loop.advance(1s);
  }
  CHECK(world.told.empty());
}

TEST_CASE("an endpoint that goes is asked no more, and is not unhealthy any longer") {
  World world;
  world.door.dead = {at(1), at(2)};
  world.loop.advance(5s);
  CHECK(world.told.back() == std::set<Endpoint>{at(1), at(2)});
  world.prober.set({at(1), kPort}, kWeb, nullptr);
  CHECK(world.told.back() == std::set<Endpoint>{at(2)});
  const int asked = world.door.asked[at(1)];
  world.loop.advance(5s);
  CHECK(world.door.asked[at(1)] == asked);
  CHECK(world.prober.running() == 1);
  const Probe other{.interval_ms = 100};
  world.prober.set({at(2), kPort}, kWeb, &other);  // other settings: from the beginning
  CHECK(world.told.back().empty());
}
