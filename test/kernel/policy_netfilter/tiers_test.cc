// ClusterNetworkPolicies on plane netfilter: tiers, ports, networks, and what a change does to open flows.
#include <doctest/doctest.h>

#include "policies.h"

namespace causeway::test {

namespace {

constexpr auto kTcp = Way::Tcp, kUdp = Way::Udp;
constexpr std::nullopt_t kPing = std::nullopt;
using Probes = std::vector<Probe>;

// Of Pods of namespace shop (team=near); peers by labels of Pods of every namespace.
std::string cnp(std::string_view tier, int priority, std::string_view direction, std::string_view rules) {
  return fmt::format(
      R"({{"tier":"{}","priority":{},"subject":{{"namespaces":{{"matchLabels":{{"team":"near"}}}}}},"{}":[{}]}})", tier,
      priority, direction, rules);
}
std::string rule(std::string_view action, std::string_view direction, std::string_view app,
                 std::string_view protocols = "") {
  return fmt::format(R"({{"action":"{}","{}":[{{"pods":{{"podSelector":{{"matchLabels":{{"app":"{}"}}}}}}}}]{}}})",
                     action, direction, app, protocols.empty() ? "" : fmt::format(R"(,"protocols":[{}])", protocols));
}

}  // namespace

TEST_CASE("Admin before NetworkPolicies, Baseline after them, Pass between, on packets of both families") {
  PolicyWorld p;
  World& w = p.world;
  const Ns &a2 = w.a2().ns, &b1 = w.b1().ns, &c1 = w.c1().ns, &node = w.a.ns;
  p.put("shop/a1", R"({"podSelector":{"matchLabels":{"app":"a1"}},"ingress":[{"from":[
    {"podSelector":{"matchLabels":{"app":"a2"}}}]}]})");
  p.put("first",
        cnp("Admin", 1, "ingress",
            rule("Accept", "from", "b1") + "," + rule("Pass", "from", "a2") + "," + rule("Pass", "from", "c1")));
  p.put("second", cnp("Admin", 2, "ingress", rule("Deny", "from", "a2") + "," + rule("Deny", "from", "b1")));
  p.put("base", cnp("Baseline", 0, "ingress", rule("Deny", "from", "c1") + "," + rule("Accept", "from", "b1")));
  REQUIRE(p.apply() == "");
  Probes probes;
  for (const Family family : kFamilies) {
    const Ip a1_ip = w.a1().ip(family), a2_ip = w.a2().ip(family);
    for (const auto way : {std::optional(kTcp), std::optional(kUdp), std::optional<Way>(kPing)})
      for (const Probe& probe : Probes{{b1, way, a1_ip},               // Admin accepts
                                       {a2, way, a1_ip},               // Pass: its NetworkPolicy admits
                                       {c1, way, a1_ip, 8080, false},  // isolated
                                       {c1, way, a2_ip, 8080, false},  // Baseline denies
                                       {b1, way, a2_ip},               // Admin accepts
                                       {node, way, a1_ip}})
        probes.push_back(probe);
  }
  CHECK(wrong(probes) == "");
  p.remove("first");
  REQUIRE(p.apply() == "");
  Probes after;
  for (const Family family : kFamilies)
    for (const Probe& probe : Probes{{b1, kUdp, w.a1().ip(family), 8080, false},
                                     {a2, kUdp, w.a1().ip(family), 8080, false},
                                     {b1, kTcp, w.a2().ip(family), 8080, false}})
      after.push_back(probe);
  CHECK(wrong(after) == "");
}

TEST_CASE("protocols and networks of egress rules; who is no Pod has no port's name") {
  PolicyWorld p;
  World& w = p.world;
  const Ns& a1 = w.a1().ns;
  p.put("quiet",
        cnp("Admin", 1, "egress",
            rule("Accept", "to", "b1",
                 R"({"destinationNamedPort":"web"},{"udp":{"destinationPort":{"range":{"start":9000,"end":9004}}}})") +
                R"(,{"action":"Pass","to":[{"pods":{"podSelector":{"matchLabels":{"app":"a2"}}}}]})"
                R"(,{"action":"Deny","to":[{"networks":["0.0.0.0/0","::/0"]}]})"));
  REQUIRE(p.apply() == "");
  for (const uint16_t port : {9000, 9004, 9005}) p.serve(w.b1().ns, port);
  Probes probes;
  for (const Family family : kFamilies) {
    const Ip to = w.b1().ip(family);
    for (const Probe& probe : Probes{{a1, kTcp, to, 8080},
                                     {a1, kUdp, to, 8080, false},
                                     {a1, kUdp, to, 9000},
                                     {a1, kUdp, to, 9004},
                                     {a1, kUdp, to, 9005, false},
                                     {a1, kTcp, to, 9000, false},
                                     {a1, kPing, to, 0, false},
                                     {a1, kTcp, w.c1().ip(family), 8080, false},
                                     {a1, kPing, w.c1().ip(family), 0, false},
                                     {a1, kUdp, w.a.ip(family), 8080, false},
                                     {a1, kTcp, w.a2().ip(family)},
                                     {a1, kPing, w.a2().ip(family)},
                                     {w.c1().ns, kTcp, w.a1().ip(family)}})
      probes.push_back(probe);
  }
  CHECK(wrong(probes) == "");
}

TEST_CASE("a change of priority ends an open flow at once, deletion gives it back") {
  PolicyWorld p;
  World& w = p.world;
  p.put("deny", cnp("Admin", 20, "ingress", rule("Deny", "from", "b1")));
  p.put("accept", cnp("Admin", 10, "ingress", rule("Accept", "from", "b1")));
  REQUIRE(p.apply() == "");
  for (const Family family : kFamilies) {
    CAPTURE(to_string(family));
    Asker tcp(w.b1().ns, kTcp, w.a1().ip(family), 8080), udp(w.b1().ns, kUdp, w.a1().ip(family), 8080);
    CHECK(tcp.ask() != "silence");
    CHECK(udp.ask() != "silence");
    p.put("accept", cnp("Admin", 30, "ingress", rule("Accept", "from", "b1")));
    REQUIRE(p.apply() == "");
    CHECK(udp.ask() == "silence");
    CHECK(tcp.ask() == "silence");
    p.remove("deny");
    REQUIRE(p.apply() == "");
    CHECK(udp.ask() != "silence");
    p.put("deny", cnp("Admin", 20, "ingress", rule("Deny", "from", "b1")));
    p.put("accept", cnp("Admin", 10, "ingress", rule("Accept", "from", "b1")));
    REQUIRE(p.apply() == "");
  }
}

}  // namespace causeway::test
