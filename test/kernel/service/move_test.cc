// Endpoints that go, clash, refuse or keep silent.
#include <bpf/bpf.h>
#include <doctest/doctest.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ctime>
#include <map>
#include <set>

#include "balancer.h"
#include "datapath/conntrack.h"
#include "datapath/rows.h"
#include "frame.h"
#include "kernel/bpf/pins.h"
#include "talk.h"
#include "world.h"

namespace causeway::test {

namespace {

Ip every(Family family) { return family == Family::V4 ? Ip() : Ip::parse("::").value(); }

Fd accept_within(const Fd& listener, int milliseconds) {
  timeval patience{.tv_sec = milliseconds / 1000, .tv_usec = milliseconds % 1000 * 1000};
  ::setsockopt(listener.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  return Fd(::accept(listener.get(), nullptr, nullptr));
}

// Not a byte more of this connection is sent: as when the machine went dark.
void vanish(Fd& connection) {
  int on = 1;
  REQUIRE(::setsockopt(connection.get(), IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)) == 0);
  connection.reset();
}

// A TCP segment of no use to anybody, in two fragments.
bool send_fragmented_segment(const Ns& ns, Ip from, uint16_t from_port, Ip to, uint16_t to_port) {
  std::string segment = be16(from_port) + be16(to_port) + be16(0) + be16(1) + be16(0) + be16(1) + be16(0x5010) +
                        be16(1000) + be16(0x1234) + be16(0) + std::string(28, 'x');
  In in(ns);
  Fd raw(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
  sockaddr_in target{};
  target.sin_family = AF_INET;
  std::copy(to.bytes().begin(), to.bytes().end(), reinterpret_cast<uint8_t*>(&target.sin_addr));
  auto send_part = [&](size_t at, unsigned fragment) {
    std::string ip = packet(from, to, IPPROTO_TCP, 64, segment.substr(at, 24));
    ip.replace(4, 4, be16(4711) + be16(fragment));
    return ::sendto(raw.get(), ip.data(), ip.size(), 0, reinterpret_cast<sockaddr*>(&target), sizeof(target)) ==
           static_cast<ssize_t>(ip.size());
  };
  return send_part(0, 0x2000) && send_part(24, 3);
}

}  // namespace

TEST_CASE("a UDP flow leaves an endpoint that is gone on its next packet, and is refused when none is left") {
  for (auto attach : kAttaches)
    for (auto family : kFamilies) {
      CAPTURE(to_string(family));
      World world({.attach = attach, .services = true});
      Balancer balancer(world.a);
      auto numbers = balancer.endpoints(1, {{world.a2().ip(family), 8080}}, IPPROTO_UDP);
      balancer.serve(1, cluster_ip(family), 80, IPPROTO_UDP);
      balancer.serve(1, every(family), 30080, IPPROTO_UDP, node_port(true));
      Fd old = udp_socket(world.a2().ns, every(family), 8080), next = udp_socket(world.b1().ns, every(family), 8080);
      struct Client {
        Fd socket;
        Ip to;
        uint16_t port;
      };
      Client clients[] = {{udp_socket(world.a1().ns, every(family), 5000), cluster_ip(family), 80},
                          {udp_socket(world.outside, every(family), 5000), world.a.ip(family), 30080},
                          {udp_socket(world.a.ns, every(family), 5001), cluster_ip(family), 80}};
      for (auto& client : clients) {
        want_errors(client.socket, family);
        REQUIRE(send_udp(client.socket, client.to, client.port, "one"));
        REQUIRE(receive_udp(old));
      }
      auto moved = balancer.endpoints(1, {{world.b1().ip(family), 8080}}, IPPROTO_UDP);
      balancer.serve(1, cluster_ip(family), 80, IPPROTO_UDP);
      balancer.serve(1, every(family), 30080, IPPROTO_UDP, node_port(true));
      for (auto& client : clients) {  // it still serves (terminating): the flow stays
        REQUIRE(send_udp(client.socket, client.to, client.port, "two"));
        CHECK(receive_udp(old));
      }
      balancer.retire(numbers[0]);
      for (auto& client : clients) {
        REQUIRE(send_udp(client.socket, client.to, client.port, "three"));
        auto got = receive_udp(next);
        REQUIRE(got);
        REQUIRE(send_udp(next, got->from.ip, got->from.port, "answer"));
        auto answer = receive_udp(client.socket);
        REQUIRE(answer);
        CHECK(answer->from == Endpoint{client.to, client.port});
      }
      CHECK(world.a.counted(abi::COUNT_SERVICE_RESTEERED) == 3);
      balancer.retire(moved[0]);
      Shape rejects{.inside = abi::SERVICE_REJECT, .outside = abi::SERVICE_REJECT};
      balancer.serve(1, cluster_ip(family), 80, IPPROTO_UDP, rejects);
      rejects.kind = abi::SERVICE_NODE_PORT;
      balancer.serve(1, every(family), 30080, IPPROTO_UDP, rejects);
      for (auto& client : clients) {
        REQUIRE(send_udp(client.socket, client.to, client.port, "four"));
        CHECK(pending_error(client.socket) == ECONNREFUSED);
      }
    }
}

TEST_CASE("an established TCP connection keeps its endpoint when that is gone from the tables, and the Service too") {
  for (auto family : kFamilies) {
    World world({.services = true});
    Balancer balancer(world.a);
    auto numbers = balancer.endpoints(1, {{world.b1().ip(family), 8080}});
    balancer.serve(1, cluster_ip(family), 80);
    Fd listener = tcp_listener(world.b1().ns, every(family), 8080),
       other = tcp_listener(world.a2().ns, every(family), 8080);
    Fd client = tcp_connect(world.a1().ns, cluster_ip(family), 80, 5000);
    REQUIRE(client);
    Fd server = accept_within(listener, 2000);
    REQUIRE(server);
    balancer.endpoints(1, {{world.a2().ip(family), 8080}});
    balancer.serve(1, cluster_ip(family), 80);
    balancer.retire(numbers[0]);
    char byte = 'x';
    auto works = [&] {
      return ::send(client.get(), &byte, 1, 0) == 1 && ::recv(server.get(), &byte, 1, 0) == 1 &&
             ::send(server.get(), &byte, 1, 0) == 1 && ::recv(client.get(), &byte, 1, 0) == 1;
    };
    CHECK(works());
    balancer.remove(cluster_ip(family), 80);
    CHECK(works());
    // The port is used again: a new connection, and a new choice.
    balancer.serve(1, cluster_ip(family), 80);
    server.reset();
    CHECK(::recv(client.get(), &byte, 1, 0) == 0);
    linger hard{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    client.reset();
    client = tcp_connect(world.a1().ns, cluster_ip(family), 80, 5000);
    CHECK(client);
    CHECK(accept_within(other, 2000));
  }
}

TEST_CASE("fragments of a TCP segment leave their connection with its endpoint, though that is gone from the tables") {
  const Family family = Family::V4;
  World world({.services = true});
  Balancer balancer(world.a);
  auto numbers = balancer.endpoints(1, {{world.b1().ip4, 8080}});
  balancer.serve(1, cluster_ip(family), 80);
  Fd listener = tcp_listener(world.b1().ns, Ip(), 8080), other = tcp_listener(world.a2().ns, Ip(), 8080);
  Fd client = tcp_connect(world.a1().ns, cluster_ip(family), 80, 5000);
  REQUIRE(client);
  Fd server = accept_within(listener, 2000);
  REQUIRE(server);
  balancer.endpoints(1, {{world.a2().ip4, 8080}});
  balancer.serve(1, cluster_ip(family), 80);
  balancer.retire(numbers[0]);
  const auto before = world.a.counted(abi::COUNT_SERVICE_TRANSLATED);
  REQUIRE(send_fragmented_segment(world.a1().ns, world.a1().ip4, 5000, cluster_ip(family), 80));
  CHECK(world.a.counted(abi::COUNT_SERVICE_TRANSLATED) == before + 2);
  CHECK(world.a.counted(abi::COUNT_SERVICE_RESTEERED) == 0);
  char byte = 'x';
  REQUIRE(::send(client.get(), &byte, 1, 0) == 1);
  CHECK(::recv(server.get(), &byte, 1, 0) == 1);
  REQUIRE(::send(server.get(), &byte, 1, 0) == 1);
  CHECK(::recv(client.get(), &byte, 1, 0) == 1);
}

TEST_CASE("a connection from a port whose last one never ended finds another endpoint where the old one is gone") {
  for (auto family : kFamilies) {
    CAPTURE(to_string(family));
    World world({.services = true});
    Balancer balancer(world.a);
    auto numbers = balancer.endpoints(1, {{world.b1().ip(family), 8080}});
    balancer.serve(1, cluster_ip(family), 80);
    Fd listener = tcp_listener(world.b1().ns, every(family), 8080),
       other = tcp_listener(world.a2().ns, every(family), 8080);
    Fd client = tcp_connect(world.a1().ns, cluster_ip(family), 80, 5000);
    REQUIRE(client);
    Fd server = accept_within(listener, 2000);
    REQUIRE(server);
    vanish(client);
    vanish(server);
    balancer.endpoints(1, {{world.a2().ip(family), 8080}});
    balancer.serve(1, cluster_ip(family), 80);
    balancer.retire(numbers[0]);
    client = tcp_connect(world.a1().ns, cluster_ip(family), 80, 5000);
    CHECK(client);
    CHECK(accept_within(other, 2000));
  }
}

TEST_CASE("segments far outside of the window are translated like all others") {
  for (auto family : kFamilies) {
    World world({.services = true});
    Balancer balancer(world.a);
    balancer.endpoints(1, {{world.b1().ip(family), 8080}});
    balancer.serve(1, cluster_ip(family), 80);
    auto bulk = talk_tcp(world.a1().ns, world.b1().ns, cluster_ip(family), 80, 2'000'000, 0, 8080);
    CHECK(bulk.error == "");
    CHECK(world.a.counted(abi::COUNT_TO_OUTSIDE) == 0);
  }
}

TEST_CASE("one endpoint behind two Services, one client port: both work") {
  for (auto attach : kAttaches)
    for (auto family : kFamilies) {
      World world({.attach = attach, .services = true});
      publish(world, world.a);
      Balancer balancer(world.a);
      for (uint32_t id : {1u, 2u}) {
        balancer.endpoints(id, {{world.a2().ip(family), 8080}});
        balancer.serve(id, cluster_ip(family, 9 + static_cast<int>(id)), 80);
        Shape shape = load_balancer(false);
        balancer.serve(id, public_ip(family), static_cast<uint16_t>(79 + id), IPPROTO_TCP, shape);
      }
      Fd listener = tcp_listener(world.a2().ns, every(family), 8080);
      auto both = [&](const Ns& client, Endpoint one, Endpoint two) {
        Fd first = tcp_connect(client, one.ip, one.port, 5000), second = tcp_connect(client, two.ip, two.port, 5000);
        REQUIRE(first);
        REQUIRE(second);
        Fd a = accept_within(listener, 2000), b = accept_within(listener, 2000);
        REQUIRE(a);
        REQUIRE(b);
        char byte = '1';
        REQUIRE(::send(first.get(), "1", 1, 0) == 1);
        REQUIRE(::send(second.get(), "2", 1, 0) == 1);
        std::set<char> seen;
        for (auto* server : {&a, &b}) {
          REQUIRE(::recv(server->get(), &byte, 1, 0) == 1);
          seen.insert(byte);
          REQUIRE(::send(server->get(), &byte, 1, 0) == 1);
        }
        CHECK(seen == std::set<char>{'1', '2'});
        CHECK((::recv(first.get(), &byte, 1, 0) == 1 && byte == '1'));
        CHECK((::recv(second.get(), &byte, 1, 0) == 1 && byte == '2'));
      };
      both(world.a1().ns, {cluster_ip(family, 10), 80}, {cluster_ip(family, 11), 80});
      both(world.outside, {public_ip(family), 80}, {public_ip(family), 81});
    }
}

TEST_CASE("a port whose connection to a Service has ended is free for one to the endpoint itself") {
  for (auto attach : kAttaches)
    for (auto family : kFamilies) {
      World world({.attach = attach, .services = true});
      Balancer balancer(world.a);
      uint32_t id = 0;
      for (Pod* pod : {&world.a2(), &world.b1()}) {
        CAPTURE(to_string(pod->ip(family)));
        balancer.endpoints(++id, {{pod->ip(family), 8080}});
        Ip service = cluster_ip(family, 9 + static_cast<int>(id));
        balancer.serve(id, service, 80);
        const auto port = static_cast<uint16_t>(5000 + id);
        CHECK(talk_tcp(world.a1().ns, pod->ns, service, 80, 1, port, 8080).error == "");
        auto direct = talk_tcp(world.a1().ns, pod->ns, pod->ip(family), 8080, 1, port);
        CHECK(direct.error == "");
        CHECK(direct.client == Endpoint{world.a1().ip(family), port});
        CHECK(talk_tcp(world.a1().ns, pod->ns, service, 80, 1, port, 8080).error == "");
      }
    }
}

TEST_CASE("one client port, to a Service and to its endpoint itself at the same time: both work") {
  for (auto attach : kAttaches)
    for (auto family : kFamilies) {
      World world({.attach = attach, .services = true});
      Balancer balancer(world.a);
      uint32_t id = 0;
      for (Pod* pod : {&world.a2(), &world.b1()}) {
        CAPTURE(to_string(pod->ip(family)));
        balancer.endpoints(++id, {{pod->ip(family), 8080}});
        const Endpoint service{cluster_ip(family, 9 + static_cast<int>(id)), 80}, direct{pod->ip(family), 8080};
        balancer.serve(id, service.ip, service.port);
        Fd listener = tcp_listener(pod->ns, every(family), 8080);
        uint16_t port = 40000;
        for (const auto& [one, two] : {std::pair(service, direct), std::pair(direct, service)}) {
          Fd first = tcp_connect(world.a1().ns, one.ip, one.port, ++port), at_first = accept_within(listener, 2000);
          Fd second = tcp_connect(world.a1().ns, two.ip, two.port, port), at_second = accept_within(listener, 2000);
          REQUIRE((first && at_first && second && at_second));
          for (auto& [from, to] : {std::pair(&first, &at_first), std::pair(&at_second, &second)}) {
            char byte = 0;
            CHECK(::send(from->get(), "x", 1, 0) == 1);
            CHECK((::recv(to->get(), &byte, 1, 0) == 1 && byte == 'x'));
          }
        }
      }
    }
}

TEST_CASE("retry: one connect() succeeds though the first endpoints are dead or refuse") {
  for (auto family : kFamilies)
    for (bool dead : {false, true}) {
      CAPTURE(to_string(family));
      CAPTURE(dead);
      World world({.services = true});
      Balancer balancer(world.a);
      Shape retry{.flags = abi::SERVICE_F_RETRY | abi::SERVICE_F_PER_PACKET, .algorithm = abi::SERVICE_ROUND_ROBIN};
      if (dead) {  // silent: nothing comes back from there
        ip(world.b1().ns, "link set eth0 down\n");
        ip(world.c1().ns, "link set eth0 down\n");
      }
      balancer.endpoints(1, {{world.b1().ip(family), 8080}, {world.a2().ip(family), 8080}});
      balancer.serve(1, cluster_ip(family), 80, IPPROTO_TCP, retry);
      Fd listener = tcp_listener(world.a2().ns, every(family), 8080);
      for (int i = 0; i < 4; ++i) {
        Fd client = tcp_connect(world.a1().ns, cluster_ip(family), 80);
        CHECK(client);
        CHECK(accept_within(listener, 2000));
        Fd node = tcp_connect(world.a.ns, cluster_ip(family), 80);
        CHECK(node);
        CHECK(accept_within(listener, 2000));
      }
      CHECK(world.a.counted(abi::COUNT_SERVICE_RETRIED) >= 3);
      if (dead) continue;
      CHECK(world.a.counted(abi::DROP_SERVICE_SWALLOWED) >= 3);
      // When every endpoint refuses, so does the Service.
      listener.reset();
      balancer.endpoints(1, {{world.b1().ip(family), 8080}});
      balancer.serve(1, cluster_ip(family), 80, IPPROTO_TCP, retry);
      errno = 0;
      CHECK_FALSE(tcp_connect(world.a1().ns, cluster_ip(family), 80));
      CHECK(errno == ECONNREFUSED);
    }
}

TEST_CASE("least connections: open flows are counted, and closed ones no longer") {
  World world({.services = true});
  Balancer balancer(world.a);
  auto numbers = balancer.endpoints(1, {{world.a2().ip4, 8080}, {world.b1().ip4, 8080}});
  balancer.serve(1, cluster_ip(Family::V4), 80, IPPROTO_TCP, {.algorithm = abi::SERVICE_LEAST_CONNECTIONS});
  Fd here = tcp_listener(world.a2().ns, Ip(), 8080), there = tcp_listener(world.b1().ns, Ip(), 8080);
  auto open = [&](uint32_t backend) { return world.a.plane->backend_connections().get(backend).value().value_or(0); };
  std::vector<Fd> clients;
  for (int i = 0; i < 6; ++i) clients.push_back(tcp_connect(world.a1().ns, cluster_ip(Family::V4), 80));
  for (auto& client : clients) REQUIRE(client);
  CHECK(open(numbers[0]) == 3);
  CHECK(open(numbers[1]) == 3);
  // What the agent corrects the counts by: the same from the rows themselves, without those that expired unseen.
  const auto in_rows = [&](uint32_t later) {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return datapath::open_connections(world.a.plane->conntrack(), static_cast<uint32_t>(now.tv_sec) + later).value();
  };
  using Counts = std::map<uint32_t, uint32_t>;
  CHECK(in_rows(0) == Counts{{numbers[0], 3}, {numbers[1], 3}});
  CHECK(in_rows(10 * 24 * 3600) == Counts{});
  std::vector<Fd> servers;
  for (int i = 0; i < 3; ++i) servers.push_back(accept_within(here, 1000));
  clients.clear();
  servers.clear();
  for (int i = 0; i < 100 && open(numbers[0]); ++i) ::usleep(20000);
  CHECK(open(numbers[0]) == 0);
  CHECK_FALSE(in_rows(0).contains(numbers[0]));
}

TEST_CASE("a flow that another processor opened meanwhile is taken over and counts once, if its endpoint serves") {
  for (auto family : kFamilies) {
    CAPTURE(to_string(family));
    World world({.services = true});
    Balancer balancer(world.a);
    const Shape shape{.algorithm = abi::SERVICE_LEAST_CONNECTIONS};
    auto numbers = balancer.endpoints(1, {{world.a2().ip(family), 8080}}, IPPROTO_UDP);
    balancer.serve(1, cluster_ip(family), 80, IPPROTO_UDP, shape);
    Fd old = udp_socket(world.a2().ns, every(family), 8080), next = udp_socket(world.b1().ns, every(family), 8080);
    Fd client = udp_socket(world.a1().ns, every(family), 5000);
    auto open = [&](uint32_t backend) { return world.a.plane->backend_connections().get(backend).value().value_or(0); };
    // Unmarked, the Pod's packets are not looked up in conntrack: each of them opens the flow, as in that race.
    auto unmark = [&] {
      auto marks = bpf::open_pin(world.a.pins + "/maps/service_marks");
      REQUIRE(marks);
      const uint32_t index = ifindex(world.a.ns, world.a1().host_side) % abi::SERVICE_MARKS, none = 0;
      REQUIRE(bpf_map_update_elem(marks->get(), &index, &none, BPF_ANY) == 0);
    };
    REQUIRE(send_udp(client, cluster_ip(family), 80, "one"));
    CHECK(receive_udp(old));
    CHECK(open(numbers[0]) == 1);
    auto moved = balancer.endpoints(1, {{world.b1().ip(family), 8080}}, IPPROTO_UDP);
    balancer.serve(1, cluster_ip(family), 80, IPPROTO_UDP, shape);
    unmark();
    REQUIRE(send_udp(client, cluster_ip(family), 80, "two"));
    CHECK(receive_udp(old));
    CHECK(open(numbers[0]) == 1);
    CHECK(open(moved[0]) == 0);
    CHECK(world.a.counted(abi::COUNT_SERVICE_OPENED) == 1);
    balancer.retire(numbers[0]);
    unmark();
    REQUIRE(send_udp(client, cluster_ip(family), 80, "three"));
    CHECK(receive_udp(next));
    CHECK(open(numbers[0]) == 0);
    CHECK(open(moved[0]) == 1);
    CHECK(world.a.plane->conntrack().dump().value().size() == 2);
  }
}

}  // namespace causeway::test
