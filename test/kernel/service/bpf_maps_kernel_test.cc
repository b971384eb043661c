// The applier of Services on real maps: many Services, maps that grow, a restart, and what one change costs.
#include <doctest/doctest.h>
#include <sched.h>
#include <unistd.h>

#include <chrono>

#include "async/virtual_loop.h"
#include "datapath/datapath.h"
#include "kernel/bpf/pins.h"
#include "service/bpf_maps.h"

using namespace causeway;
using namespace causeway::service;

namespace {

double milliseconds(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - since).count();
}

// A pin folder and a namespace of its own; nothing is attached.
struct Maps {
  std::string pins = fmt::format("/sys/fs/bpf/causeway-maps-test-{}", ::getpid());
  std::unique_ptr<datapath::Datapath> datapath;
  Maps() {
    REQUIRE(::unshare(CLONE_NEWNET) == 0);
    REQUIRE(bpf::mount_bpffs("/sys/fs/bpf"));
    auto opened = datapath::Datapath::open({.pins = pins, .features = {.services = true}});
    REQUIRE_MESSAGE(opened, (opened ? "" : opened.error().message()));
    datapath = std::move(*opened);
  }
  ~Maps() { CHECK(datapath::Datapath::remove_all(pins)); }
};

struct Agent {
  VirtualLoop loop;
  Desired desired{{}};
  BpfMaps maps;
  explicit Agent(datapath::Datapath& node)
      : maps({loop, node.services(), node.slots(), node.backends(), node.backend_connections(), node.node_addresses(),
              node.service_ranges(), node.source_ranges(), node.clients(),
              [&node](const MapRoom& room) {
                return node.reserve_services({room.services, room.slots, room.backends, room.source_ranges});
              }},
             desired) {}
  double apply() {
    const auto start = std::chrono::steady_clock::now();
    auto failures = maps.apply(true);
    const double took = milliseconds(start);
    REQUIRE_MESSAGE(failures, (failures ? "" : failures.error().message()));
    for (const auto& failure : *failures) FAIL(failure.object, ": ", failure.error.message());
    return took;
  }
  void settle() { loop.advance(1s); }
};

cluster::ServiceKey key_of(uint32_t n) { return {"ns", fmt::format("service-{}", n)}; }

Tables tables_of(uint32_t n, uint32_t endpoints, uint32_t salt = 0) {
  Tables tables;
  const PortId id{"ns", fmt::format("service-{}", n), "http"};
  const Side side{.verdict = Verdict::Balance};
  tables.frontends[{Ip::v4(0x0a600000 + n), 80}] = {.port = id, .inside = side, .outside = {.verdict = Verdict::Drop}};
  Port& port = tables.ports[id];
  for (uint32_t i = 0; i < endpoints; ++i)
    port.backends.push_back({.at = {Ip::v4(0x0a000000 + n * 64 + i + salt), 8080}, .cluster_pool = true});
  tables.addresses[Ip::v4(0x0a600000 + n)] = key_of(n);
  return tables;
}

}  // namespace

TEST_CASE("10,000 Services of 2 endpoints; then one changes; then the agent is another one") {
  Maps kernel;
  {
    Agent agent(*kernel.datapath);
    for (uint32_t n = 0; n < 10000; ++n) agent.desired.replace(key_of(n), tables_of(n, 2));
    MESSAGE("cold: ", agent.apply(), " ms");
    CHECK(agent.maps.differences().value().empty());
    agent.settle();
    agent.desired.replace(key_of(77), tables_of(77, 2, 1));
    MESSAGE("one endpoint changed: ", agent.apply(), " ms");
    agent.settle();
    CHECK(agent.maps.differences().value().empty());
  }
  Agent second(*kernel.datapath);
  for (uint32_t n = 0; n < 10000; ++n) second.desired.replace(key_of(n), tables_of(n, 2, n == 77));
  MESSAGE("restart: ", second.apply(), " ms");
  CHECK(second.maps.writes() == 0);
  for (uint32_t n = 0; n < 10000; ++n) second.desired.replace(key_of(n), {});
  MESSAGE("all gone: ", second.apply(), " ms");
  second.settle();
  CHECK(kernel.datapath->services().dump()->empty());
  CHECK(kernel.datapath->slots().dump()->empty());
  CHECK(second.maps.differences().value().empty());
}

TEST_CASE("250,000 endpoints: the maps grow with them") {
  Maps kernel;
  Agent agent(*kernel.datapath);
  for (uint32_t n = 0; n < 1250; ++n) agent.desired.replace(key_of(n), tables_of(n, 200));
  MESSAGE("cold, growing: ", agent.apply(), " ms");
  CHECK(kernel.datapath->slots().dump()->size() == 250000);
  CHECK(agent.maps.differences().value().empty());
  agent.desired.replace(key_of(1), tables_of(1, 200, 1));
  MESSAGE("one endpoint changed: ", agent.apply(), " ms");
  agent.maps.forget();
  const uint64_t writes = agent.maps.writes();
  MESSAGE("audit: ", agent.apply(), " ms");
  CHECK(agent.maps.writes() == writes);
}

TEST_CASE("a Service of 5,000 endpoints: one more, one less, one other") {
  Maps kernel;
  Agent agent(*kernel.datapath);
  Tables tables = tables_of(1, 5000);
  agent.desired.replace(key_of(1), tables);
  MESSAGE("cold: ", agent.apply(), " ms");
  auto& backends = tables.ports.begin()->second.backends;
  auto change = [&](const char* what) {
    const uint64_t before = agent.maps.writes();
    agent.desired.replace(key_of(1), tables);
    const double took = agent.apply();
    agent.settle();
    MESSAGE(what, ": ", took, " ms, ", agent.maps.writes() - before, " writes");
    CHECK(agent.maps.writes() - before <= 5);
    CHECK(agent.maps.differences().value().empty());
  };
  backends.push_back({.at = {Ip::v4(0xc0000201), 8080}, .cluster_pool = true});
  change("one more");
  backends.erase(backends.begin() + 100);
  change("one less");
  backends[50].at.port = 8081;
  change("one other");
}
