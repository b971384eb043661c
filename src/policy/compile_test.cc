// What NetworkPolicy says that is a compiler's, one statement after the other, by the numbers of the design's list.
#include <doctest/doctest.h>

#include "policy/policy_world.h"

using namespace causeway;
using namespace causeway::policy;

namespace {
constexpr auto kUdp = Protocol::Udp, kSctp = Protocol::Sctp, kTcp = Protocol::Tcp;

// Three namespaces of three Pods, as upstream's suites have them.
World nine() {
  World world;
  int net = 0;
  for (std::string ns : {"x", "y", "z"}) {
    world.ns(ns, "team=" + ns);
    int host = 0;
    ++net;
    for (std::string pod : {"a", "b", "c"}) {
      ++host;
      world.pod(ns + "/" + pod, {fmt::format("10.0.{}.{}", net, host), fmt::format("fd00:{}::{}", net, host)},
                "pod=" + pod, {{"serve-80-tcp", kTcp, 80}, {"serve-81-tcp", kTcp, 81}, {"serve-80-udp", kUdp, 80}});
    }
  }
  return world;
}
struct Asked {
  World world;
  Tables tables;
  explicit Asked(World of) : world(std::move(of)), tables(compile(world.model)) {}
  std::string operator()(std::string_view from, std::string_view to, uint16_t port,
                         std::optional<Protocol> protocol = kTcp, Family family = Family::V4) const {
    return reach(tables, world.model, from, to, port, protocol, family);
  }
};
Asked with(std::string_view policy, std::string_view name = "x/p") {
  World world = nine();
  world.policy(name, policy);
  return Asked(std::move(world));
}
}  // namespace

TEST_CASE("1: a Pod that no policy selects is open; one direction isolates that direction only") {
  auto open = Asked(nine());
  CHECK(open("x/a", "y/b", 80) == "allow");
  CHECK(open("192.0.2.9", "x/a", 80) == "allow");
  auto one = with(R"({"podSelector":{"matchLabels":{"pod":"a"}},"policyTypes":["Ingress"]})");
  CHECK(one("y/b", "x/a", 80) == "ingress denied");
  CHECK(one("x/a", "y/b", 80) == "allow");
  CHECK(one("y/b", "x/b", 80) == "allow");
  auto other = with(R"({"podSelector":{"matchLabels":{"pod":"a"}},"policyTypes":["Egress"]})");
  CHECK(other("y/b", "x/a", 80) == "allow");
  CHECK(other("x/a", "y/b", 80) == "egress denied");
  CHECK(other("x/a", "y/b", 0, std::nullopt) == "egress denied");  // ICMP too
}

TEST_CASE("2: rules and policies are ORed; a connection needs the client's egress and the server's ingress") {
  World world = nine();
  world.policy("x/in", R"({"podSelector":{},"ingress":[{"from":[{"podSelector":{"matchLabels":{"pod":"b"}}}]},
                                                       {"ports":[{"port":81}]}]})");
  world.policy("x/more",
               R"({"podSelector":{},"ingress":[{"from":[{"namespaceSelector":{"matchLabels":{"team":"y"}}}]}]})");
  world.policy("y/out", R"({"podSelector":{"matchLabels":{"pod":"c"}},"policyTypes":["Egress"]})");
  Asked ask(std::move(world));
  CHECK(ask("x/b", "x/a", 80) == "allow");
  CHECK(ask("x/c", "x/a", 80) == "ingress denied");
  CHECK(ask("x/c", "x/a", 81) == "allow");
  CHECK(ask("y/a", "x/a", 80) == "allow");
  CHECK(ask("y/c", "x/a", 80) == "egress denied");
  CHECK(ask("z/a", "x/a", 80) == "ingress denied");
}

TEST_CASE("3: absent policyTypes; egress [] adds nothing") {
  CHECK(with(R"({"podSelector":{},"egress":[]})")("x/a", "y/a", 80) == "allow");
  CHECK(with(R"({"podSelector":{},"egress":[]})")("y/a", "x/a", 80) == "ingress denied");
  auto both = with(R"({"podSelector":{},"egress":[{"ports":[{"port":80}]}]})");
  CHECK(both("x/a", "y/a", 80) == "allow");
  CHECK(both("x/a", "y/a", 81) == "egress denied");
  CHECK(both("y/a", "x/a", 80) == "ingress denied");
  CHECK(with(R"({"podSelector":{},"policyTypes":["Ingress"],"ingress":[{}],"egress":[{"ports":[{"port":1}]}]})")(
            "x/a", "y/a", 80) == "allow");
}

