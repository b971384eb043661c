// Pods leave the cluster with the node's address, and nobody's flow is mixed up with another's.
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <set>

#include "datapath/conntrack.h"
#include "datapath/rows.h"
#include "talk.h"
#include "world.h"

namespace causeway::test {

namespace {

Ip any(Family family) { return family == Family::V4 ? Ip() : Ip::parse("::").value(); }

bool in_ranges(uint16_t port) {
  for (const auto& range : datapath::Features{}.nat_ports)
    if (port >= range.first && port <= range.last) return true;
  return false;
}

}  // namespace

TEST_CASE("two Pods with one source port reach one remote port, each with its own") {
  for (auto attach : kAttaches)
    for (auto family : kFamilies) {
      World world({.attach = attach});
      Ip outside = world.outside_ip(family);
      for (uint16_t port :
           {uint16_t{5000}, uint16_t{40000}}) {  // one inside the masquerade ranges, one outside of them
        Fd server = udp_socket(world.outside, any(family), 7000);
        Fd first = udp_socket(world.a1().ns, any(family), port), second = udp_socket(world.a2().ns, any(family), port);
        REQUIRE(send_udp(first, outside, 7000, "first"));
        auto one = receive_udp(server);
        REQUIRE(send_udp(second, outside, 7000, "second"));
        auto two = receive_udp(server);
        REQUIRE(one);
        REQUIRE(two);
        CHECK(one->from.ip == world.a.ip(family));
        CHECK(two->from.ip == world.a.ip(family));
        CHECK(one->from.port != two->from.port);
        if (port == 5000) CHECK(one->from.port == 5000);  // kept when free
        CHECK(in_ranges(one->from.port));
        CHECK(in_ranges(two->from.port));
        REQUIRE(send_udp(server, two->from.ip, two->from.port, "to second"));
        REQUIRE(send_udp(server, one->from.ip, one->from.port, "to first"));
        CHECK(receive_udp(first)->payload == "to first");
        CHECK(receive_udp(second)->payload == "to second");
      }
    }
}

TEST_CASE("Pods and the node ping with one id, and each gets its answer") {
  for (auto family : kFamilies) {
    World world;
    Ip outside = world.outside_ip(family);
    for (int round = 0; round < 2; ++round) {
      CHECK(ping(world.a1().ns, outside, 77));
      CHECK(ping(world.a2().ns, outside, 77));
      CHECK(ping(world.a.ns, outside, 77));  // the node's own id is taken already: it gets another one on the wire
    }
    CHECK(ping(world.a.ns, outside, 78));
    CHECK(ping(world.a1().ns, outside, 78));
  }
}

TEST_CASE("a port on which the node itself receives is not taken") {
  World world;
  Fd server = udp_socket(world.outside, Ip(), 7000);
  Fd node = udp_socket(world.a.ns, Ip(), 5000);
  Fd pod = udp_socket(world.a1().ns, Ip(), 5000);
  REQUIRE(send_udp(pod, world.outside4, 7000, "pod"));
  auto seen = receive_udp(server);
  REQUIRE(seen);
  CHECK(seen->from.port != 5000);
  REQUIRE(send_udp(node, world.outside4, 7000, "node"));
  auto own = receive_udp(server);
  REQUIRE(own);
  CHECK(own->from.port == 5000);
  REQUIRE(send_udp(server, own->from.ip, own->from.port, "to node"));
  CHECK(receive_udp(node)->payload == "to node");

  Fd listener = tcp_listener(world.a.ns, Ip(), 6000), remote = tcp_listener(world.outside, Ip(), 7001);
  auto tcp = talk_tcp(world.a1().ns, world.outside, world.outside4, 7002, 1, 6000);
  CHECK(tcp.error == "");
  CHECK(tcp.client.port != 6000);
}

TEST_CASE(
    "every port of the range serves one remote, then the next flow is refused; another remote has them all again") {
  World world({.nat_ports = {{2000, 2063}}});
  Fd server = udp_socket(world.outside, Ip(), 7000), other = udp_socket(world.outside, Ip(), 7001);
  std::set<uint16_t> ports;
  std::vector<Fd> clients;
  for (int i = 0; i < 64; ++i) {
    clients.push_back(udp_socket(world.a1().ns, Ip(), static_cast<uint16_t>(40000 + i)));
    REQUIRE(send_udp(clients.back(), world.outside4, 7000, "x"));
    auto seen = receive_udp(server);
    REQUIRE(seen);
    ports.insert(seen->from.port);
  }
  CHECK(ports.size() == 64);
  CHECK(*ports.begin() == 2000);
  CHECK(*ports.rbegin() == 2063);
  CHECK(world.a.counted(abi::DROP_NO_PORT_LEFT) == 0);
  Fd late = udp_socket(world.a1().ns, Ip(), 50000);
  send_udp(late, world.outside4, 7000, "x");
  CHECK_FALSE(receive_udp(server, std::chrono::milliseconds(50)));
  CHECK(world.a.counted(abi::DROP_NO_PORT_LEFT) == 1);
  REQUIRE(send_udp(late, world.outside4, 7001, "x"));
  CHECK(receive_udp(other));
}

TEST_CASE("with shared ports the node's own flows are tracked, and both work with one port") {
  World world({.nat_ports = {{5000, 5001}}, .track_node_flows = true});
  for (auto family : kFamilies) {
    Ip outside = world.outside_ip(family);
    Fd server = udp_socket(world.outside, any(family), 7000);
    Fd pod = udp_socket(world.a1().ns, any(family), 5000);
    REQUIRE(send_udp(pod, outside, 7000, "pod"));
    auto first = receive_udp(server);
    REQUIRE(first);
    CHECK(first->from.port == 5000);
    Fd node = udp_socket(world.a.ns, any(family), 5000);  // bound after the Pod's flow took the port
    REQUIRE(send_udp(node, outside, 7000, "node"));
    auto second = receive_udp(server);
    REQUIRE(second);
    CHECK(second->from.port == 5001);
    REQUIRE(send_udp(server, second->from.ip, second->from.port, "to node"));
    REQUIRE(send_udp(server, first->from.ip, first->from.port, "to pod"));
    CHECK(receive_udp(node)->payload == "to node");
    CHECK(receive_udp(pod)->payload == "to pod");
  }
  CHECK(talk_tcp(world.a.ns, world.outside, world.outside4, 7002).error == "");
  CHECK(talk_tcp(world.outside, world.a.ns, world.a.ip4, 7003).error == "");
}

TEST_CASE("an ICMP error about a masqueraded flow finds the Pod") {
  for (auto attach : kAttaches)
    for (auto family : kFamilies) {
      CAPTURE(to_string(attach));
      CAPTURE(to_string(family));
      World world({.attach = attach});
      Ip outside = world.outside_ip(family);
      // Nobody listens: the outside host answers "port unreachable" about (node, translated port).
      for (auto* pod : {&world.a1(), &world.a2()}) {
        Fd closed = udp_socket(pod->ns, any(family), 5005);
        want_errors(closed, family);
        send_udp(closed, outside, 7, "anybody?");
        CHECK(pending_error(closed) == ECONNREFUSED);
      }
      // A smaller link behind the router: its "too big" reaches the Pod, and the transfer succeeds.
      shell(world.router, "ip link set out mtu 1300");
      shell(world.outside, "ip link set eth0 mtu 1300");
      auto bulk = talk_tcp(world.a1().ns, world.outside, outside, 7002, 500'000);
      CHECK(bulk.error == "");
      // The time to live ends at the router.
      Fd expired = udp_socket(world.a1().ns, any(family), 5006);
      want_errors(expired, family);
      int hops = 2;
      ::setsockopt(expired.get(), family == Family::V4 ? IPPROTO_IP : IPPROTO_IPV6,
                   family == Family::V4 ? IP_TTL : IPV6_UNICAST_HOPS, &hops, sizeof(hops));
      send_udp(expired, outside, 7, "far away");
      CHECK(pending_error(expired) == EHOSTUNREACH);
    }
}

TEST_CASE("fragments of a masqueraded datagram travel together") {
  for (auto attach : kAttaches)
    for (auto family : kFamilies) {
      World world({.attach = attach});
      auto seen = talk_udp(world.a1().ns, world.outside, world.outside_ip(family), 7000, 6000);
      CHECK(seen.error == "");
      CHECK(seen.client.ip == world.a.ip(family));
      CHECK(world.a.counted(abi::DROP_FRAGMENT_EARLY) == 0);
    }
}

TEST_CASE("who comes in to a Pod's own address is answered from it") {
  for (auto family : kFamilies) {
    World world;
    for (auto* node : {&world.a})
      ip(world.router, fmt::format("route add {} via {}\n", to_string(family == Family::V4 ? node->pods4 : node->pods6),
                                   to_string(node->ip(family))));
    Ip pod = world.a1().ip(family);
    CHECK(talk_tcp(world.outside, world.a1().ns, pod, 8080, 100'000).error == "");
    CHECK(talk_udp(world.outside, world.a1().ns, pod, 8080).error == "");
    CHECK(ping(world.outside, pod));
    CHECK(world.a.counted(abi::COUNT_MASQUERADED) == 0);
  }
}

TEST_CASE("without masquerade a Pod keeps its address outside") {
  World world({.masquerade = false});
  ip(world.router, "route add 10.244.1.0/24 via 192.0.2.11\n");
  auto seen = talk_tcp(world.a1().ns, world.outside, world.outside4, 8080);
  CHECK(seen.error == "");
  CHECK(seen.client.ip == world.a1().ip4);
}

TEST_CASE("conntrack follows a TCP flow to its end, in pairs") {
  World world;
  Fd listener = tcp_listener(world.outside, Ip(), 7000);
  auto states = [&] {
    std::multiset<std::string> lines;
    auto now = datapath::monotonic_seconds();
    for (const auto& [key, value] : world.a.plane->conntrack().dump().value()) {
      auto line = datapath::render(key, value, now);
      CHECK(world.a.plane->conntrack().get(datapath::twin_of(key, value)).value().has_value());
      auto state =
          line.substr(line.find(' ', line.find(value.flags & abi::CT_F_REWRITE_SRC ? " from " : " to ") + 6) + 1);
      lines.insert(state.substr(0, state.rfind(' ')));
    }
    std::string text;
    for (const auto& line : lines) text += line + "; ";
    return text;
  };
  Fd client = tcp_connect(world.a1().ns, world.outside4, 7000, 5000);
  REQUIRE(client);
  Fd server(::accept(listener.get(), nullptr, nullptr));
  CHECK(states() == "established; established reply; ");
  client.reset();
  char byte;
  CHECK(::recv(server.get(), &byte, 1, 0) == 0);
  CHECK(states() == "half-closed; half-closed reply; ");
  server.reset();
  // The last FIN needs a moment to travel; its state is what we wait for.
  for (int i = 0; i < 100 && states() != "closed; closed reply; "; ++i) ::usleep(10000);
  CHECK(states() == "closed; closed reply; ");
  // The tuple is used again within the quarantine: the row begins anew.
  client = tcp_connect(world.a2().ns, world.outside4, 7000, 5001);
  CHECK(client);
}

TEST_CASE("a full conntrack makes room among unanswered flows, and established ones stay") {
  World world({.conntrack_entries = 64});
  Fd listener = tcp_listener(world.outside, Ip(), 7000);
  Fd client = tcp_connect(world.a1().ns, world.outside4, 7000);
  REQUIRE(client);
  Fd server(::accept(listener.get(), nullptr, nullptr));
  Fd flood = udp_socket(world.a1().ns, Ip(), 40000);
  for (uint16_t port = 1; port <= 300; ++port) {
    send_udp(flood, Ip::parse("203.0.113.99").value(), port, "x");
    if (port % 60 == 0) ::usleep(150000);  // eviction runs at most every 100 ms
  }
  CHECK(world.a.counted(abi::COUNT_EVICTED) > 0);
  REQUIRE(::send(client.get(), "still", 5, 0) == 5);
  char text[8] = {};
  CHECK(::recv(server.get(), text, sizeof(text), 0) == 5);
}

TEST_CASE("expired pairs are swept, live ones stay, and another size keeps them") {
  World world;
  Fd listener = tcp_listener(world.outside, Ip(), 7000);
  Fd client = tcp_connect(world.a1().ns, world.outside4, 7000);
  REQUIRE(client);
  Fd server(::accept(listener.get(), nullptr, nullptr));
  auto& conntrack = world.a.plane->conntrack();
  abi::ct_key key{.src = datapath::to_abi(world.a1().ip4), .sport = 1, .proto = 17};
  REQUIRE(conntrack.put(key, abi::ct_value{.expires = 1}));
  abi::ct_key pair{.src = datapath::to_abi(world.a1().ip4), .sport = 2, .proto = 17};
  abi::ct_value over{.to_src = datapath::to_abi(world.a2().ip4), .expires = 1, .flags = abi::CT_F_REWRITE_SRC};
  REQUIRE(conntrack.put(pair, over));
  REQUIRE(conntrack.put(datapath::twin_of(pair, over), abi::ct_value{.expires = 1}));
  CHECK(world.a.plane->sweep_conntrack().value() == 3);
  CHECK(conntrack.dump().value().size() == 2);
  world.open_plane(world.a, {.conntrack_entries = 8192});
  CHECK(world.a.plane->conntrack().dump().value().size() == 2);
  REQUIRE(::send(client.get(), "still", 5, 0) == 5);
  char text[8] = {};
  CHECK(::recv(server.get(), text, sizeof(text), 0) == 5);
}

}  // namespace causeway::test
