// The netfilter plane's limits: sizes, forged sources, foreign tunnels, masquerade, and other people's tables.
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "fabric/compile_netfilter.h"
#include "netfilter_world.h"

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
  NftCluster nodes({.mode = fabric::Mode::Vxlan}, {.pod_mtu = 1500, .programs = false});
  auto &from = nodes.world.a1(), &to = nodes.world.c1();
  for (auto family : kFamilies) {
    CAPTURE(to_string(family));
    const size_t headers = family == Family::V4 ? 28 : 48;
    Fd server = udp_socket(to.ns, any(family), 9000), client = udp_socket(from.ns, any(family), 0);
    want_errors(client, family);
    probe(client, family);
    REQUIRE(send_udp(client, to.ip(family), 9000, std::string(1450 - headers, 'x')));
    auto fits = receive_udp(server);
    REQUIRE(fits);
    CHECK(fits->payload.size() == 1450 - headers);
    REQUIRE(send_udp(client, to.ip(family), 9000, std::string(1450 - headers + 1, 'x')));
    auto error = receive_error(client);
    REQUIRE(error);
    CHECK(error->error == EMSGSIZE);
    CHECK(error->info == 1450);
    CHECK(error->from == nodes.world.a.ip(family));
    CHECK_FALSE(receive_udp(server, std::chrono::milliseconds(50)));
    CHECK(talk_tcp(from.ns, to.ns, to.ip(family), 8080, 2'000'000).error == "");
  }
}

TEST_CASE("a Pod is heard with its own addresses only") {
  NftCluster nodes({});
  World& world = nodes.world;
  for (auto family : kFamilies) {
    CAPTURE(to_string(family));
    const bool v4 = family == Family::V4;
    const Ip stolen = world.a2().ip(family);                                       // of its neighbour
    const Ip foreign = Ip::parse(v4 ? "203.0.113.77" : "2001:db8:f::77").value();  // of nobody here
    for (const Ip& forged : {stolen, foreign}) {
      ip(world.a1().ns, fmt::format("addr add {}/{} dev eth0 {}\n", forged, forged.bits(), v4 ? "" : "nodad"));
      for (auto [where, to] : {std::pair{&world.a.ns, world.a.ip(family)}, {&world.b1().ns, world.b1().ip(family)}}) {
        Fd server = udp_socket(*where, any(family), 9000), client = udp_socket(world.a1().ns, forged, 0);
        REQUIRE(send_udp(client, to, 9000, "forged"));
        CHECK_FALSE(receive_udp(server, std::chrono::milliseconds(100)));
        Fd honest = udp_socket(world.a1().ns, world.a1().ip(family), 0);
        REQUIRE(send_udp(honest, to, 9000, "honest"));
        CHECK(receive_udp(server)->payload == "honest");
      }
      ip(world.a1().ns, fmt::format("addr del {}/{} dev eth0\n", forged, forged.bits()));
    }
  }
  CHECK(shell(world.a.ns, "nft list chain inet causeway fabric-prerouting").find("counter packets 8") !=
        std::string::npos);
}

TEST_CASE("an attachment that comes and goes takes its sources along") {
  NftCluster nodes({});
  World& world = nodes.world;
  Pod& late = world.add_pod(world.a);
  auto heard = [&](std::chrono::milliseconds patience) {
    Fd server = udp_socket(world.a.ns, Ip(), 9000), client = udp_socket(late.ns, late.ip4, 0);
    return send_udp(client, world.a.ip4, 9000, "here") && receive_udp(server, patience);
  };
  using namespace std::chrono_literals;
  CHECK_FALSE(heard(100ms));  // fails closed
  nodes.a.attach(late);
  const uint64_t writes = nodes.a.applier->writes();
  CHECK(nodes.a.apply() == "");
  CHECK(nodes.a.applier->writes() - writes == 4);  // two sources, two routes: nothing is rewritten
  CHECK(heard(5s));
  nodes.a.model.remove(cluster::AttachmentKey{late.host_side, "eth0"});
  CHECK(nodes.a.apply() == "");
  CHECK_FALSE(heard(100ms));
  CHECK(shell(world.a.ns, "nft list table inet causeway").find(late.host_side) == std::string::npos);
}

