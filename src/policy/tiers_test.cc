// Admin -> NetworkPolicy -> Baseline -> open, as network-policy-api has it; numbers of the design's list.
#include <doctest/doctest.h>

#include "policy/policy_world.h"

using namespace causeway;
using namespace causeway::policy;

namespace {

struct Tiers {
  World world;
  Tiers() {
    world.ns("x").ns("y");
    world.pod("x/a", {"10.0.0.1"}, "app=a").pod("x/b", {"10.0.0.2"}, "app=b").pod("y/c", {"10.0.1.1"}, "app=c");
  }
  // Of ingress of all Pods: peers of namespace `from` ("": everybody), TCP port 0: all.
  static cluster::PolicyRule rule(Action action, std::string_view from = "", uint16_t port = 0) {
    cluster::PolicyRule rule{.action = action, .anybody = from.empty(), .any_port = port == 0};
    if (!from.empty())
      rule.pods.push_back({.namespaces = *kube::Selector::parse(fmt::format("kubernetes.io/metadata.name={}", from))});
    if (port) rule.ports.push_back({.protocol = Protocol::Tcp, .first = port, .last = port});
    return rule;
  }
  Tiers& policy(Tier tier, uint16_t priority, std::string_view name, std::vector<cluster::PolicyRule> ingress) {
    world.model.put(cluster::Policy{.key = {"", name},
                                    .tier = tier,
                                    .priority = priority,
                                    .concerns_ingress = true,
                                    .ingress = std::move(ingress)});
    return *this;
  }
  Tiers& isolate() {
    world.policy("x/own", R"({"podSelector":{},"ingress":[{"from":[{"podSelector":{}}]}]})");
    return *this;
  }
  std::string operator()(std::string_view from, std::string_view to, uint16_t port = 80) const {
    return reach(compile(world.model), world.model, from, to, port);
  }
};
constexpr auto kAdmin = Tier::Admin, kBaseline = Tier::Baseline;

}  // namespace

TEST_CASE("20: Admin comes before NetworkPolicies, in both directions of a verdict") {
  CHECK(Tiers().isolate().policy(kAdmin, 0, "open", {Tiers::rule(Action::Accept, "y")})("y/c", "x/a") == "allow");
  CHECK(Tiers().isolate().policy(kAdmin, 0, "shut", {Tiers::rule(Action::Deny, "x")})("x/b", "x/a") ==
        "ingress denied by ClusterNetworkPolicy shut ingress[0]");
}

TEST_CASE("20: the lesser priority is judged first, rules in their order, equal priorities by name") {
  CHECK(Tiers()
            .policy(kAdmin, 9, "a", {Tiers::rule(Action::Accept)})
            .policy(kAdmin, 1, "b", {Tiers::rule(Action::Deny)})("y/c", "x/a") ==
        "ingress denied by ClusterNetworkPolicy b ingress[0]");
  CHECK(Tiers()
            .policy(kAdmin, 5, "a", {Tiers::rule(Action::Accept)})
            .policy(kAdmin, 5, "b", {Tiers::rule(Action::Deny)})("y/c", "x/a") == "allow");
  const Tiers ordered =
      Tiers().policy(kAdmin, 0, "p", {Tiers::rule(Action::Accept, "y", 80), Tiers::rule(Action::Deny, "y")});
  CHECK(ordered("y/c", "x/a", 80) == "allow");
  CHECK(ordered("y/c", "x/a", 81) == "ingress denied by ClusterNetworkPolicy p ingress[1]");
  // The wider rule first: the narrower one is never reached.
  const Tiers wide =
      Tiers().policy(kAdmin, 0, "p", {Tiers::rule(Action::Deny, "", 80), Tiers::rule(Action::Accept, "y")});
  CHECK(wide("y/c", "x/a", 80) == "ingress denied by ClusterNetworkPolicy p ingress[0]");
  CHECK(wide("y/c", "x/a", 81) == "allow");
}

TEST_CASE("21: Pass skips the rest of its tier only, and no rule isolates by being there") {
  CHECK(Tiers().isolate().policy(kAdmin, 0, "p", {Tiers::rule(Action::Pass, "x"), Tiers::rule(Action::Deny)})(
            "x/b", "x/a") == "allow");
  CHECK(Tiers().isolate().policy(kAdmin, 0, "p", {Tiers::rule(Action::Pass, "y"), Tiers::rule(Action::Accept)})(
            "y/c", "x/a") == "ingress denied");
  CHECK(Tiers().policy(kAdmin, 0, "p", {Tiers::rule(Action::Accept, "x")})("y/c", "x/a") == "allow");
  CHECK(Tiers().policy(kBaseline, 0, "p", {Tiers::rule(Action::Pass, "y"), Tiers::rule(Action::Deny)})("y/c", "x/a") ==
        "allow");
}

TEST_CASE("20: Baseline is asked for what no NetworkPolicy isolates; isolation is final") {
  const Tiers baseline = Tiers().policy(kBaseline, 0, "p", {Tiers::rule(Action::Deny, "x")});
  CHECK(baseline("x/b", "x/a") == "ingress denied by ClusterNetworkPolicy p ingress[0]");
  CHECK(baseline("y/c", "x/a") == "allow");
  CHECK(Tiers().isolate().policy(kBaseline, 0, "p", {Tiers::rule(Action::Deny, "x")})("x/b", "x/a") == "allow");
  CHECK(Tiers().isolate().policy(kBaseline, 0, "p", {Tiers::rule(Action::Accept, "y")})("y/c", "x/a") ==
        "ingress denied");
}

