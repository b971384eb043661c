// What does not fit into the tunnel is answered with ICMP "too big" by the program that would have wrapped it, or cut.
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "datapath/rows.h"
#include "talk.h"
#include "world.h"

namespace causeway::test {

namespace {

Ip any(Family family) { return family == Family::V4 ? Ip() : Ip::parse("::").value(); }

// Do not fragment, and do not believe an MTU that was learnt before.
void probe(const Fd& socket, Family family) {
  int on = family == Family::V4 ? IP_PMTUDISC_PROBE : IPV6_PMTUDISC_PROBE;
  if (family == Family::V4)
    ::setsockopt(socket.get(), IPPROTO_IP, IP_MTU_DISCOVER, &on, sizeof(on));
  else
    ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_MTU_DISCOVER, &on, sizeof(on));
}

}  // namespace

TEST_CASE("a Pod with a larger MTU than the tunnel learns the tunnel's from one ICMP error") {
  for (auto attach : kAttaches)
    for (auto fabric : {Fabric::Overlay4, Fabric::Overlay6})
      for (auto family : kFamilies) {
        Setup setup{.attach = attach, .fabric = fabric, .pod_mtu = 1500};
        CAPTURE(name_of(setup));
        CAPTURE(to_string(family));
        World world(setup);
        uint32_t mtu = fabric == Fabric::Overlay6 ? 1430 : 1450;
        size_t headers = family == Family::V4 ? 28 : 48;
        auto &from = world.a1(), &to = world.b1();
        // Large sends adapt: segments that fit one by one pass as one packet of 64 KiB.
        auto bulk = talk_tcp(from.ns, to.ns, to.ip(family), 8080, 2'000'000);
        CHECK(bulk.error == "");
        CHECK(world.a.counted(abi::COUNT_TOO_BIG) >= 1);
        Fd server = udp_socket(to.ns, any(family), 9000), client = udp_socket(from.ns, any(family), 0);
        want_errors(client, family);
        probe(client, family);
        REQUIRE(send_udp(client, to.ip(family), 9000, std::string(mtu - headers, 'x')));
        auto fits = receive_udp(server);
        REQUIRE(fits);
        CHECK(fits->payload.size() == mtu - headers);
        REQUIRE(send_udp(client, to.ip(family), 9000, std::string(mtu - headers + 1, 'x')));
        auto error = receive_error(client);
        REQUIRE(error);
        CHECK(error->error == EMSGSIZE);
        CHECK(error->info == mtu);
        CHECK(error->from == world.a.ip(family));
        CHECK_FALSE(receive_udp(server, std::chrono::milliseconds(50)));
        // On the node nothing is in the way.
        CHECK(talk_udp(from.ns, world.a2().ns, world.a2().ip(family), 8081, 1500 - headers).error == "");
        CHECK(talk_tcp(from.ns, world.a2().ns, world.a2().ip(family), 8082, 2'000'000).error == "");
      }
}

TEST_CASE("an IPv4 packet that may be cut is cut") {
  for (auto attach : kAttaches) {
    World world({.attach = attach, .fabric = Fabric::Overlay4, .pod_mtu = 1500});
    Fd server = udp_socket(world.b1().ns, Ip(), 9000), client = udp_socket(world.a1().ns, Ip(), 0);
    int cut = IP_PMTUDISC_DONT;
    ::setsockopt(client.get(), IPPROTO_IP, IP_MTU_DISCOVER, &cut, sizeof(cut));
    REQUIRE(send_udp(client, world.b1().ip4, 9000, std::string(1472, 'x')));
    auto whole = receive_udp(server);
    REQUIRE(whole);
    CHECK(whole->payload.size() == 1472);
    CHECK(world.a.counted(abi::COUNT_TOO_BIG) == 0);
  }
}

