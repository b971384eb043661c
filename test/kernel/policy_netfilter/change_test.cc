// What changes of policies do to flows that are open, and to what the kernel holds; what others do to it.
#include <doctest/doctest.h>
#include <sys/socket.h>

#include <random>

#include "policies.h"

namespace causeway::test {

namespace {

constexpr const char* kOnlyA2 =
    R"({"podSelector":{"matchLabels":{"app":"a1"}},"ingress":[{"from":[{"podSelector":{"matchLabels":{"app":"a2"}}}]}]})";

size_t rules(const Node& node) {
  return std::stoul(shell(node.ns, "nft -a -t list table inet causeway | grep -c 'handle' "));
}

// What the peer of `from` hears of it within a moment.
std::string said(const Fd& from, const Fd& to) {
  if (::send(from.get(), "news", 4, MSG_NOSIGNAL) != 4) return "not sent";
  const timeval patience{.tv_sec = 0, .tv_usec = 700'000};
  ::setsockopt(to.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  char text[16];
  const auto size = ::recv(to.get(), text, sizeof text, 0);
  return size <= 0 ? "silence" : std::string(text, size_t(size));
}

}  // namespace

TEST_CASE("a flow that is open and forbidden from now on is cut at both ends, the others go on") {
  PolicyWorld p;
  World& w = p.world;
  REQUIRE(p.apply() == "");
  for (const Family family : kFamilies) {
    CAPTURE(to_string(family));
    const Ip to = w.a1().ip(family);
    Wanted wanted(w.a);
    wanted.cluster_ip("web", family, 1, {Wanted::at(to, 8080, true)});
    REQUIRE(p.service.apply(wanted.tables) == "");
    Asker far(w.b1().ns, Way::Tcp, to, 8080), far_udp(w.b1().ns, Way::Udp, to, 8080),
        near(w.a2().ns, Way::Tcp, virtual_ip(family, 1), 80), node(w.a.ns, Way::Tcp, to, 8080);
    const Fd listener = tcp_listener(w.a1().ns, to, 9100);
    const Fd client = tcp_connect(w.c1().ns, to, 9100);
    const Fd server(::accept(listener.get(), nullptr, nullptr));
    CHECK(said(client, server) == "news");
    CHECK(far.ask() != "silence");
    CHECK(far_udp.ask() != "silence");
    CHECK(near.ask() != "silence");
    CHECK(node.ask() != "silence");
    CHECK(ping(w.b1().ns, to, 4711));
    p.put("shop/a1", kOnlyA2);
    REQUIRE(p.apply() == "");
    CHECK(p.applier->ended_flows() >= 4);
    // The server speaks first: conntrack takes that for a flow of its own.
    CHECK(said(server, client) == "silence");
    auto other = std::async(std::launch::async, [&] { return far.ask(); });
    auto echo = std::async(std::launch::async, [&] { return ping(w.b1().ns, to, 4711); });
    CHECK(far_udp.ask() == "silence");
    CHECK(other.get() == "silence");
    CHECK_FALSE(echo.get());
    CHECK(near.ask() != "silence");
    CHECK(node.ask() != "silence");
    // Allowed again it goes on: what was said meanwhile is sent once more.
    p.remove("shop/a1");
    REQUIRE(p.apply() == "");
    CHECK(far_udp.ask() != "silence");
  }
}

TEST_CASE("an egress that is forbidden is cut as well, and so is that of a Pod whose labels change") {
  PolicyWorld p;
  World& w = p.world;
  REQUIRE(p.apply() == "");
  const Ip to = w.b1().ip4;
  Asker asker(w.a1().ns, Way::Tcp, to, 8080), other(w.a2().ns, Way::Tcp, to, 8080);
  CHECK(asker.ask() != "silence");
  CHECK(other.ask() != "silence");
  p.put("shop/quiet", R"({"podSelector":{"matchLabels":{"quiet":"yes"}},"policyTypes":["Egress"]})");
  REQUIRE(p.apply() == "");
  CHECK(asker.ask() != "silence");
  auto pod = p.model.pods().at(PolicyWorld::key("shop/a1"));
  pod.labels["quiet"] = "yes";
  p.model.put(pod);
  REQUIRE(p.apply() == "");
  CHECK(asker.ask() == "silence");
  CHECK(other.ask() != "silence");
}

TEST_CASE("flushed by others it is brought back, and judges again what was opened meanwhile") {
  PolicyWorld p;
  World& w = p.world;
  p.put("shop/a1", kOnlyA2);
  REQUIRE(p.apply() == "");
  const std::string before = p.render_ruleset(w.a);
  shell(w.a.ns, "nft flush ruleset");
  Asker asker(w.b1().ns, Way::Udp, w.a1().ip4, 8080);
  CHECK(asker.ask() != "silence");
  p.applier->forget();
  REQUIRE(p.apply() == "");
  CHECK(asker.ask() == "silence");
  p.a.applier->forget();
  REQUIRE(p.a.apply() == "");
  p.service.applier.forget();
  REQUIRE(p.service.apply() == "");
  CHECK(p.applier->differences().value() == std::vector<std::string>{});
  CHECK(before.find("policy-judge-ingress4") != std::string::npos);
}

TEST_CASE("whatever comes and goes, the kernel holds what all of it makes, by as many rules; a restart drops nothing") {
  PolicyWorld p;
  World& w = p.world;
  REQUIRE(p.apply() == "");
  const size_t few = rules(w.a);
  std::mt19937 random(11);
  const auto chance = [&](unsigned of) { return random() % of == 0; };
  for (int step = 0; step < 60; ++step) {
    const std::string name = fmt::format("shop/p{}", random() % 6);
    std::string peers, ports;
    for (const char* app : {"a1", "a2", "b1", "c1"})
      if (chance(2))
        peers += fmt::format(R"({}{{"namespaceSelector":{{}},"podSelector":{{"matchLabels":{{"app":"{}"}}}}}})",
                             peers.empty() ? "" : ",", app);
    if (chance(2))
      peers += fmt::format(R"({}{{"ipBlock":{{"cidr":"{}.0.0.0/{}","except":["{}.1.{}.0/24"]}}}})",
                           peers.empty() ? "" : ",", 10, 8, 10, random() % 4);
    if (chance(3)) peers += fmt::format(R"({}{{"ipBlock":{{"cidr":"fd00:10::/32"}}}})", peers.empty() ? "" : ",");
    if (chance(2))
      ports =
          fmt::format(R"("ports":[{{"port":{}}},{{"port":100,"endPort":{}}}],)", 80 + random() % 3, 200 + random() % 3);
    const bool egress = chance(2);
    if (chance(4))
      p.remove(name);
    else
      p.put(name, fmt::format(R"({{"podSelector":{{{}}},"policyTypes":["{}"],"{}":[{{{}"{}":[{}]}}]}})",
                              chance(2) ? "" : R"("matchLabels":{"app":"a1"})", egress ? "Egress" : "Ingress",
                              egress ? "egress" : "ingress", ports, egress ? "to" : "from", peers));
    CAPTURE(step);
    REQUIRE(p.apply() == "");
    REQUIRE(p.applier->differences().value() == std::vector<std::string>{});
  }
  CHECK(rules(w.a) == few);
  // Nobody else can list what nft cannot.
  CHECK(shell(w.a.ns, "nft list ruleset > /dev/null && nft -j list ruleset > /dev/null && echo listed") == "listed\n");
  for (int i = 0; i < 6; ++i) p.remove(fmt::format("shop/p{}", i));
  p.put("shop/a1", kOnlyA2);
  REQUIRE(p.apply() == "");
  Asker asker(w.a2().ns, Way::Tcp, w.a1().ip4, 8080);
  CHECK(asker.ask() != "silence");
  p.start();
  REQUIRE(p.apply() == "");
  CHECK(p.applier->differences().value() == std::vector<std::string>{});
  CHECK(asker.ask() != "silence");
  CHECK(wrong({{w.b1().ns, Way::Tcp, w.a1().ip4, 8080, false}, {w.a2().ns, Way::Tcp, w.a1().ip4}}) == "");
}

}  // namespace causeway::test
