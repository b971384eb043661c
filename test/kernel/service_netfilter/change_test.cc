// What changes of Services, restarts and other people do to the ruleset and to connections that are open.
#include <doctest/doctest.h>

#include <set>

#include "services.h"

namespace causeway::test {

namespace {

using W = Wanted;

std::string ruleset(const Node& node) {
  // Elements of affinity have a clock; hashes list in the order of the hash.
  return shell(node.ns,
               "nft -s list table inet causeway | sed 's/ expires [0-9a-z]*//' | tr ',' '\\n' | tr -d ' \\t' | sort");
}

size_t rules(const Node& node) {
  const std::string listing = shell(node.ns, "nft -a -t list table inet causeway | grep -c 'handle' ");
  return std::stoul(listing);
}

std::set<std::string> answers(const Ns& ns, Way way, const Ip& to, uint16_t port, int times = 40) {
  std::set<std::string> names;
  for (int i = 0; i < times; ++i) {
    const std::string answer = ask(ns, way, to, port);
    names.insert(answer.substr(0, answer.find(' ')));
  }
  return names;
}

}  // namespace

TEST_CASE("new connections go to every endpoint, and to none that left") {
  ServiceWorld s;
  World& w = s.world;
  for (const Family family : kFamilies) {
    Wanted wanted(w.a);
    const auto b1 = W::at(w.b1().ip(family), 8080), a2 = W::at(w.a2().ip(family), 8080, true),
               c1 = W::at(w.c1().ip(family), 8080);
    wanted.cluster_ip("web", family, 1, {a2, b1, c1});
    REQUIRE(s.service.apply(wanted.tables) == "");
    const Ns& client = w.a1().ns;
    const Ip vip = virtual_ip(family, 1);
    CHECK(answers(client, Way::Udp, vip, 80) == std::set<std::string>{"a2", "b1", "c1"});
    CHECK(answers(client, Way::Tcp, vip, 80) == std::set<std::string>{"a2", "b1", "c1"});
    wanted.cluster_ip("web", family, 1, {a2, c1});
    REQUIRE(s.service.apply(wanted.tables) == "");
    CHECK(answers(client, Way::Tcp, vip, 80) == std::set<std::string>{"a2", "c1"});
    auto leaving = c1;  // serves what it has, gets nothing new
    leaving.cluster_pool = false;
    wanted.cluster_ip("web", family, 1, {a2, leaving});
    REQUIRE(s.service.apply(wanted.tables) == "");
    // (By UDP a client that gets an old port again gets its old endpoint: that flow is still tracked.)
    CHECK(answers(client, Way::Tcp, vip, 80) == std::set<std::string>{"a2"});
    wanted.cluster_ip("web", family, 1, {});
    REQUIRE(s.service.apply(wanted.tables) == "");
    CHECK(answers(client, Way::Tcp, vip, 80, 2) == std::set<std::string>{"refused"});
    CHECK(s.service.applier.differences().value().empty());
  }
}

TEST_CASE("weights are shares of new connections") {
  ServiceWorld s;
  World& w = s.world;
  Wanted wanted(w.a);
  wanted.port("web", Family::V4, Protocol::Udp,
              {W::at(w.b1().ip4, 8080, false, 900), W::at(w.a2().ip4, 8080, true, 100)});
  wanted.front("web", virtual_ip(Family::V4, 1), 80, Protocol::Udp, Kind::ClusterIp, balance(), drop());
  REQUIRE(s.service.apply(wanted.tables) == "");
  int b1 = 0;
  for (int i = 0; i < 300; ++i) b1 += ask(w.a1().ns, Way::Udp, virtual_ip(Family::V4, 1), 80).starts_with("b1");
  CHECK(b1 > 240);  // 270 of 300 on the average; 240 is more than 5 sigma away
  CHECK(b1 < 299);
}

TEST_CASE("ClientIP affinity: a client stays with its endpoint while that is in the pool, and for so long") {
  ServiceWorld s;
  World& w = s.world;
  for (const Family family : kFamilies) {
    Wanted wanted(w.a);
    std::vector<Backend> all{W::at(w.a2().ip(family), 8080, true), W::at(w.b1().ip(family), 8080),
                             W::at(w.c1().ip(family), 8080), W::at(w.b.ip(family), 8080)};
    const Ip vip = virtual_ip(family, 1);
    const Ns& client = w.a1().ns;
    auto put = [&](uint32_t seconds, const std::vector<Backend>& backends) {
      wanted.port("web", family, Protocol::Tcp, backends).affinity = seconds;
      wanted.front("web", vip, 80, Protocol::Tcp, Kind::ClusterIp, balance(), drop());
      wanted.front("web", any_of(family), 30080, Protocol::Tcp, Kind::NodePort, balance(),
                   balance(Pool::Cluster, true));
      REQUIRE(s.service.apply(wanted.tables) == "");
    };
    put(10800, all);
    const auto first = answers(client, Way::Tcp, vip, 80, 12);
    REQUIRE(first.size() == 1);
    CHECK(answers(w.a1().ns, Way::Tcp, w.a.ip(family), 30080, 12).size() == 1);
    // Others come and go: it stays.
    auto fewer = all;
    std::erase_if(fewer,
                  [&](const Backend& b) { return b.at.ip == (first.contains("c1") ? w.b1() : w.c1()).ip(family); });
    put(10800, fewer);
    CHECK(answers(client, Way::Tcp, vip, 80, 8) == first);
    put(10800, all);
    CHECK(answers(client, Way::Tcp, vip, 80, 8) == first);
    // Its own goes: another one, and that for good.
    const Ip gone = first.contains("a2")   ? w.a2().ip(family)
                    : first.contains("b1") ? w.b1().ip(family)
                    : first.contains("c1") ? w.c1().ip(family)
                                           : w.b.ip(family);
    auto without = all;
    std::erase_if(without, [&](const Backend& b) { return b.at.ip == gone; });
    put(10800, without);
    const auto second = answers(client, Way::Tcp, vip, 80, 12);
    CHECK(second.size() == 1);
    CHECK(second != first);
    put(10800, all);
    CHECK(answers(client, Way::Tcp, vip, 80, 8) == second);
    CHECK(s.service.applier.differences().value().empty());
    // A restarted agent knows the same numbers.
    ServiceAgent again(s.a);
    REQUIRE(again.apply(wanted.tables) == "");
    CHECK(again.applier.writes() == 0);
    CHECK(answers(client, Way::Tcp, vip, 80, 8) == second);
    // Forgotten after a second without a new connection.
    put(1, all);
    std::set<std::string> seen;
    for (int i = 0; i < 12 && seen.size() < 2; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1300));
      seen.merge(answers(client, Way::Tcp, vip, 80, 1));
    }
    CHECK(seen.size() >= 2);
  }
}