TEST_CASE("4: an empty rule admits everything, an empty list of rules nothing") {
  CHECK(with(R"({"podSelector":{},"ingress":[{}]})")("y/a", "x/a", 80) == "allow");
  CHECK(with(R"({"podSelector":{},"ingress":[{}]})")("192.0.2.9", "x/a", 9, kUdp) == "allow");
  CHECK(with(R"({"podSelector":{},"ingress":[{"from":[],"ports":[]}]})")("y/a", "x/a", 0, std::nullopt) == "allow");
  CHECK(with(R"({"podSelector":{},"ingress":[]})")("y/a", "x/a", 80) == "ingress denied");
}

TEST_CASE("5: an empty or absent podSelector of the policy is every Pod of its namespace, and of no other") {
  auto ask = with(R"({"policyTypes":["Ingress"]})");
  CHECK(ask("y/a", "x/b", 80) == "ingress denied");
  CHECK(ask("x/a", "y/b", 80) == "allow");
}

TEST_CASE(
    "6: items are ORed, the selectors of one item ANDed; an empty namespaceSelector is all Pods, never the outside") {
  auto both = with(R"({"podSelector":{},"ingress":[{"from":[
      {"namespaceSelector":{"matchLabels":{"team":"y"}},"podSelector":{"matchLabels":{"pod":"b"}}}]}]})");
  CHECK(both("y/b", "x/a", 80) == "allow");
  CHECK(both("y/a", "x/a", 80) == "ingress denied");
  CHECK(both("x/b", "x/a", 80) == "ingress denied");
  auto either = with(R"({"podSelector":{},"ingress":[{"from":[
      {"namespaceSelector":{"matchLabels":{"team":"y"}}},{"podSelector":{"matchLabels":{"pod":"b"}}}]}]})");
  CHECK(either("y/a", "x/a", 80) == "allow");
  CHECK(either("x/b", "x/a", 80) == "allow");
  CHECK(either("z/b", "x/a", 80) == "ingress denied");
  auto all = with(R"({"podSelector":{},"ingress":[{"from":[{"namespaceSelector":{}}]}]})");
  CHECK(all("z/c", "x/a", 80) == "allow");
  CHECK(all("192.0.2.9", "x/a", 80) == "ingress denied");
}

TEST_CASE("7: NotIn and DoesNotExist select what lacks the key; an empty value needs the key") {
  const auto from = [](std::string_view expression) {
    World world = nine();
    world.pod("y/bare", {"10.0.2.9"}).pod("y/empty", {"10.0.2.10"}, "pod=");
    world.policy(
        "x/p",
        fmt::format(R"({{"podSelector":{{}},"ingress":[{{"from":[{{"namespaceSelector":{{}},"podSelector":{}}}]}}]}})",
                    expression));
    Asked ask(std::move(world));
    std::string out;
    for (std::string pod : {"y/a", "y/b", "y/bare", "y/empty"})
      if (ask(pod, "x/a", 80) == "allow") out += (out.empty() ? "" : " ") + pod;
    return out;
  };
  CHECK(from(R"({"matchExpressions":[{"key":"pod","operator":"NotIn","values":["a"]}]})") == "y/b y/bare y/empty");
  CHECK(from(R"({"matchExpressions":[{"key":"pod","operator":"DoesNotExist"}]})") == "y/bare");
  CHECK(from(R"({"matchExpressions":[{"key":"pod","operator":"Exists"}]})") == "y/a y/b y/empty");
  CHECK(from(R"({"matchLabels":{"pod":""}})") == "y/empty");
  CHECK(
      from(
          R"({"matchExpressions":[{"key":"pod","operator":"In","values":["b",""]},{"key":"pod","operator":"NotIn","values":[""]}]})") ==
      "y/b");
}

