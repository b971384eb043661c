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