TEST_CASE("a restarted agent writes nothing; rules are as many for a thousand Services as for one") {
  ServiceWorld s;
  World& w = s.world;
  Wanted wanted(w.a);
  auto put = [&](int n) {
    for (const Family family : kFamilies) {
      const std::string name = "web-" + std::to_string(n);
      wanted.cluster_ip(name, family, n, {W::at(w.b1().ip(family), 8080), W::at(w.a2().ip(family), 8080, true)});
    }
  };
  put(1);
  REQUIRE(s.service.apply(wanted.tables) == "");
  const size_t few = rules(w.a);
  for (int n = 2; n < 250; ++n) put(n);
  REQUIRE(s.service.apply(wanted.tables) == "");
  CHECK(s.service.applier.differences().value().empty());
  CHECK(rules(w.a) == few);
  const std::string before = ruleset(w.a);
  ServiceAgent again(s.a);
  REQUIRE(again.apply(wanted.tables) == "");
  CHECK(again.applier.writes() == 0);
  CHECK(ruleset(w.a) == before);
  REQUIRE(again.apply(Wanted(w.a).tables) == "");
  CHECK(again.applier.differences().value().empty());
  REQUIRE(again.apply(wanted.tables) == "");
  CHECK(ruleset(w.a) == before);
}

TEST_CASE("what somebody else takes away comes back, and connections that were open stay open") {
  ServiceWorld s;
  World& w = s.world;
  Wanted wanted(w.a);
  for (const Family family : kFamilies) wanted.cluster_ip("web", family, 1, {W::at(w.b1().ip(family), 8080)});
  REQUIRE(s.service.apply(wanted.tables) == "");
  const std::string before = ruleset(w.a);
  for (const char* harm : {"flush ruleset", "delete table inet causeway", "flush map inet causeway services-inside4",
                           "flush chain inet causeway services-output"}) {
    CAPTURE(harm);
    Asker pod(w.a1().ns, Way::Tcp, virtual_ip(Family::V4, 1), 80),
        node(w.a.ns, Way::Tcp, virtual_ip(Family::V6, 1), 80);
    CHECK(pod.ask() == seen("b1", w.a1().ip4));
    CHECK(node.ask() == seen("b1", w.a.ip6));
    shell(w.a.ns, std::string("nft '") + harm + "'");
    s.a.applier->forget();
    s.service.applier.forget();
    CHECK(s.a.apply() == "");
    CHECK(s.service.apply() == "");
    CHECK(ruleset(w.a) == before);
    CHECK(pod.ask() == seen("b1", w.a1().ip4));
    CHECK(node.ask() == seen("b1", w.a.ip6));
    CHECK(ask(w.a1().ns, Way::Udp, virtual_ip(Family::V6, 1), 80) == seen("b1", w.a1().ip6));
  }
}