TEST_CASE("a Pod that is reached by the host side of its veth: what is larger than its MTU is cut, or answered") {
  for (auto attach : kAttaches)
    for (auto fabric : {Fabric::Native, Fabric::Overlay4}) {
      Setup setup{.attach = attach, .fabric = fabric};
      CAPTURE(name_of(setup));
      World world(setup);
      auto& small = world.a2();
      ip(world.a.ns, fmt::format("link set {} mtu 1300\n", small.host_side));
      ip(small.ns, "link set eth0 mtu 1300\n");
      for (auto family : kFamilies) {
        auto key = datapath::pod_key(small.ip(family));
        auto row = world.a.plane->pods().get(key).value().value();
        row.flags |= abi::POD_F_BY_HOST_SIDE;
        REQUIRE(world.a.plane->pods().put(key, row).has_value());
      }
      for (auto family : kFamilies)
        for (Pod* from : {&world.a1(), &world.b1()}) {
          CAPTURE(to_string(from->ip(family)));
          size_t headers = family == Family::V4 ? 28 : 48;
          CHECK(talk_tcp(from->ns, small.ns, small.ip(family), 8080, 2'000'000).error == "");
          Fd server = udp_socket(small.ns, any(family), 9000), client = udp_socket(from->ns, any(family), 0);
          want_errors(client, family);
          probe(client, family);
          REQUIRE(send_udp(client, small.ip(family), 9000, std::string(1300 - headers, 'x')));
          CHECK(receive_udp(server).has_value());
          REQUIRE(send_udp(client, small.ip(family), 9000, std::string(1300 - headers + 1, 'x')));
          auto error = receive_error(client);
          REQUIRE(error);
          CHECK(error->error == EMSGSIZE);
          CHECK(error->info == 1300);
          if (family == Family::V6) continue;
          Fd cutting = udp_socket(from->ns, any(family), 0);
          int cut = IP_PMTUDISC_DONT;
          ::setsockopt(cutting.get(), IPPROTO_IP, IP_MTU_DISCOVER, &cut, sizeof(cut));
          REQUIRE(send_udp(cutting, small.ip(family), 9000, std::string(1350, 'y')));
          auto whole = receive_udp(server);
          REQUIRE(whole);
          CHECK(whole->payload.size() == 1350);
        }
    }
}

TEST_CASE("fragments pass between Pods, on a node and through the tunnel") {
  for (auto fabric : {Fabric::Native, Fabric::Overlay4, Fabric::Overlay6}) {
    World world({.fabric = fabric});
    for (auto family : kFamilies) {
      CHECK(talk_udp(world.a1().ns, world.a2().ns, world.a2().ip(family), 8080, 20'000).error == "");
      CHECK(talk_udp(world.a1().ns, world.b1().ns, world.b1().ip(family), 8080, 20'000).error == "");
      CHECK(talk_udp(world.a1().ns, world.b.ns, world.b.ip(family), 8080, 20'000).error == "");
    }
  }
}

TEST_CASE("the node's own large datagrams to a remote Pod fit, by the route's MTU") {
  for (auto family : kFamilies) {
    World world({.fabric = Fabric::Overlay4});
    CHECK(talk_udp(world.a.ns, world.b1().ns, world.b1().ip(family), 8080, 20'000).error == "");
    // Without a route's MTU in the way the program answers the node as it answers a Pod.
    ip(world.a.ns,
       fmt::format("route replace {} via {} dev eth0 mtu 1500\n",
                   to_string(family == Family::V4 ? world.b.pods4 : world.b.pods6), to_string(world.b.ip(family))));
    Fd client = udp_socket(world.a.ns, any(family), 0);
    want_errors(client, family);
    probe(client, family);
    REQUIRE(send_udp(client, world.b1().ip(family), 9000, std::string(1440, 'x')));
    auto error = receive_error(client);
    REQUIRE(error);
    CHECK(error->error == EMSGSIZE);
    CHECK(error->info == 1450);
  }
}

}  // namespace causeway::test
