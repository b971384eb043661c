// Which endpoint a flow gets, seen at connect(): every algorithm, weights, affinity. Connected UDP sockets, so that no
// endpoint need be there.
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <map>

#include "datapath/conntrack.h"
#include "datapath/rows.h"
#include "services.h"
#include "sockets.h"

namespace causeway::test {

namespace {

Ip ip_of(const char* text) { return Ip::parse(text).value(); }

struct Scene {
  Scene() : world({.wire = true, .socket_cgroup = own_cgroup()}), rows(world.a) {
    for (Pod* pod : {&world.a1(), &world.a2()}) rows.client(*pod);
  }
  Ip vip(Family family) const { return ip_of(family == Family::V4 ? "10.96.0.10" : "fd00:96::10"); }
  // `count` endpoints; their numbers start with first_backend().
  ServiceSpec spec(Family family, uint32_t count, abi::service_algorithm algorithm) {
    ServiceSpec spec{.ip = vip(family), .port = 53, .proto = IPPROTO_UDP, .algorithm = algorithm};
    for (uint32_t i = 0; i < count; ++i)
      spec.backends.push_back({world.b1().ip(family), static_cast<uint16_t>(8000 + i)});
    return spec;
  }
  // The endpoint that a new connection gets: 0, 1, ...; -1: none.
  int pick(const Ns& client, Family family, uint32_t id) {
    uint32_t backend = 0;
    auto dialled = dial(client, SOCK_DGRAM, {vip(family), 53});
    if (!translated(world.a, dialled.fd, &backend)) return -1;
    return static_cast<int>(backend - ServiceRows::first_backend(id));
  }
  std::map<int, int> picks(int count, uint32_t id, Family family = Family::V4) {
    std::map<int, int> seen;
    for (int i = 0; i < count; ++i) ++seen[pick(world.a1().ns, family, id)];
    return seen;
  }