TEST_CASE("VXLAN of an unknown node is dropped, and of another network is not ours to judge") {
  NftCluster nodes({.mode = fabric::Mode::Vxlan});
  World& world = nodes.world;
  auto& target = world.a1();
  auto inject = [&](int vni, bool arrives) {
    // A stranger who knows everything but an address of a node.
    ip(world.outside, fmt::format("link add forge type vxlan id {} remote {} dstport 4789 nolearning\n"
                                  "link set forge up\naddr add 10.244.9.9/32 dev forge\n"
                                  "neigh add {} lladdr {} dev forge nud permanent\nroute add {}/32 dev forge\n",
                                  vni, world.a.ip4, target.ip4, to_string(fabric::tunnel_mac("n1")), target.ip4));
    Fd server = udp_socket(target.ns, Ip(), 9000),
       client = udp_socket(world.outside, Ip::parse("10.244.9.9").value(), 0);
    REQUIRE(send_udp(client, target.ip4, 9000, "forged"));
    CHECK(receive_udp(server, std::chrono::milliseconds(arrives ? 2000 : 100)).has_value() == arrives);
    ip(world.outside, "link del forge\n");
    return shell(world.a.ns, "nft list chain inet causeway fabric-input | grep 'ip saddr'");
  };
  CHECK(inject(2, false).find("counter packets 0") != std::string::npos);
  CHECK(inject(1, false).find("counter packets 0") == std::string::npos);
  // The stranger does know everything: as a node it would be heard.
  shell(world.a.ns, fmt::format("nft add element inet causeway fabric-peers4 '{{ {} }}'", world.outside4));
  inject(1, true);
}

TEST_CASE("what is outside of the cluster sees the node, unless it was excepted") {
  NftCluster nodes({.non_masquerade_cidrs = {cidr_of("203.0.113.0/24")}});
  World& world = nodes.world;
  // The outside host knows the way back to the Pods of node a.
  ip(world.router, "route add 10.244.1.0/24 via 192.0.2.11\n");
  CHECK(talk_udp(world.a1().ns, world.outside, world.outside4, 8080).client.ip == world.a1().ip4);
  CHECK(talk_udp(world.a1().ns, world.outside, world.outside6, 8080).client.ip == world.a.ip6);

  NftAgent flat(world, world.a, {.masquerade = false});
  CHECK(flat.apply() == "");
  CHECK(shell(world.a.ns, "nft list table inet causeway").find("masquerade") == std::string::npos);
}

TEST_CASE("other people's tables are left alone, and ours comes back after they flushed it") {
  World world({.programs = false});
  // As kube-proxy's nftables mode and a host firewall have them.
  const std::string others =
      "table ip kube-proxy {\n"
      "  chain nat-postrouting { type nat hook postrouting priority srcnat; policy accept; mark & 0x4000 == 0 return; "
      "masquerade fully-random; }\n"
      "}\n"
      "table inet firewall {\n"
      "  chain forward { type filter hook forward priority filter; policy drop; ct state established,related accept; "
      "ip saddr 10.244.0.0/16 accept; ip daddr 10.244.0.0/16 accept; }\n"
      "}\n";
  shell(world.a.ns, "nft -f - <<'END'\n" + others + "END\n");
  const std::string before = shell(world.a.ns, "nft list ruleset");
  REQUIRE(before.find("chain nat-postrouting") != std::string::npos);
  NftAgent a(world, world.a, {}), b(world, world.b, {}), c(world, world.c, {});
  for (NftAgent* agent : {&a, &b, &c}) CHECK(agent->apply() == "");
  CHECK(a.nft->foreign_drops().value() ==
        std::vector{nftables::ForeignDrop{"inet firewall", "forward", nftables::Hook::Forward}});
  CHECK(shell(world.a.ns, "nft list ruleset").starts_with(before));
  CHECK(talk_tcp(world.a1().ns, world.c1().ns, world.c1().ip4, 8080).client.ip == world.a1().ip4);
  CHECK(talk_tcp(world.a1().ns, world.outside, world.outside4, 8080).client.ip == world.a.ip4);

  const std::string ours = shell(world.a.ns, "nft -s list table inet causeway");
  shell(world.a.ns, "nft flush ruleset");
  a.applier->forget();
  CHECK(a.apply() == "");
  CHECK(shell(world.a.ns, "nft -s list ruleset") == ours);
}

TEST_CASE("another fabric takes the tunnels away") {
  NftCluster nodes({.mode = fabric::Mode::Auto});
  World& world = nodes.world;
  CHECK(shell(world.a.ns, "ip link show type vxlan").find("causeway.vxlan4") != std::string::npos);
  NftAgent host_gw(world, world.a, {.mode = fabric::Mode::HostGw});
  CHECK(host_gw.apply() == "");
  CHECK(shell(world.a.ns, "ip link show type vxlan") == "");
  CHECK(shell(world.a.ns, "ip rule show table 51776; ip -6 rule show table 51776") == "");
  CHECK(shell(world.a.ns, "ip route show table all proto 202").find("198.51.100.13") == std::string::npos);
  CHECK(talk_tcp(world.a1().ns, world.b1().ns, world.b1().ip4, 8080).client.ip == world.a1().ip4);
}

}  // namespace causeway::test