TEST_CASE("8: an exception subtracts from its own block only, and blocks match Pods too") {
  auto ask = with(R"({"podSelector":{},"policyTypes":["Egress"],"egress":[{"to":[
      {"ipBlock":{"cidr":"10.0.0.0/16","except":["10.0.2.0/24"]}},{"ipBlock":{"cidr":"10.0.2.2/32"}}]}]})");
  CHECK(ask("x/a", "x/b", 80) == "allow");
  CHECK(ask("x/a", "y/a", 80) == "egress denied");
  CHECK(ask("x/a", "y/b", 80) == "allow");  // the other block of the same rule
  CHECK(ask("x/a", "10.0.9.9", 80) == "allow");
  CHECK(ask("x/a", "10.0.2.77", 80) == "egress denied");
  CHECK(ask("x/a", "192.0.2.1", 80) == "egress denied");
  World world = nine();
  world.policy(
      "x/p",
      R"({"podSelector":{},"policyTypes":["Egress"],"egress":[{"to":[{"ipBlock":{"cidr":"10.0.0.0/16","except":["10.0.2.0/24"]}}]}]})");
  world.policy("x/q",
               R"({"podSelector":{},"policyTypes":["Egress"],"egress":[{"to":[{"ipBlock":{"cidr":"10.0.2.0/25"}}]}]})");
  Asked two(std::move(world));
  CHECK(two("x/a", "y/a", 80) == "allow");
  CHECK(two("x/a", "10.0.2.200", 80) == "egress denied");
}

TEST_CASE("9: a block of one family says nothing of the other; a selector means all addresses of a Pod") {
  auto block = with(R"({"podSelector":{},"ingress":[{"from":[{"ipBlock":{"cidr":"0.0.0.0/0"}}]}]})");
  CHECK(block("y/a", "x/a", 80) == "allow");
  CHECK(block("y/a", "x/a", 80, kTcp, Family::V6) == "ingress denied");
  auto selector = with(R"({"podSelector":{},"ingress":[{"from":[{"namespaceSelector":{}}]}]})");
  CHECK(selector("y/a", "x/a", 80, kTcp, Family::V6) == "allow");
  auto six = with(R"({"podSelector":{},"ingress":[{"from":[{"ipBlock":{"cidr":"::/0","except":["fd00:2::/32"]}}]}]})");
  CHECK(six("y/a", "x/a", 80) == "ingress denied");
  CHECK(six("y/a", "x/a", 80, kTcp, Family::V6) == "ingress denied");
  CHECK(six("z/a", "x/a", 80, kTcp, Family::V6) == "allow");
}

TEST_CASE("10: the protocol is TCP where none is named; an item without port is every port of its protocol") {
  auto tcp = with(R"({"podSelector":{},"ingress":[{"ports":[{}]}]})");
  CHECK(tcp("y/a", "x/a", 1) == "allow");
  CHECK(tcp("y/a", "x/a", 65535) == "allow");
  CHECK(tcp("y/a", "x/a", 80, kUdp) == "ingress denied");
  CHECK(tcp("y/a", "x/a", 0, std::nullopt) == "ingress denied");
  auto udp = with(R"({"podSelector":{},"ingress":[{"ports":[{"protocol":"UDP"},{"port":80}]}]})");
  CHECK(udp("y/a", "x/a", 53, kUdp) == "allow");
  CHECK(udp("y/a", "x/a", 80) == "allow");
  CHECK(udp("y/a", "x/a", 81) == "ingress denied");
}

TEST_CASE("11: a named port is looked up on each destination Pod, with its protocol, in both directions") {
  World world = nine();
  world.pod("x/a", {"10.0.1.1"}, "pod=a", {{"web", kTcp, 8080}});
  world.pod("x/b", {"10.0.1.2"}, "pod=b", {{"web", kTcp, 9090}, {"web", kUdp, 53}});
  world.policy("x/in", R"({"podSelector":{},"ingress":[{"ports":[{"port":"web"}]}]})");
  world.policy(
      "y/out",
      R"({"podSelector":{},"policyTypes":["Egress"],"egress":[{"ports":[{"port":"web"},{"port":"serve-81-tcp"}]}]})");
  Asked ask(std::move(world));
  CHECK(ask("z/a", "x/a", 8080) == "allow");
  CHECK(ask("z/a", "x/a", 9090) == "ingress denied");
  CHECK(ask("z/a", "x/b", 9090) == "allow");
  CHECK(ask("z/a", "x/b", 8080) == "ingress denied");
  CHECK(ask("z/a", "x/b", 53, kUdp) == "ingress denied");  // the rule says TCP
  CHECK(ask("z/a", "x/c", 80) == "ingress denied");        // has no such name
  CHECK(ask("y/a", "x/a", 8080) == "allow");
  CHECK(ask("y/a", "x/b", 8080) == "egress denied");
  CHECK(ask("y/a", "z/a", 81) == "allow");
  CHECK(ask("y/a", "192.0.2.1", 8080) == "egress denied");  // no Pod, no name
}