  World world;
  ServiceRows rows;
};

}  // namespace

TEST_CASE("random spreads evenly, round robin exactly") {
  Scene scene;
  auto id = scene.rows.add(scene.spec(Family::V4, 4, abi::SERVICE_RANDOM));
  auto random = scene.picks(1000, id);
  CHECK(random.size() == 4);
  for (const auto& [backend, times] : random) {
    CAPTURE(backend);
    CHECK(times > 150);  // 250 expected, 7 standard deviations below
    CHECK(times < 350);
  }
  id = scene.rows.add(scene.spec(Family::V4, 4, abi::SERVICE_ROUND_ROBIN));
  CHECK(scene.picks(40, id) == std::map<int, int>{{0, 10}, {1, 10}, {2, 10}, {3, 10}});
}

TEST_CASE("a source hash sends each client to the same endpoint, and clients to different ones") {
  Scene scene;
  for (Family family : kFamilies) {
    auto id = scene.rows.add(scene.spec(family, 7, abi::SERVICE_SOURCE_HASH));
    CHECK(scene.picks(20, id, family).size() == 1);
    std::map<int, int> seen;
    for (int i = 0; i < 64; ++i) {
      auto address = family == Family::V4 ? fmt::format("10.244.9.{}", i + 1) : fmt::format("fd00:10:9::{}", i + 1);
      REQUIRE(scene.world.a.plane->clients().put(
          netns_cookie(scene.world.a1().ns),
          {.addr4 = datapath::to_abi(ip_of(address.c_str())), .addr6 = datapath::to_abi(ip_of(address.c_str()))}));
      ++seen[scene.pick(scene.world.a1().ns, family, id)];
    }
    CHECK(seen.size() == 7);
    scene.rows.client(scene.world.a1());
  }
}

TEST_CASE("least load and least connections take the endpoint with the least for its weight") {
  Scene scene;
  auto spec = scene.spec(Family::V4, 4, abi::SERVICE_LEAST_LOAD);
  spec.loads = {500, 100, 300, 900};
  CHECK(scene.picks(20, scene.rows.add(spec)) == std::map<int, int>{{1, 20}});
  spec.weights = {1, 1, 10, 1};
  CHECK(scene.picks(20, scene.rows.add(spec)) == std::map<int, int>{{2, 20}});
  spec.loads = {};
  spec.weights = {};
  CHECK(scene.picks(200, scene.rows.add(spec)).size() == 4);  // equal ones share

  spec.algorithm = abi::SERVICE_LEAST_CONNECTIONS;
  auto id = scene.rows.add(spec), first = ServiceRows::first_backend(id);
  auto& open = scene.world.a.plane->backend_connections();
  for (uint32_t i = 0; i < 4; ++i) REQUIRE(open.put(first + i, 5 - i));
  CHECK(scene.picks(20, id) == std::map<int, int>{{3, 20}});
  REQUIRE(open.put(first + 3, 50u));
  CHECK(scene.picks(20, id) == std::map<int, int>{{2, 20}});
}

TEST_CASE("a slot whose endpoint is gone is passed over") {
  Scene scene;
  for (auto algorithm : {abi::SERVICE_RANDOM, abi::SERVICE_ROUND_ROBIN, abi::SERVICE_SOURCE_HASH,
                         abi::SERVICE_LEAST_CONNECTIONS, abi::SERVICE_LEAST_LOAD}) {
    auto id = scene.rows.add(scene.spec(Family::V4, 3, algorithm)), first = ServiceRows::first_backend(id);
    scene.rows.set_state(first, abi::BACKEND_GONE);
    scene.rows.set_state(first + 2, abi::BACKEND_GONE);
    CHECK(scene.picks(20, id) == std::map<int, int>{{1, 20}});
    scene.rows.set_state(first + 1, abi::BACKEND_GONE);
    CHECK(scene.picks(5, id) == std::map<int, int>{{-1, 5}});
  }
}

TEST_CASE("ClientIP affinity: a client stays until its time is over or its endpoint gets no new flows") {
  Scene scene;
  for (Family family : kFamilies) {
    CAPTURE(to_string(family));
    auto spec = scene.spec(family, 4, abi::SERVICE_ROUND_ROBIN);
    spec.affinity = 10800;
    const auto id = scene.rows.add(spec), first = ServiceRows::first_backend(id);
    const Ns &one = scene.world.a1().ns, &two = scene.world.a2().ns, &node = scene.world.a.ns;
    scene.rows.node_address(scene.world.a.ip(family));
    const int chosen = scene.pick(one, family, id), others = scene.pick(two, family, id);
    CHECK(chosen != others);  // each client has its own
    const int nodes = scene.pick(node, family, id);
    for (int i = 0; i < 5; ++i) {
      CHECK(scene.pick(one, family, id) == chosen);
      CHECK(scene.pick(two, family, id) == others);
      CHECK(scene.pick(node, family, id) == nodes);
    }
    // The key is the Pod's address, as in the per-packet path; the node's own is all zero.
    auto& affinity = scene.world.a.plane->affinity();
    const abi::affinity_key key{.pool = 2 * id, .client = datapath::to_abi(scene.world.a1().ip(family))};
    auto row = affinity.get(key).value();
    REQUIRE(row);
    CHECK(row->backend == first + static_cast<uint32_t>(chosen));
    CHECK(affinity.get({.pool = 2 * id}).value());
    // Time: as if the last flow was long ago. The program's clock is that of the last tick: up to a second behind ours.
    row->last = datapath::monotonic_seconds() - 10801;
    REQUIRE(affinity.put(key, *row));
    const int next = scene.pick(one, family, id);
    CHECK(next != chosen);
    CHECK(scene.pick(one, family, id) == next);
    row = affinity.get(key).value();
    row->last = datapath::monotonic_seconds() - 10798;
    REQUIRE(affinity.put(key, *row));
    CHECK(scene.pick(one, family, id) == next);
    CHECK(affinity.get(key).value()->last + 60 > datapath::monotonic_seconds());  // renewed
    // As if another processor renewed it a moment later.
    row->last = datapath::monotonic_seconds() + 60;
    REQUIRE(affinity.put(key, *row));
    CHECK(scene.pick(one, family, id) == next);
    // An endpoint that ends, then one whose number is somebody else's.
    scene.rows.set_state(first + static_cast<uint32_t>(next), abi::BACKEND_SERVING);
    scene.rows.flip(spec, id, {first + static_cast<uint32_t>(chosen)});
    CHECK(scene.pick(one, family, id) == chosen);
    scene.rows.set_state(first + static_cast<uint32_t>(chosen), abi::BACKEND_GONE);
    scene.rows.set_state(first + static_cast<uint32_t>(chosen), abi::BACKEND_ELIGIBLE);
    scene.rows.set_state(first + static_cast<uint32_t>(next), abi::BACKEND_ELIGIBLE);
    scene.rows.flip(spec, id, {first + static_cast<uint32_t>(next)});
    CHECK(scene.pick(one, family, id) == next);
  }
}

TEST_CASE(
    "ClientIP affinity is of the Service: where a pool knows no endpoint of the client, that of the other pool "
    "counts") {
  Scene scene;
  for (const Family family : kFamilies) {
    auto spec = scene.spec(family, 3, abi::SERVICE_RANDOM);
    spec.affinity = 10800;
    const uint32_t id = scene.rows.add(spec), first = ServiceRows::first_backend(id);
    const Ns& client = scene.world.a1().ns;
    auto& affinity = scene.world.a.plane->affinity();
    const abi::affinity_key own{.pool = 2 * id, .client = datapath::to_abi(scene.world.a1().ip(family))};
    abi::affinity_key other = own;
    other.pool = 2 * id + 1;
    for (uint32_t which = 0; which < 3; ++which) {
      (void)affinity.remove(own);
      REQUIRE(affinity.put(other, {.backend = first + which, .generation = 1, .last = datapath::monotonic_seconds()}));
      for (int i = 0; i < 4; ++i) CHECK(scene.pick(client, family, id) == static_cast<int>(which));
    }
    // One that is in the other pool only is no endpoint of this one; and what this one knows comes first.
    scene.rows.set_state(first + 2, abi::BACKEND_IN_LOCAL);
    scene.rows.flip(spec, id, {first, first + 1});
    const int chosen = scene.pick(client, family, id);
    CHECK(chosen != 2);
    REQUIRE(affinity.put(other, {.backend = first + static_cast<uint32_t>(1 - chosen),
                                 .generation = 1,
                                 .last = datapath::monotonic_seconds()}));
    for (int i = 0; i < 4; ++i) CHECK(scene.pick(client, family, id) == chosen);
  }
}

}  // namespace causeway::test
