// Who reaches whom under policies on a node of the netfilter plane.
#include <doctest/doctest.h>

#include "policies.h"

namespace causeway::test {

namespace {

constexpr auto kTcp = Way::Tcp, kUdp = Way::Udp;
constexpr std::nullopt_t kPing = std::nullopt;
using Probes = std::vector<Probe>;

}  // namespace

TEST_CASE("without policies everybody reaches everybody; a Pod that is not known yet hears only its node") {
  PolicyWorld p;
  World& w = p.world;
  const Ns &a1 = w.a1().ns, &a2 = w.a2().ns, &b1 = w.b1().ns;
  REQUIRE(p.apply() == "");
  Probes all;
  for (const Family family : kFamilies)
    for (const Way way : kWays)
      for (const Probe& probe : Probes{{b1, way, w.a1().ip(family)},
                                       {a2, way, w.a1().ip(family)},
                                       {a1, way, w.c1().ip(family)},
                                       {a1, way, w.a.ip(family)}})
        all.push_back(probe);
  CHECK(wrong(all) == "");
  p.model.remove_pod(PolicyWorld::key("shop/a2"));
  p.model.remove(cluster::AttachmentKey{w.a2().host_side, "eth0"});
  REQUIRE(p.apply() == "");
  p.attach("shop/a2", w.a2());
  CHECK(p.apply().find("the API server has no Pod shop/a2") != std::string::npos);
  Probes unknown;
  for (const Family family : kFamilies)
    for (const Probe& probe : Probes{{b1, kUdp, w.a2().ip(family), 8080, false},
                                     {a2, kUdp, w.b1().ip(family), 8080, false},
                                     {a2, kUdp, w.a.ip(family), 8080, false},
                                     {w.a.ns, kUdp, w.a2().ip(family)}})
      unknown.push_back(probe);
  CHECK(wrong(unknown) == "");
}

TEST_CASE(
    "ingress: by Pods and namespaces; the node and replies always; through a Service it is the client that counts") {
  PolicyWorld p;
  World& w = p.world;
  const Ns &a1 = w.a1().ns, &a2 = w.a2().ns, &b1 = w.b1().ns, &c1 = w.c1().ns, &node = w.a.ns;
  p.put("shop/a1", R"({"podSelector":{"matchLabels":{"app":"a1"}},"ingress":[{"from":[
    {"podSelector":{"matchLabels":{"app":"a2"}}},
    {"namespaceSelector":{"matchLabels":{"team":"far"}},"podSelector":{"matchLabels":{"app":"b1"}}}]}]})");
  REQUIRE(p.apply() == "");
  for (const Family family : kFamilies) {
    Wanted wanted(w.a);
    wanted.cluster_ip("web", family, 1, {Wanted::at(w.a1().ip(family), 8080, true)});
    REQUIRE(p.service.apply(wanted.tables) == "");
    CAPTURE(to_string(family));
    const Ip to = w.a1().ip(family), vip = virtual_ip(family, 1);
    Probes probes{{b1, kPing, to}, {node, kPing, to}, {c1, kPing, to, 0, false}};
    for (const Way way : kWays)
      for (const Probe& probe : Probes{{a2, way, to},
                                       {b1, way, to},
                                       {c1, way, to, 8080, false},
                                       {node, way, to},
                                       {node, way, vip, 80},
                                       {a2, way, vip, 80},
                                       {a1, way, vip, 80},  // itself
                                       {a1, way, w.c1().ip(family)},
                                       {c1, way, w.a2().ip(family)}})
        probes.push_back(probe);
    CHECK(wrong(probes) == "");
  }
}

TEST_CASE("ports: numbers, ranges, names, protocols; fragments are judged whole") {
  PolicyWorld p;
  World& w = p.world;
  const Ns &b1 = w.b1().ns, &node = w.a.ns;
  p.put("shop/a1", R"({"podSelector":{"matchLabels":{"app":"a1"}},"ingress":[
    {"ports":[{"port":"web"},{"port":9000,"endPort":9004},{"protocol":"UDP","port":9010}],
     "from":[{"namespaceSelector":{}}]}]})");
  REQUIRE(p.apply() == "");
  for (const uint16_t port : {8999, 9000, 9004, 9005, 9010}) p.serve(w.a1().ns, port);
  Probes probes;
  for (const Family family : kFamilies) {
    const Ip to = w.a1().ip(family);
    for (const Probe& probe : Probes{{b1, kTcp, to, 8080},
                                     {b1, kUdp, to, 8080, false},
                                     {b1, kTcp, to, 8999, false},
                                     {b1, kTcp, to, 9000},
                                     {b1, kTcp, to, 9004},
                                     {b1, kTcp, to, 9005, false},
                                     {b1, kTcp, to, 9010, false},
                                     {b1, kUdp, to, 9010},
                                     {b1, kPing, to, 0, false},
                                     {node, kTcp, to, 9005}})
      probes.push_back(probe);
  }
  CHECK(wrong(probes) == "");
  // Only the first fragment has ports.
  CHECK_FALSE(talk_udp(b1, w.a1().ns, w.a1().ip4, 9011, 4000).ok());
  p.put("shop/big",
        R"({"podSelector":{"matchLabels":{"app":"a1"}},"ingress":[{"ports":[{"protocol":"UDP","port":9011}]}]})");
  REQUIRE(p.apply() == "");
  for (const Family family : kFamilies) CHECK(talk_udp(b1, w.a1().ns, w.a1().ip(family), 9011, 4000).ok());
}

