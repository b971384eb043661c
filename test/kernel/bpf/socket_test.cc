// Services at connect(), sendmsg() and recvmsg(): real sockets of Pods and of the node, both families, also
// IPv4-mapped. The per-packet path is off here: what the hooks leave alone goes nowhere.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "services.h"
#include "sockets.h"
#include "talk.h"

namespace causeway::test {

namespace {

struct Scene {
  Scene() : world({.fabric = Fabric::Overlay4, .wire = true, .socket_cgroup = own_cgroup()}), rows(world.a) {
    for (Pod* pod : {&world.a1(), &world.a2()}) rows.client(*pod);
    for (Family family : kFamilies) rows.node_address(world.a.ip(family));
    rows.node_address(ip_of("127.0.0.1"));
    rows.node_address(ip_of("::1"));
  }
  static Ip ip_of(const char* text) { return Ip::parse(text).value(); }
  static Ip vip(Family family) { return ip_of(family == Family::V4 ? "10.96.0.10" : "fd00:96::10"); }
  static Ip any(Family family) { return ip_of(family == Family::V4 ? "0.0.0.0" : "::"); }

  World world;
  ServiceRows rows;
};

constexpr auto kNothing = std::chrono::milliseconds(100);  // how long we look for a packet that must not come

}  // namespace

TEST_CASE("connect() to a Service reaches an endpoint untranslated, and the application sees the Service") {
  Scene scene;
  auto& [world, rows] = scene;
  for (Family family : kFamilies) {
    CAPTURE(to_string(family));
    for (Pod* server : {&world.a2(), &world.b1()}) {
      rows.add({.ip = scene.vip(family), .port = 80, .backends = {{server->ip(family), 8080}}});
      rows.add({.ip = scene.vip(family), .port = 53, .proto = IPPROTO_UDP, .backends = {{server->ip(family), 8053}}});
      for (const Ns* client : {&world.a1().ns, &world.a.ns}) {
        const Ip source = client == &world.a.ns ? world.a.ip(family) : world.a1().ip(family);
        for (bool mapped : {false, true}) {
          if (mapped && family == Family::V6) continue;
          CAPTURE(mapped);
          Fd listener = tcp_listener(server->ns, scene.any(family), 8080);
          Dialled tcp = dial(*client, SOCK_STREAM, {scene.vip(family), 80}, mapped);
          CHECK(tcp.error == 0);
          CHECK(to_string(tcp.peer) == to_string(Endpoint{scene.vip(family), 80}));
          CHECK(to_string(accepted(listener).ip) == to_string(source));

          Fd udp_server = udp_socket(server->ns, scene.any(family), 8053);
          Dialled udp = dial(*client, SOCK_DGRAM, {scene.vip(family), 53}, mapped);
          CHECK(to_string(udp.peer) == to_string(Endpoint{scene.vip(family), 53}));
          REQUIRE(::send(udp.fd.get(), "hello", 5, 0) == 5);
          auto request = receive_udp(udp_server);
          REQUIRE(request);
          CHECK(to_string(request->from.ip) == to_string(source));
          REQUIRE(send_udp(udp_server, request->from.ip, request->from.port, "answer"));
          auto reply = receive_udp(udp.fd);
          REQUIRE(reply);
          CHECK(reply->payload == "answer");
          CHECK(to_string(unmapped(reply->from)) == to_string(Endpoint{scene.vip(family), 53}));
        }
      }
    }
  }
}

TEST_CASE(
    "a node without a default route reaches Services: its sockets are translated before the kernel asks for a route") {
  Scene scene;
  auto& [world, rows] = scene;
  ip(world.a.ns, "route del default via 192.0.2.1\nroute del default via 2001:db8:1::1\n");
  for (Family family : kFamilies) {
    CAPTURE(to_string(family));
    rows.add({.ip = scene.vip(family), .port = 80, .backends = {{world.b1().ip(family), 8080}}});
    rows.add({.ip = scene.vip(family), .port = 53, .proto = IPPROTO_UDP, .backends = {{world.b1().ip(family), 8053}}});
    Fd listener = tcp_listener(world.b1().ns, scene.any(family), 8080);
    CHECK(dial(world.a.ns, SOCK_STREAM, {scene.vip(family), 80}).error == 0);
    CHECK(accepted(listener).port != 0);
    Fd server = udp_socket(world.b1().ns, scene.any(family), 8053);
    Fd client = open_socket(world.a.ns, SOCK_DGRAM, family, false);
    REQUIRE(send_to(client, {scene.vip(family), 53}, "hello", false));
    CHECK(receive_udp(server));
    Dialled connected = dial(world.a.ns, SOCK_DGRAM, {scene.vip(family), 53});
    REQUIRE(::send(connected.fd.get(), "hello", 5, 0) == 5);
    CHECK(receive_udp(server));
  }
}

TEST_CASE("an unconnected UDP socket keeps its endpoint and sees the Service's address, of several Services too") {
  Scene scene;
  auto& [world, rows] = scene;
  for (Family family : kFamilies) {
    CAPTURE(to_string(family));
    const Ip server = world.a2().ip(family);
    const Ip first = scene.vip(family), second = scene.ip_of(family == Family::V4 ? "10.96.0.11" : "fd00:96::11");
    std::vector<Endpoint> endpoints;
    for (uint16_t port = 8100; port < 8108; ++port) endpoints.push_back({server, port});
    rows.add({.ip = first, .port = 53, .proto = IPPROTO_UDP, .backends = endpoints});
    rows.add({.ip = second, .port = 53, .proto = IPPROTO_UDP, .backends = {{server, 8200}}});
    for (bool mapped : {false, true}) {
      if (mapped && family == Family::V6) continue;
      CAPTURE(mapped);
      Servers servers(world.a2().ns, family, endpoints);
      Fd other = udp_socket(world.a2().ns, scene.any(family), 8200);
      Fd client = open_socket(world.a1().ns, SOCK_DGRAM, family, mapped);
      uint16_t stays = 0;
      for (int i = 0; i < 10; ++i) {
        REQUIRE(send_to(client, {first, 53}, "first", mapped));
        REQUIRE(send_to(client, {second, 53}, "second", mapped));
        auto at = servers.received();
        REQUIRE(at.port);
        if (!stays) stays = at.port;
        CHECK(at.port == stays);
        CHECK(servers.answer(at, "one"));
        auto reply = receive_udp(client);
        REQUIRE(reply);
        CHECK(reply->payload == "one");
        CHECK(to_string(unmapped(reply->from)) == to_string(Endpoint{first, 53}));
        auto request = receive_udp(other);
        REQUIRE(request);
        REQUIRE(send_udp(other, request->from.ip, request->from.port, "two"));
        reply = receive_udp(client);
        REQUIRE(reply);
        CHECK(to_string(unmapped(reply->from)) == to_string(Endpoint{second, 53}));
      }
    }
  }
}

TEST_CASE("a UDP endpoint that is gone is left on the next packet, and one that only ends is kept") {
  Scene scene;
  auto& [world, rows] = scene;
  for (Family family : kFamilies) {
    CAPTURE(to_string(family));
    std::vector<Endpoint> endpoints = {{world.a2().ip(family), 8101}, {world.a2().ip(family), 8102}};
    ServiceSpec spec{.ip = scene.vip(family), .port = 53, .proto = IPPROTO_UDP, .backends = endpoints};
    const uint32_t id = rows.add(spec), first = rows.first_backend(id);
    Servers servers(world.a2().ns, family, endpoints);
    Fd client = open_socket(world.a1().ns, SOCK_DGRAM, family, false);
    auto send = [&] {
      REQUIRE(send_to(client, {scene.vip(family), 53}, "x", false));
      return servers.received().port;
    };
    const uint16_t chosen = send(), left = chosen == 8101 ? 8102 : 8101;
    const uint32_t dying = first + (chosen - 8101u), staying = first + (left - 8101u);
    rows.set_state(dying, abi::BACKEND_SERVING);
    rows.flip(spec, id, {staying});
    for (int i = 0; i < 5; ++i) CHECK(send() == chosen);
    rows.set_state(dying, abi::BACKEND_GONE);
    for (int i = 0; i < 5; ++i) CHECK(send() == left);
    CHECK(world.a.counted(abi::COUNT_SERVICE_RESTEERED) >= 1);
  }
}

TEST_CASE("what cannot be served is refused at connect() for TCP and left to the packets for UDP") {
  Scene scene;
  auto& [world, rows] = scene;
  for (Family family : kFamilies) {
    CAPTURE(to_string(family));
    const Ip vip = scene.vip(family);
    rows.known(vip);
    rows.add({.ip = vip, .port = 80});
    rows.add({.ip = vip, .port = 53, .proto = IPPROTO_UDP});
    rows.add({.ip = vip, .port = 81, .verdict = abi::SERVICE_DROP});
    for (const Ns* client : {&world.a1().ns, &world.a.ns}) {
      for (bool mapped : {false, true}) {
        if (mapped && family == Family::V6) continue;
        CHECK(dial(*client, SOCK_STREAM, {vip, 80}, mapped).error == ECONNREFUSED);
        CHECK(dial(*client, SOCK_STREAM, {vip, 443}, mapped).error == ECONNREFUSED);  // no such port
        // Sent as it is, to be dropped on its way: here the router answers, or nobody.
        const int dropped = dial(*client, SOCK_STREAM, {vip, 81}, mapped).error;
        CHECK((dropped == EINPROGRESS || dropped == ENETUNREACH));
        for (uint16_t port : {53, 54}) {
          Dialled udp = dial(*client, SOCK_DGRAM, {vip, port}, mapped);
          CHECK(udp.error == 0);
          CHECK_FALSE(translated(world.a, udp.fd));
          CHECK(send_to(open_socket(*client, SOCK_DGRAM, family, mapped), {vip, port}, "x", mapped));
        }
      }
    }
    // An address that nobody has, and one that is no Service's.
    const Ip free = scene.ip_of(family == Family::V4 ? "10.96.0.99" : "fd00:96::99");
    CHECK(dial(world.a1().ns, SOCK_STREAM, {free, 80}).error != ECONNREFUSED);
    CHECK(talk_tcp(world.a1().ns, world.a2().ns, world.a2().ip(family), 80).error == "");
  }
}

TEST_CASE("node ports: on the node's addresses from Pods and the node, on loopback from the node alone") {
  Scene scene;
  auto& [world, rows] = scene;
  for (Family family : kFamilies) {
    CAPTURE(to_string(family));
    const bool v4 = family == Family::V4;
    const Ip any = scene.any(family), server = world.a2().ip(family);
    const Ip loopback = scene.ip_of(v4 ? "127.0.0.1" : "::1");
    const Ip unserved = scene.ip_of(v4 ? "192.0.2.200" : "2001:db8:1::200");
    rows.node_address(unserved, false);
    rows.add({.ip = any, .port = 30080, .kind = abi::SERVICE_NODE_PORT, .backends = {{server, 8080}}});
    rows.add(
        {.ip = any, .port = 30053, .proto = IPPROTO_UDP, .kind = abi::SERVICE_NODE_PORT, .backends = {{server, 8053}}});
    rows.add({.ip = any, .port = 80, .kind = abi::SERVICE_HOST_PORT, .backends = {{server, 8080}}});
    auto reached = [&](const Ns& client, Ip to, uint16_t port, bool mapped = false) {
      Fd listener = tcp_listener(world.a2().ns, any, 8080);
      Dialled dialled = dial(client, SOCK_STREAM, {to, port}, mapped);
      return dialled.error == 0 && accepted(listener, kNothing).port;
    };
    for (uint16_t port : {30080, 80}) {
      CAPTURE(port);
      CHECK(reached(world.a1().ns, world.a.ip(family), port));
      CHECK(reached(world.a.ns, world.a.ip(family), port));
      CHECK(reached(world.a.ns, loopback, port));
      CHECK(reached(world.a.ns, any, port));  // which is loopback to connect()
      if (v4) {
        CHECK(reached(world.a.ns, scene.ip_of("127.0.0.7"), port));
        CHECK(reached(world.a.ns, loopback, port, true));
      }
      CHECK_FALSE(reached(world.a1().ns, loopback, port));  // the Pod's own
      CHECK(reached(world.a.ns, unserved, port) == (port == 80));
      CHECK_FALSE(reached(world.a.ns, world.b.ip(family), port));  // another node's
    }
    // A peer that was asked for at loopback is told so.
    Fd listener = tcp_listener(world.a2().ns, any, 8080);
    CHECK(to_string(dial(world.a.ns, SOCK_STREAM, {loopback, 30080}).peer) == to_string(Endpoint{loopback, 30080}));
    Servers servers(world.a2().ns, family, {{server, 8053}});
    Fd client = open_socket(world.a.ns, SOCK_DGRAM, family, false);
    REQUIRE(send_to(client, {loopback, 30053}, "x", false));
    auto at = servers.received();
    REQUIRE(at.port == 8053);
    REQUIRE(servers.answer(at, "y"));
    auto reply = receive_udp(client);
    REQUIRE(reply);
    CHECK(to_string(reply->from) == to_string(Endpoint{loopback, 30053}));
  }
}

TEST_CASE("what is balanced per packet is left alone, but for the node's own node ports") {
  Scene scene;
  auto& [world, rows] = scene;
  for (Family family : kFamilies) {
    const Ip server = world.a2().ip(family), vip = scene.vip(family);
    auto is_translated = [&](const Ns& client, Ip to, uint16_t port) {
      return translated(world.a, dial(client, SOCK_DGRAM, {to, port}).fd);
    };
    auto add = [&](uint16_t port, ServiceSpec spec) {
      spec.ip = vip;
      spec.port = port;
      spec.proto = IPPROTO_UDP;
      spec.backends = {{server, 8080}};
      return rows.add(spec);
    };
    add(1, {});
    CHECK(is_translated(world.a1().ns, vip, 1));
    CHECK(is_translated(world.a.ns, vip, 1));
    add(2, {.flags = abi::SERVICE_F_PER_PACKET});
    CHECK_FALSE(is_translated(world.a1().ns, vip, 2));
    CHECK_FALSE(is_translated(world.a.ns, vip, 2));
    add(3, {.masquerade = true});
    CHECK_FALSE(is_translated(world.a1().ns, vip, 3));
    auto id = add(4, {.kind = abi::SERVICE_LOAD_BALANCER, .flags = abi::SERVICE_F_SOURCE_RANGES});
    CHECK_FALSE(is_translated(world.a1().ns, vip, 4));
    rows.source_range(id, host_cidr(world.a1().ip(family)));
    CHECK(is_translated(world.a1().ns, vip, 4));
    CHECK_FALSE(is_translated(world.a2().ns, vip, 4));
    rows.add({.ip = scene.any(family),
              .port = 30001,
              .proto = IPPROTO_UDP,
              .kind = abi::SERVICE_NODE_PORT,
              .backends = {{server, 8080}},
              .flags = abi::SERVICE_F_PER_PACKET,
              .masquerade = true});
    CHECK(is_translated(world.a.ns, world.a.ip(family), 30001));
    CHECK_FALSE(is_translated(world.a1().ns, world.a.ip(family), 30001));
    // A Pod that the agent says to leave alone, and a process of another network namespace in the same cgroup.
    rows.client(world.a1(), abi::CLIENT_F_PER_PACKET);
    CHECK_FALSE(is_translated(world.a1().ns, vip, 1));
    rows.client(world.a1());
    CHECK(is_translated(world.a1().ns, vip, 1));
    CHECK_FALSE(is_translated(world.b1().ns, vip, 1));
    CHECK_FALSE(is_translated(world.b.ns, vip, 1));
  }
}

TEST_CASE("a socket that turns to somebody else shows who that is") {
  Scene scene;
  auto& [world, rows] = scene;
  const Ip server = world.a2().ip4;
  rows.add({.ip = scene.vip(Family::V4), .port = 53, .proto = IPPROTO_UDP, .backends = {{server, 8053}}});
  Dialled udp = dial(world.a1().ns, SOCK_DGRAM, {scene.vip(Family::V4), 53});
  CHECK(to_string(peer_of(udp.fd)) == "10.96.0.10:53");
  CHECK(connect_again(udp.fd, {world.b1().ip4, 53}) == 0);
  CHECK(peer_of(udp.fd) == Endpoint{world.b1().ip4, 53});
  CHECK(connect_again(udp.fd, {server, 8053}) == 0);
  CHECK(peer_of(udp.fd) == Endpoint{server, 8053});
  CHECK(connect_again(udp.fd, {scene.vip(Family::V4), 53}) == 0);
  CHECK(to_string(peer_of(udp.fd)) == "10.96.0.10:53");
}

}  // namespace causeway::test