TEST_CASE("12: endPort is inclusive; SCTP rules isolate and open no TCP") {
  auto range = with(
      R"({"podSelector":{},"ingress":[{"ports":[{"port":80,"endPort":90},{"port":85,"endPort":95},{"port":200}]}]})");
  for (uint16_t port : {80, 90, 91, 95, 200}) CHECK(range("y/a", "x/a", port) == "allow");
  for (uint16_t port : {79, 96, 199, 201}) CHECK(range("y/a", "x/a", port) == "ingress denied");
  auto sctp = with(R"({"podSelector":{},"ingress":[{"ports":[{"protocol":"SCTP","port":80}]}]})");
  CHECK(sctp("y/a", "x/a", 80, kSctp) == "allow");
  CHECK(sctp("y/a", "x/a", 80) == "ingress denied");
}

TEST_CASE("15: Pods of the host's network are no subjects, and are matched by their address in blocks only") {
  World world = nine();
  cluster::Pod host = world.changed("x/a");
  host.host_network = true;
  host.addresses = {ip("192.0.2.1")};
  world.model.put(host);
  world.policy(
      "x/p",
      R"({"podSelector":{},"policyTypes":["Ingress","Egress"],"ingress":[{"from":[{"namespaceSelector":{}}]}]})");
  world.policy("y/p", R"({"podSelector":{},"ingress":[{"from":[{"ipBlock":{"cidr":"192.0.2.1/32"}}]}]})");
  Asked ask(std::move(world));
  CHECK_FALSE(ask.tables.subjects.contains({"x", "a"}));
  CHECK(ask("192.0.2.1", "x/b", 80) == "ingress denied");
  CHECK(ask("192.0.2.1", "y/b", 80) == "allow");
}

TEST_CASE("a Pod that has ended is nobody: its address may be another's") {
  World world = nine();
  cluster::Pod ended = world.changed("y/b");
  ended.finished = true;
  world.model.put(ended);
  world.policy(
      "x/p",
      R"({"podSelector":{},"ingress":[{"from":[{"namespaceSelector":{},"podSelector":{"matchLabels":{"pod":"b"}}}]}]})");
  Asked ask(std::move(world));
  CHECK(ask("x/b", "x/a", 80) == "allow");
  CHECK(ask("10.0.2.2", "x/a", 80) == "ingress denied");
}

TEST_CASE("a Pod that is not known yet is not open") {
  const Tables tables = compile(nine().model);
  CHECK_FALSE(judge(tables, {"x", "new"}, Direction::Ingress, {ip("10.0.2.1"), kTcp, 80}).allowed);
}

TEST_CASE("only what judges a Pod of the node counts") {
  World world = nine();
  cluster::Pod far = world.changed("y/a");
  far.node = "n2";
  world.model.put(far);
  world.policy("x/p", R"({"podSelector":{},"ingress":[{"from":[{"podSelector":{"matchLabels":{"pod":"b"}}}]}]})");
  CHECK(render(compile(world.model, {.node = "n2"})) ==
        render(compile(nine().policy("y/other", R"({"podSelector":{"matchLabels":{"pod":"none"}}})").model,
                       {.pods = std::set<PodKey>{{"y", "a"}}})));
}

TEST_CASE("tables read as what they do") {
  World world;
  world.ns("x").pod("x/a", {"10.0.0.1"}, "app=web", {{"http", kTcp, 8080}}).pod("x/b", {"10.0.0.2"}, "app=client");
  world.policy("x/web", R"({"podSelector":{"matchLabels":{"app":"web"}},"ingress":[
      {"from":[{"podSelector":{"matchLabels":{"app":"client"}}}],"ports":[{"port":"http"}]},
      {"from":[{"ipBlock":{"cidr":"192.0.2.0/24","except":["192.0.2.128/25"]}}]}]})");
  CHECK(render(compile(world.model)) ==
        "address 10.0.0.1 pod x/a class everybody\n"
        "address 10.0.0.2 pod x/b class {Pods app=client of namespace x}\n"
        "block 192.0.2.0/24 class {192.0.2.0/24 except 192.0.2.128/25}\n"
        "block 192.0.2.128/25 class everybody\n"
        "class {192.0.2.0/24 except 192.0.2.128/25}\n"
        "class {Pods app=client of namespace x}\n"
        "pod x/a ingress ingress(x/web http=8080/tcp) egress open\n"
        "pod x/b ingress open egress open\n"
        "rule NetworkPolicy x/web ingress[0] NetworkPolicy accept\n"
        "rule NetworkPolicy x/web ingress[1] NetworkPolicy accept\n"
        "set ingress(x/web http=8080/tcp)\n"
        "verdict ingress(x/web http=8080/tcp) everybody all ports: deny (isolated)\n"
        "verdict ingress(x/web http=8080/tcp) {192.0.2.0/24 except 192.0.2.128/25} all ports: accept by NetworkPolicy "
        "x/web ingress[1]\n"
        "verdict ingress(x/web http=8080/tcp) {Pods app=client of namespace x} 8080/tcp: accept by NetworkPolicy x/web "
        "ingress[0]\n");
}