TEST_CASE("egress: by Pods, blocks and exceptions, behind the Service's translation; the node itself is judged too") {
  PolicyWorld p;
  World& w = p.world;
  const Ns& a1 = w.a1().ns;
  for (const Family family : kFamilies) {
    Wanted wanted(w.a);
    wanted.cluster_ip("may", family, 1, {Wanted::at(w.b1().ip(family), 8080)});
    wanted.cluster_ip("not", family, 2, {Wanted::at(w.a2().ip(family), 8080, true)});
    REQUIRE(p.service.apply(wanted.tables) == "");
    CAPTURE(to_string(family));
    // Node a's own address is inside, node b's excepted.
    p.put("shop/a1", fmt::format(R"({{"podSelector":{{"matchLabels":{{"app":"a1"}}}},"policyTypes":["Egress"],"egress":[
            {{"to":[{{"namespaceSelector":{{}},"podSelector":{{"matchLabels":{{"app":"b1"}}}}}}],
              "ports":[{{"port":8080}},{{"protocol":"UDP","port":8080}}]}},
            {{"to":[{{"ipBlock":{{"cidr":"{}","except":["{}"]}}}}]}}]}})",
                                 family == Family::V4 ? "192.0.2.0/24" : "2001:db8:1::/64", host_cidr(w.b.ip(family))));
    REQUIRE(p.apply() == "");
    Probes probes;
    for (const Way way : kWays)
      for (const Probe& probe : Probes{{a1, way, w.b1().ip(family)},
                                       {a1, way, virtual_ip(family, 1), 80},
                                       {a1, way, virtual_ip(family, 2), 80, false},
                                       {a1, way, w.a2().ip(family), 8080, false},
                                       {a1, way, w.b1().ip(family), 81, false},
                                       {a1, way, w.a.ip(family)},
                                       {a1, way, w.b.ip(family), 8080, false},
                                       {w.b1().ns, way, w.a1().ip(family)},
                                       {w.a.ns, way, w.a1().ip(family)}})
        probes.push_back(probe);
    CHECK(wrong(probes) == "");
  }
}

TEST_CASE("deny all: nothing in, nothing out, but for the node; errors of what is allowed come back") {
  bool ipvs = false;
  SUBCASE("") {}
  SUBCASE("with the rules that follow IPVS") { ipvs = true; }
  PolicyWorld p(ipvs);
  World& w = p.world;
  const Ns &a1 = w.a1().ns, &a2 = w.a2().ns, &b1 = w.b1().ns, &node = w.a.ns;
  p.put("shop/deny", R"({"podSelector":{},"policyTypes":["Ingress","Egress"]})");
  REQUIRE(p.apply() == "");
  Probes probes;
  for (const Family family : kFamilies) {
    const Ip to = w.a1().ip(family);
    for (const Probe& probe : Probes{{b1, kTcp, to, 8080, false},
                                     {a2, kUdp, to, 8080, false},
                                     {a1, kUdp, w.b1().ip(family), 8080, false},
                                     {a1, kUdp, w.a.ip(family), 8080, false},
                                     {b1, kPing, to, 0, false},
                                     {node, kTcp, to},
                                     {node, kUdp, to},
                                     {node, kPing, to}})
      probes.push_back(probe);
  }
  CHECK(wrong(probes) == "");
  p.put("shop/out", R"({"podSelector":{"matchLabels":{"app":"a1"}},"policyTypes":["Egress"],"egress":[{}]})");
  REQUIRE(p.apply() == "");
  Probes out;
  for (const Family family : kFamilies) {
    out.push_back({a1, kTcp, w.b1().ip(family)});
    out.push_back({b1, kUdp, w.a1().ip(family), 8080, false});
    CHECK(ask(a1, kUdp, w.b1().ip(family), 81) == "refused");  // ICMP, related
  }
  CHECK(wrong(out) == "");
}

}  // namespace causeway::test
