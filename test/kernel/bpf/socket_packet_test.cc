// The socket hooks and the per-packet path together: what one leaves, the other does, and both agree.
#include <doctest/doctest.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "services.h"
#include "sockets.h"

namespace causeway::test {

namespace {

Ip ip_of(const char* text) { return Ip::parse(text).value(); }

struct Scene {
  explicit Scene(Fabric fabric = Fabric::Overlay4)
      : world({.fabric = fabric, .services = true, .socket_cgroup = own_cgroup()}), rows(world.a) {
    for (Pod* pod : {&world.a1(), &world.a2()}) rows.client(*pod);
    for (Family family : kFamilies) rows.node_address(world.a.ip(family));
  }
  static Ip vip(Family family) { return ip_of(family == Family::V4 ? "10.96.0.10" : "fd00:96::10"); }

  World world;
  ServiceRows rows;
};

}  // namespace

TEST_CASE("a connected UDP socket, of a Pod and of the node, leaves an endpoint that is gone on its next packet") {
  for (auto fabric : {Fabric::Native, Fabric::Overlay4}) {
    Scene scene(fabric);
    auto& [world, rows] = scene;
    for (Family family : kFamilies) {
      for (bool from_node : {false, true}) {
        CAPTURE(name_of({.fabric = fabric}));
        CAPTURE(to_string(family));
        CAPTURE(from_node);
        const Ns& from = from_node ? world.a.ns : world.a1().ns;
        // One endpoint here, one on another node; first the one dies, then the other.
        ServiceSpec spec{.ip = scene.vip(family),
                         .port = 53,
                         .proto = IPPROTO_UDP,
                         .backends = {{world.a2().ip(family), 8101}, {world.b1().ip(family), 8102}}};
        const uint32_t id = rows.add(spec), here = rows.first_backend(id), there = here + 1;
        Servers local(world.a2().ns, family, {spec.backends[0]}), remote(world.b1().ns, family, {spec.backends[1]});
        for (bool local_dies : {true, false}) {
          CAPTURE(local_dies);
          rows.set_state(here, abi::BACKEND_ELIGIBLE);
          rows.set_state(there, abi::BACKEND_ELIGIBLE);
          rows.flip(spec, id, {local_dies ? here : there});
          Dialled udp = dial(from, SOCK_DGRAM, {scene.vip(family), 53});
          auto converse = [&](Servers& with) {
            REQUIRE(::send(udp.fd.get(), "question", 8, 0) == 8);
            auto request = with.received();
            REQUIRE(request.port);
            REQUIRE(with.answer(request, "answer"));
            auto reply = receive_udp(udp.fd);
            REQUIRE(reply);
            CHECK(reply->payload == "answer");
            CHECK(to_string(reply->from) == to_string(Endpoint{scene.vip(family), 53}));
          };
          converse(local_dies ? local : remote);
          rows.flip(spec, id, {local_dies ? there : here});
          rows.set_state(local_dies ? here : there, abi::BACKEND_GONE);
          for (int i = 0; i < 3; ++i) converse(local_dies ? remote : local);
        }
      }
    }
  }
}

TEST_CASE("a connected UDP socket of a Service without endpoints is refused by a packet, and reaches one that comes") {
  Scene scene;
  auto& [world, rows] = scene;
  for (Family family : kFamilies) {
    CAPTURE(to_string(family));
    ServiceSpec spec{.ip = scene.vip(family), .port = 53, .proto = IPPROTO_UDP};
    const uint32_t id = rows.add(spec);
    for (const Ns* from : {&world.a1().ns, &world.a.ns}) {
      rows.flip(spec, id, {});
      Dialled udp = dial(*from, SOCK_DGRAM, {scene.vip(family), 53});
      REQUIRE(udp.error == 0);
      REQUIRE(::send(udp.fd.get(), "x", 1, 0) == 1);
      int error = 0;
      for (int i = 0; i < 200 && !error; ++i) {
        char byte;
        if (::recv(udp.fd.get(), &byte, 1, MSG_DONTWAIT) < 0 && errno != EAGAIN) error = errno;
        if (!error) ::usleep(10000);
      }
      CHECK(error == ECONNREFUSED);
      Servers server(world.a2().ns, family, {{world.a2().ip(family), 8101}});
      auto served = spec;
      served.backends = {{world.a2().ip(family), 8101}};
      served.ip = ip_of(family == Family::V4 ? "10.96.0.77" : "fd00:96::77");  // makes the backend
      const uint32_t other = rows.add(served);
      rows.flip(spec, other, {rows.first_backend(other)});
      REQUIRE(::send(udp.fd.get(), "x", 1, 0) == 1);
      CHECK(server.received().port == 8101);
    }
  }
}

TEST_CASE("a Pod has one endpoint by affinity, whether its sockets are translated or its packets") {
  Scene scene;
  auto& [world, rows] = scene;
  for (Family family : kFamilies) {
    CAPTURE(to_string(family));
    ServiceSpec spec{.ip = scene.vip(family), .port = 80, .algorithm = abi::SERVICE_ROUND_ROBIN, .affinity = 10800};
    std::vector<Fd> listeners;
    for (uint16_t port = 8101; port < 8105; ++port) {
      spec.backends.push_back({world.a2().ip(family), port});
      listeners.push_back(tcp_listener(world.a2().ns, ip_of(family == Family::V4 ? "0.0.0.0" : "::"), port));
    }
    rows.add(spec);
    auto reached = [&] {
      Dialled dialled = dial(world.a1().ns, SOCK_STREAM, {scene.vip(family), 80});
      CHECK(dialled.error == 0);
      for (int tries = 0; tries < 200; ++tries)  // 2 s
        for (size_t i = 0; i < listeners.size(); ++i)
          if (accepted(listeners[i], std::chrono::milliseconds(i ? 0 : 10)).port) return static_cast<int>(i);
      return -1;
    };
    const int by_socket = reached();
    CHECK(by_socket >= 0);
    rows.client(world.a1(), abi::CLIENT_F_PER_PACKET);
    for (int i = 0; i < 3; ++i) CHECK(reached() == by_socket);
    rows.client(world.a1());
    for (int i = 0; i < 3; ++i) CHECK(reached() == by_socket);
  }
}

}  // namespace causeway::test