TEST_CASE("a rule that stays where it is keeps its number when its policy changes") {
  World world = nine();
  Compiler compiler;
  world.policy("x/p", R"({"podSelector":{},"ingress":[{"ports":[{"port":80}]},{"ports":[{"port":81}]}]})");
  compiler.update({}, world.model);
  world.model.take_changes();
  const auto before = compiler.rules.values();
  world.policy("x/p", R"({"podSelector":{},"ingress":[{"ports":[{"port":80}]},{"ports":[{"port":82}]}]})");
  compiler.update(world.model.take_changes(), world.model);
  REQUIRE(before.size() == 2);
  CHECK(compiler.rules.find(before.begin()->first));
  CHECK_FALSE(compiler.rules.find(before.rbegin()->first));
}

TEST_CASE("a change touches only the rows that it concerns") {
  World world = nine();
  for (int i = 0; i < 200; ++i)
    world.ns(fmt::format("n{}", i))
        .pod(fmt::format("n{}/p", i), {fmt::format("10.1.{}.1", i)}, "app=p")
        .policy(fmt::format("n{}/own", i),
                R"({"podSelector":{},"ingress":[{"from":[{"podSelector":{}}],"ports":[{"port":80}]}]})");
  Compiler compiler;
  compiler.update({}, world.model);
  world.model.take_changes();
  compiler.clean();
  world.pod("n7/q", {"10.1.7.2"}, "app=q");
  compiler.update(world.model.take_changes(), world.model);
  CHECK(std::ranges::equal(compiler.subjects.dirty(), std::vector<PodKey>{{"n7", "q"}}));
  CHECK(std::ranges::equal(compiler.addresses.dirty(), std::vector<Ip>{ip("10.1.7.2")}));
  CHECK(compiler.verdicts.dirty().empty());
  CHECK(compiler.sets.dirty().empty());
  compiler.clean();
  world.policy("n8/own", R"({"podSelector":{},"ingress":[{"from":[{"podSelector":{}}],"ports":[{"port":81}]}]})");
  compiler.update(world.model.take_changes(), world.model);
  CHECK(compiler.subjects.dirty().empty());
  CHECK(compiler.addresses.dirty().empty());
  CHECK(compiler.sets.dirty().size() == 1);
  CHECK(compiler.verdicts.dirty().size() == 1);
}

TEST_CASE("ten thousand nested ranges of ports in one policy are one range") {
  std::string ports;
  for (int i = 1; i <= 10000; ++i)
    ports += fmt::format(R"({}{{"port":{},"endPort":{}}})", i == 1 ? "" : ",", i, 65535 - i);
  auto ask = with(fmt::format(R"({{"podSelector":{{}},"ingress":[{{"ports":[{}]}}]}})", ports));
  CHECK(ask.tables.ports.begin()->second.size() == 1);
  CHECK(ask("y/a", "x/a", 1) == "allow");
  CHECK(ask("y/a", "x/a", 65535) == "ingress denied");
}

TEST_CASE("an address that several Pods claim goes to the next when some of them leave at once") {
  World world;
  world.ns("x");
  for (std::string name : {"x/a", "x/b", "x/c"}) world.pod(name, {"10.0.0.1"});
  Compiler compiler;
  compiler.update({}, world.model);
  world.model.take_changes();
  CHECK(compiler.addresses.find(ip("10.0.0.1"))->pod == PodKey{"x", "a"});
  world.model.remove_pod({"x", "a"});
  world.model.remove_pod({"x", "b"});
  compiler.update(world.model.take_changes(), world.model);
  REQUIRE(compiler.addresses.find(ip("10.0.0.1")));
  CHECK(compiler.addresses.find(ip("10.0.0.1"))->pod == PodKey{"x", "c"});
}
