// Who reaches which endpoint through a Service, and whom the endpoint sees: nftables on a node of the netfilter plane.
#include <doctest/doctest.h>

#include "services.h"

namespace causeway::test {

namespace {

using W = Wanted;

// The router sends what is for this address to node a.
Ip public_ip(World& world, Family family) {
  ip(world.router, family == Family::V4
                       ? fmt::format("route replace 198.18.0.1 via {}\n", to_string(world.a.ip4))
                       : fmt::format("route replace 2001:db8:aaaa::1 via {}\n", to_string(world.a.ip6)));
  return Ip::parse(family == Family::V4 ? "198.18.0.1" : "2001:db8:aaaa::1").value();
}

Cidr host_of(const Ip& ip) { return Cidr::parse(fmt::format("{}/{}", to_string(ip), ip.bits())).value(); }

}  // namespace

TEST_CASE("a ClusterIP leads Pods and the node to Pods here, there, and to nodes; they see the client") {
  ServiceWorld s;
  World& w = s.world;
  for (const Family family : kFamilies) {
    Wanted wanted(w.a);
    wanted.cluster_ip("here", family, 1, {W::at(w.a2().ip(family), 8080, true)});
    wanted.cluster_ip("there", family, 2, {W::at(w.b1().ip(family), 8080)});
    wanted.cluster_ip("far", family, 3, {W::at(w.c1().ip(family), 8080)});
    wanted.cluster_ip("node", family, 4, {W::at(w.b.ip(family), 8080)});
    wanted.cluster_ip("self", family, 5, {W::at(w.a.ip(family), 8080, true)});
    REQUIRE(s.service.apply(wanted.tables) == "");
    CAPTURE(to_string(family));
    for (const Way way : kWays) {
      const Ip pod = w.a1().ip(family), node = w.a.ip(family);
      CHECK(ask(w.a1().ns, way, virtual_ip(family, 1), 80) == seen("a2", pod));
      CHECK(ask(w.a1().ns, way, virtual_ip(family, 2), 80) == seen("b1", pod));
      CHECK(ask(w.a1().ns, way, virtual_ip(family, 3), 80) == seen("c1", pod));
      CHECK(ask(w.a1().ns, way, virtual_ip(family, 4), 80) == seen("b", pod));
      CHECK(ask(w.a1().ns, way, virtual_ip(family, 5), 80) == seen("a", pod));
      CHECK(ask(w.a.ns, way, virtual_ip(family, 1), 80) == seen("a2", node));
      CHECK(ask(w.a.ns, way, virtual_ip(family, 2), 80) == seen("b1", node));
      CHECK(ask(w.a.ns, way, virtual_ip(family, 3), 80) == seen("c1", node));
      CHECK(ask(w.a.ns, way, virtual_ip(family, 4), 80) == seen("b", node));
      CHECK(ask(w.a.ns, way, virtual_ip(family, 5), 80) == seen("a", node));
    }
  }
}

TEST_CASE("a Pod that asks its own Service reaches itself, and sees its node") {
  ServiceWorld s;
  World& w = s.world;
  for (const Family family : kFamilies) {
    Wanted wanted(w.a);
    wanted.cluster_ip("own", family, 1, {W::at(w.a1().ip(family), 8080, true)});
    REQUIRE(s.service.apply(wanted.tables) == "");
    for (const Way way : kWays) CHECK(ask(w.a1().ns, way, virtual_ip(family, 1), 80) == seen("a1", w.a.ip(family)));
  }
}

TEST_CASE("a ClusterIP is not answered to the outside") {
  ServiceWorld s;
  World& w = s.world;
  for (const Family family : kFamilies) {
    Wanted wanted(w.a);
    wanted.cluster_ip("web", family, 1, {W::at(w.a1().ip(family), 8080, true)});
    REQUIRE(s.service.apply(wanted.tables) == "");
    ip(w.router, fmt::format("route replace {} via {}\n", to_string(virtual_ip(family, 1)), to_string(w.a.ip(family))));
    for (const Way way : kWays) {
      CHECK(ask(w.outside, way, virtual_ip(family, 1), 80) == "silence");
      CHECK(ask(w.outside, way, virtual_ip(family, 1), 81) == "silence");
    }
  }
}

TEST_CASE("refused: no endpoint, a port that the Service does not have; silence: an address that nobody has") {
  ServiceWorld s;
  World& w = s.world;
  for (const Family family : kFamilies) {
    Wanted wanted(w.a);
    wanted.cluster_ip("none", family, 1, {});
    wanted.cluster_ip("web", family, 2, {W::at(w.b1().ip(family), 8080)});
    REQUIRE(s.service.apply(wanted.tables) == "");
    for (const Ns* client : {&w.a1().ns, &w.a.ns})
      for (const Way way : kWays) {
        CHECK(ask(*client, way, virtual_ip(family, 1), 80) == "refused");
        CHECK(ask(*client, way, virtual_ip(family, 2), 81) == "refused");
        CHECK(ask(*client, way, virtual_ip(family, 9), 80) != "refused");
      }
  }
}

TEST_CASE("an address of a ServiceCIDR that another proxy serves is left to it; what it does not serve is dropped") {
  ServiceWorld s;
  World& w = s.world;
  for (const Family family : kFamilies) {
    const bool v4 = family == Family::V4;
    const std::string vip = to_string(virtual_ip(family, 9)), to = to_string(w.b1().ip(family));
    std::string others = fmt::format("table {} others {{\n", v4 ? "ip" : "ip6");
    for (const char* hook : {"prerouting", "output"})
      for (const char* protocol : {"tcp", "udp"})
        others += fmt::format(
            "chain {0}-{1} {{ type nat hook {0} priority -100; {2} daddr {3} {1} dport 80 dnat to {4}; }}\n", hook,
            protocol, v4 ? "ip" : "ip6", vip, v4 ? to + ":8080" : "[" + to + "]:8080");
    shell(w.a.ns, "nft -f - <<'END'\n" + others + "}\nEND\n");
    REQUIRE(s.service.apply(Wanted(w.a).tables) == "");
    for (const Way way : kWays) {
      CHECK(ask(w.a1().ns, way, virtual_ip(family, 9), 80) == seen("b1", w.a1().ip(family)));
      CHECK(ask(w.a.ns, way, virtual_ip(family, 9), 80) == seen("b1", w.a.ip(family)));
    }
    const auto counters = [&] { return shell(w.a.ns, "nft list table inet causeway | grep \"nobody's address\""); };
    for (const Ns* client : {&w.a1().ns, &w.a.ns}) {
      const auto before = counters();
      CHECK(ask(*client, Way::Tcp, virtual_ip(family, 10), 80) != "refused");
      CHECK(counters() != before);
    }
  }
}

TEST_CASE("a NodePort is served on the node's addresses: endpoints see the node (Cluster) or the client (Local)") {
  ServiceWorld s;
  World& w = s.world;
  for (const Family family : kFamilies) {
    CAPTURE(to_string(family));
    Wanted wanted(w.a);
    for (const Protocol protocol : {Protocol::Tcp, Protocol::Udp}) {
      const std::string p = protocol == Protocol::Tcp ? "tcp" : "udp";
      wanted.port("all-" + p, family, protocol, {W::at(w.b1().ip(family), 8080)});
      wanted.front("all-" + p, any_of(family), 30080, protocol, Kind::NodePort, balance(),
                   balance(Pool::Cluster, true));
      wanted.port("local-" + p, family, protocol,
                  {W::at(w.a1().ip(family), 8080, true), W::at(w.b1().ip(family), 8080)});
      wanted.front("local-" + p, any_of(family), 30081, protocol, Kind::NodePort, balance(Pool::Local),
                   balance(Pool::Local));
      wanted.port("away-" + p, family, protocol, {W::at(w.b1().ip(family), 8080)});
      wanted.front("away-" + p, any_of(family), 30082, protocol, Kind::NodePort, balance(), drop());
      wanted.port("none-" + p, family, protocol, {});
      wanted.front("none-" + p, any_of(family), 30083, protocol, Kind::NodePort, reject(), reject());
    }
    REQUIRE(s.service.apply(wanted.tables) == "");
    const Ip node = w.a.ip(family);
    for (const Way way : kWays) {
      CHECK(ask(w.outside, way, node, 30080) == seen("b1", node));
      CHECK(ask(w.c1().ns, way, node, 30080) == seen("b1", node));
      CHECK(ask(w.a1().ns, way, node, 30080) == seen("b1", w.a1().ip(family)));
      CHECK(ask(w.a.ns, way, node, 30080) == seen("b1", node));
      CHECK(ask(w.outside, way, node, 30081) == seen("a1", w.outside_ip(family)));
      CHECK(ask(w.outside, way, node, 30082) == "silence");
      // The short way: from the node and its Pods everything is reached.
      CHECK(ask(w.a2().ns, way, node, 30082) == seen("b1", w.a2().ip(family)));
      CHECK(ask(w.a.ns, way, node, 30082) == seen("b1", node));
      CHECK(ask(w.outside, way, node, 30083) == "refused");
      CHECK(ask(w.a1().ns, way, node, 30083) == "refused");
    }
  }
}

TEST_CASE("node ports are served only where they shall be, and on the node's 127.0.0.1") {
  ServiceWorld s;
  World& w = s.world;
  ip(w.a.ns, "addr add 192.0.2.77/32 dev eth0\n");
  Wanted wanted(w.a);
  wanted.tables.node_addresses[Ip::parse("192.0.2.77").value()] = {.node_ports = false};
  for (const Protocol protocol : {Protocol::Tcp, Protocol::Udp}) {
    const std::string name = protocol == Protocol::Tcp ? "tcp" : "udp";
    wanted.port(name, Family::V4, protocol, {W::at(w.a1().ip4, 8080, true)});
    wanted.front(name, Ip(), 30080, protocol, Kind::NodePort, balance(), balance(Pool::Cluster, true));
    wanted.port(name + "-far", Family::V4, protocol, {W::at(w.c1().ip4, 8080)});
    wanted.front(name + "-far", Ip(), 30081, protocol, Kind::NodePort, balance(), balance(Pool::Cluster, true));
  }
  REQUIRE(s.service.apply(wanted.tables) == "");
  for (const Way way : kWays) {
    CHECK(ask(w.outside, way, w.a.ip4, 30080) == seen("a1", w.a.ip4));
    CHECK(ask(w.b.ns, way, Ip::parse("192.0.2.77").value(), 30080) == "refused");
    CHECK(ask(w.a.ns, way, Ip::parse("127.0.0.1").value(), 30080) == seen("a1", w.a.ip4));
    CHECK(ask(w.a.ns, way, Ip::parse("127.0.0.1").value(), 30081) == seen("c1", w.a.ip4));
  }
}

TEST_CASE("a load balancer's address: who may by source ranges, from outside and from Pods") {
  ServiceWorld s;
  World& w = s.world;
  for (const Family family : kFamilies) {
    const Ip vip = public_ip(w, family);
    Wanted wanted(w.a);
    wanted.port("lb", family, Protocol::Tcp, {W::at(w.b1().ip(family), 8080)});
    auto& front =
        wanted.front("lb", vip, 80, Protocol::Tcp, Kind::LoadBalancer, balance(), balance(Pool::Cluster, true));
    REQUIRE(s.service.apply(wanted.tables) == "");
    CHECK(ask(w.outside, Way::Tcp, vip, 80) == seen("b1", w.a.ip(family)));
    const Cidr pods = family == Family::V4 ? w.a.pods4 : w.a.pods6;
    front.sources = {pods, host_of(w.a1().ip(family))};  // one within the other
    REQUIRE(s.service.apply(wanted.tables) == "");
    CHECK(ask(w.outside, Way::Tcp, vip, 80) == "silence");
    CHECK(ask(w.a1().ns, Way::Tcp, vip, 80) == seen("b1", w.a1().ip(family)));
    front.sources = {host_of(w.outside_ip(family))};
    REQUIRE(s.service.apply(wanted.tables) == "");
    CHECK(ask(w.outside, Way::Tcp, vip, 80) == seen("b1", w.a.ip(family)));
    CHECK(ask(w.a1().ns, Way::Tcp, vip, 80) == "silence");
    front.sources = {};
    front.outside = balance(Pool::Local);  // the client's own address arrives
    wanted.port("lb", family, Protocol::Tcp, {W::at(w.a2().ip(family), 8080, true)});
    REQUIRE(s.service.apply(wanted.tables) == "");
    CHECK(ask(w.outside, Way::Tcp, vip, 80) == seen("a2", w.outside_ip(family)));
  }
}

TEST_CASE("masquerade for everybody: the endpoint sees the node") {
  ServiceWorld s;
  World& w = s.world;
  for (const Family family : kFamilies) {
    Wanted wanted(w.a);
    wanted.cluster_ip("web", family, 1, {W::at(w.a2().ip(family), 8080, true)}, true);
    REQUIRE(s.service.apply(wanted.tables) == "");
    for (const Way way : kWays) CHECK(ask(w.a1().ns, way, virtual_ip(family, 1), 80) == seen("a2", w.a.ip(family)));
  }
}

}  // namespace causeway::test