TEST_CASE("a UDP client that goes on sending from one port follows the endpoints") {
  ServiceWorld s;
  World& w = s.world;
  for (const Family family : kFamilies) {
    CAPTURE(to_string(family));
    Wanted wanted(w.a);
    auto put = [&](const std::vector<Backend>& backends) {
      const bool any = !backends.empty();
      wanted.port("udp", family, Protocol::Udp, backends);
      wanted.front("udp", virtual_ip(family, 1), 80, Protocol::Udp, Kind::ClusterIp, any ? balance() : reject(),
                   drop());
      wanted.front("udp", any_of(family), 30080, Protocol::Udp, Kind::NodePort, any ? balance() : reject(),
                   any ? balance(Pool::Cluster, true) : reject());
      REQUIRE(s.service.apply(wanted.tables) == "");
    };
    Asker outside(w.outside, Way::Udp, w.a.ip(family), 30080);
    CHECK(outside.ask() == "refused");  // nobody's port: and now the flow is tracked without a target
    put({});
    Asker pod(w.a1().ns, Way::Udp, virtual_ip(family, 1), 80);
    CHECK(pod.ask() == "refused");
    put({W::at(w.b1().ip(family), 8080)});
    CHECK(pod.ask() == seen("b1", w.a1().ip(family)));
    CHECK(outside.ask() == seen("b1", w.a.ip(family)));
    // A second one comes: those with the first stay.
    put({W::at(w.b1().ip(family), 8080), W::at(w.c1().ip(family), 8080)});
    CHECK(pod.ask() == seen("b1", w.a1().ip(family)));
    // The first drains: it keeps them. It is gone: they go to the second.
    auto draining = W::at(w.b1().ip(family), 8080);
    draining.cluster_pool = false;
    put({draining, W::at(w.c1().ip(family), 8080)});
    CHECK(pod.ask() == seen("b1", w.a1().ip(family)));
    put({W::at(w.c1().ip(family), 8080)});
    CHECK(pod.ask() == seen("c1", w.a1().ip(family)));
    CHECK(outside.ask() == seen("c1", w.a.ip(family)));
    // Another port of the same Pod.
    Answers other(w.c1().ns, "c1-other", 9090);
    put({W::at(w.c1().ip(family), 9090)});
    CHECK(pod.ask() == seen("c1-other", w.a1().ip(family)));
    put({});
    CHECK(pod.ask() == "refused");
    put({W::at(w.b1().ip(family), 8080)});
    CHECK(pod.ask() == seen("b1", w.a1().ip(family)));
    CHECK(outside.ask() == seen("b1", w.a.ip(family)));
    // No Service any more.
    REQUIRE(s.service.apply(Wanted(w.a).tables) == "");
    CHECK(!pod.ask().starts_with("b1"));
    CHECK(outside.ask() == "refused");
  }
}

TEST_CASE("TCP connections stay with their endpoint whatever becomes of the Service") {
  ServiceWorld s;
  World& w = s.world;
  Wanted wanted(w.a);
  wanted.cluster_ip("web", Family::V4, 1, {W::at(w.b1().ip4, 8080)});
  REQUIRE(s.service.apply(wanted.tables) == "");
  Asker open(w.a1().ns, Way::Tcp, virtual_ip(Family::V4, 1), 80);
  CHECK(open.ask() == seen("b1", w.a1().ip4));
  wanted.cluster_ip("web", Family::V4, 1, {W::at(w.c1().ip4, 8080)});
  REQUIRE(s.service.apply(wanted.tables) == "");
  CHECK(open.ask() == seen("b1", w.a1().ip4));
  REQUIRE(s.service.apply(Wanted(w.a).tables) == "");
  CHECK(open.ask() == seen("b1", w.a1().ip4));
}

TEST_CASE("tables of others are left alone: kube-proxy's and kubelet's") {
  ServiceWorld s;
  World& w = s.world;
  const std::string others =
      "add table ip nat; add chain ip nat KUBE-SERVICES; add chain ip nat PREROUTING { type nat hook prerouting "
      "priority "
      "-100; }; add rule ip nat PREROUTING jump KUBE-SERVICES; add table ip filter; add chain ip filter INPUT { type "
      "filter hook input priority 0; }; add chain ip filter KUBE-FIREWALL; add rule ip filter INPUT jump "
      "KUBE-FIREWALL; "
      "add rule ip filter KUBE-FIREWALL ip saddr != 127.0.0.0/8 ip daddr 127.0.0.0/8 ct state new drop; "
      "add table inet kube-proxy; add chain inet kube-proxy services";
  REQUIRE(shell(w.a.ns, "nft '" + others + "' 2>&1") == "");
  const auto theirs = [&] {
    return shell(w.a.ns, "nft list table ip nat; nft list table ip filter; nft list table inet kube-proxy");
  };
  const std::string before = theirs();
  Wanted wanted(w.a);
  wanted.cluster_ip("web", Family::V4, 1, {W::at(w.b1().ip4, 8080)});
  wanted.port("np", Family::V4, Protocol::Tcp, {W::at(w.a1().ip4, 8080, true)});
  wanted.front("np", Ip(), 30080, Protocol::Tcp, Kind::NodePort, balance(), balance(Pool::Cluster, true));
  REQUIRE(s.service.apply(wanted.tables) == "");
  CHECK(ask(w.a1().ns, Way::Tcp, virtual_ip(Family::V4, 1), 80) == seen("b1", w.a1().ip4));
  CHECK(ask(w.a.ns, Way::Tcp, Ip::parse("127.0.0.1").value(), 30080) == seen("a1", w.a.ip4));
  CHECK(theirs() == before);
}

}  // namespace causeway::test