TEST_CASE("23: nodes of an egress rule are the addresses of Nodes with these labels, as these come, change and go") {
  World world;
  world.ns("x").pod("x/a", {"10.0.0.1", "fd00::1"}).pod("x/b", {"10.0.0.2"});
  const auto node = [&](std::string name, std::string_view with, std::vector<Ip> addresses,
                        std::vector<Ip> others = {}) {
    world.model.put(cluster::Node{.name = name, .addresses = addresses, .others = others, .labels = labels(with)});
  };
  node("n1", "role=edge", {ip("192.0.2.1"), ip("2001:db8::1")}, {ip("203.0.113.1")});
  node("n2", "role=core", {ip("192.0.2.2")});
  world.policy("edge", R"({"tier":"Admin","priority":1,"subject":{"namespaces":{}},"egress":[
      {"action":"Accept","to":[{"nodes":{"matchLabels":{"role":"edge"}}}],
       "protocols":[{"tcp":{"destinationPort":{"number":443}}}]},
      {"action":"Deny","to":[{"nodes":{}},{"networks":["192.0.2.0/24"]}]}]})");
  Compiler compiler;
  const auto says = [&](std::string_view to, uint16_t port = 443, Family family = Family::V4) {
    const auto changes = world.model.take_changes();
    compiler.update(changes, world.model);
    const Tables is = compiler.tables();
    CHECK(render(is) == render(compile(world.model)));
    return reach(is, world.model, "x/a", to, port, Protocol::Tcp, family);
  };
  constexpr std::string_view kDenied = "egress denied by ClusterNetworkPolicy edge egress[1]";
  CHECK(says("192.0.2.1") == "allow");
  CHECK(says("192.0.2.1", 80) == kDenied);
  CHECK(says("2001:db8::1") == "allow");
  CHECK(says("2001:db8::1", 80) == kDenied);
  CHECK(says("203.0.113.1", 80) == kDenied);  // its external address
  CHECK(says("192.0.2.2") == kDenied);
  CHECK(says("192.0.2.3") == kDenied);  // by the network
  CHECK(says("203.0.113.2") == "allow");
  CHECK(says("x/b") == "allow");

  node("n2", "role=edge", {ip("192.0.2.2")});
  CHECK(says("192.0.2.2") == "allow");
  node("n1", "role=core", {ip("192.0.2.1")});
  CHECK(says("192.0.2.1") == kDenied);
  CHECK(says("203.0.113.1", 80) == "allow");  // nobody's any more
  node("n3", "role=edge", {ip("192.0.2.3")});
  CHECK(says("192.0.2.3") == "allow");
  world.model.remove_node("n3");
  CHECK(says("192.0.2.3") == kDenied);
  // Two that claim one address: of both.
  node("n4", "role=edge", {ip("192.0.2.1")});
  CHECK(says("192.0.2.1") == "allow");
  // A Pod's address that is a Node's too.
  node("n5", "role=core", {ip("10.0.0.2")});
  CHECK(says("x/b") == kDenied);
  world.model.remove(World::policy_key("edge"));
  CHECK(says("192.0.2.1", 80) == "allow");
  CHECK(compiler.blocks.rows().empty());
}

TEST_CASE("23: a Node's address counts inside a block with an exception, and in a list of many blocks") {
  World world;
  world.ns("x").pod("x/a", {"10.0.0.1"});
  world.model.put(cluster::Node{.name = "n1", .addresses = {ip("192.0.2.1")}});
  std::string networks = R"("192.0.2.0/24")";
  for (int i = 0; i < 24; ++i) networks += fmt::format(R"(,"198.51.{}.0/24")", i);
  world.policy("p", fmt::format(R"({{"tier":"Admin","priority":1,"subject":{{"namespaces":{{}}}},"egress":[
      {{"action":"Pass","to":[{{"nodes":{{}}}}],"protocols":[{{"tcp":{{"destinationPort":{{"number":80}}}}}}]}},
      {{"action":"Deny","to":[{{"networks":[{}]}}]}}]}})",
                                networks));
  const Tables tables = compile(world.model, {.block_list = 4});
  CHECK(reach(tables, world.model, "x/a", "192.0.2.1", 80) == "allow");
  CHECK(reach(tables, world.model, "x/a", "192.0.2.1", 81) == "egress denied by ClusterNetworkPolicy p egress[1]");
  CHECK(reach(tables, world.model, "x/a", "192.0.2.9", 80) == "egress denied by ClusterNetworkPolicy p egress[1]");
  // The same where the block comes last.
  Compiler compiler;
  const auto policy = world.model.policies().begin()->second;
  cluster::Policy first = *policy;
  first.egress.pop_back();
  world.model.put(first);
  compiler.update(world.model.take_changes(), world.model);
  world.model.put(*policy);
  compiler.update(world.model.take_changes(), world.model);
  CHECK(render(compiler.tables()) == render(compile(world.model)));
}
