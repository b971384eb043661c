#include "policy/explain.h"

#include <doctest/doctest.h>

#include "policy/policy_world.h"
#include "policy/reach.h"

using namespace causeway;
using namespace causeway::policy;

namespace {

// A shop: what the web reaches, and what it may be reached by.
World shop() {
  World world;
  world.ns("shop").ns("lab", "team=lab");
  world.pod("shop/web", {"10.0.0.1", "fd00::1"}, "app=web", {{"http", Protocol::Tcp, 8080}});
  world.pod("shop/api", {"10.0.0.2", "fd00::2"}, "app=api", {{"rest", Protocol::Tcp, 80}});
  world.pod("shop/db", {"10.0.0.3"}, "app=db");
  world.pod("lab/tool", {"10.0.1.1", "fd00:1::1"}, "app=tool");
  world.model.put(cluster::Node{.name = "n1", .addresses = {ip("192.0.2.1")}});
  world.policy("shop/api", R"({"podSelector":{"matchLabels":{"app":"api"}},"ingress":[
      {"from":[{"podSelector":{"matchLabels":{"app":"web"}}}],"ports":[{"port":"rest"}]},
      {"from":[{"ipBlock":{"cidr":"10.0.1.0/24"}}]}]})");
  return world;
}

std::string say(const World& world, std::string_view from, std::string_view to, std::string_view port) {
  auto a = find_party(world.model, from), b = find_party(world.model, to);
  if (!a) return a.error().message();
  if (!b) return b.error().message();
  auto number = parse_port(port, *b);
  if (!number) return number.error().message();
  auto answer = explain(world.model, compile(world.model), *a, *b, *number);
  return answer ? answer->text : answer.error().message();
}

std::string what_changes(const World& before, const World& after) {
  std::string out;
  for (const Change& change : changes(before.model, compile(before.model), after.model, compile(after.model)))
    out += to_string(change) + "\n";
  return out;
}

}  // namespace

TEST_CASE("an explanation names the Nodes of a rule, and whose address it is") {
  World world = shop();
  world.policy("edge", R"({"tier":"Admin","priority":1,"subject":{"namespaces":{}},"egress":[
      {"action":"Accept","to":[{"nodes":{"matchLabels":{"role":"edge"}}}]},{"action":"Deny","to":[{"nodes":{}}]}]})");
  const std::string denied =
      "shop/web -> 192.0.2.1 80/tcp: DENIED\n"
      "  egress of shop/web: DENIED: ClusterNetworkPolicy edge egress[1]\n"
      "    near: ClusterNetworkPolicy edge egress[0]: the port fits, the peer does not: it admits Nodes role=edge\n"
      "  192.0.2.1 is of Node n1: no policy judges it\n";
  CHECK(say(world, "shop/web", "192.0.2.1", "80") == denied);
  World edge = shop();
  edge.model.put(*world.model.policies().begin()->second);
  edge.model.put(cluster::Node{.name = "n1", .addresses = {ip("192.0.2.1")}, .labels = labels("role=edge")});
  CHECK(say(edge, "shop/web", "192.0.2.1", "80") ==
        "shop/web -> 192.0.2.1 80/tcp: allowed\n"
        "  egress of shop/web: allowed: ClusterNetworkPolicy edge egress[0]\n"
        "  192.0.2.1 is of Node n1: no policy judges it\n");
  CHECK(what_changes(world, edge) ==
        "opens  lab/tool -> Node n1 (192.0.2.1): all\n"
        "opens  shop/api -> Node n1 (192.0.2.1): all\n"
        "opens  shop/db -> Node n1 (192.0.2.1): all\n"
        "opens  shop/web -> Node n1 (192.0.2.1): all\n");
}

TEST_CASE("an explanation names the rule that decides, and those that nearly fit") {
  const World world = shop();
  CHECK(say(world, "shop/web", "shop/api", "rest") ==
        "shop/web -> shop/api 80/tcp: allowed\n"
        "  egress of shop/web: allowed: no policy selects it for egress\n"
        "  ingress of shop/api: allowed: NetworkPolicy shop/api ingress[0]\n");
  CHECK(say(world, "shop/web", "shop/api", "81") ==
        "shop/web -> shop/api 81/tcp: DENIED\n"
        "  egress of shop/web: allowed: no policy selects it for egress\n"
        "  ingress of shop/api: DENIED: isolated by NetworkPolicy shop/api, and no rule admits it\n"
        "    near: NetworkPolicy shop/api ingress[0]: the peer fits, the port does not: it admits port \"rest\"/tcp\n"
        "    near: NetworkPolicy shop/api ingress[1]: the port fits, the peer does not: it admits 10.0.1.0/24\n");
}

TEST_CASE("families that differ are told apart") {
  const World world = shop();
  CHECK(say(world, "lab/tool", "shop/api", "22")
            .starts_with("lab/tool -> shop/api 22/tcp (IPv4): allowed\n"
                         "  egress of lab/tool: allowed: no policy selects it for egress\n"
                         "  ingress of shop/api: allowed: NetworkPolicy shop/api ingress[1]\n"
                         "lab/tool -> shop/api 22/tcp (IPv6): DENIED\n"));
  CHECK(say(world, "fd00::9", "shop/db", "22") == "fd00::9 and shop/db have no addresses of one family");
}

TEST_CASE("14, 24: a Pod reaches itself, and a node its own Pods") {
  const World world = shop();
  CHECK(say(world, "shop/api", "shop/api", "9") ==
        "shop/api -> shop/api 9/tcp: allowed\n  no policy is asked: a Pod always reaches itself\n");
  CHECK(say(world, "192.0.2.1", "shop/api", "9") ==
        "192.0.2.1 -> shop/api 9/tcp: allowed\n"
        "  no policy is asked: a node always reaches its own Pods, and 192.0.2.1 is of node n1\n");
  CHECK(say(world, "192.0.2.2", "shop/api", "9").starts_with("192.0.2.2 -> shop/api 9/tcp: DENIED"));
}

TEST_CASE("a question that cannot be is refused with what could be meant") {
  World world = shop();
  world.model.put(cluster::Service{.key = {"shop", "api"}, .cluster_ips = {ip("10.96.0.9")}});
  CHECK(say(world, "shop/wep", "shop/api", "80") == "there is no Pod shop/wep; there is shop/api, shop/db, shop/web");
  CHECK(say(world, "web", "shop/api", "80") == "there is no Pod default/web; there is shop/web");
  CHECK(say(world, "shop/web", "10.96.0.9", "80").starts_with("10.96.0.9 is the address of Service shop/api: "));
  CHECK(say(world, "shop/web", "shop/api", "80/icmp") == "\"icmp\" is no protocol: tcp, udp or sctp");
  CHECK(say(world, "shop/web", "shop/api", "65536") == "65536 is no port: 1-65535");
  CHECK(say(world, "shop/web", "shop/api", "99999999999") ==
        "\"99999999999\" is no port: 1-65535, or a name that the Pod has");
  CHECK(say(world, "shop/web", "shop/api", "8x") == "\"8x\" is no port: 1-65535, or a name that the Pod has");
  CHECK(say(world, "shop/web", "shop/api", "rest/udp") == "shop/api has no port named \"rest\"; it has rest/tcp");
  CHECK(say(world, "", "shop/api", "80") == "no Pod and no address is named");
}

TEST_CASE("openings are all that a pair may use, in ranges") {
  World world = shop();
  world.policy("shop/web", R"({"podSelector":{"matchLabels":{"app":"web"}},"policyTypes":["Egress"],"egress":[
      {"ports":[{"port":80,"endPort":90},{"port":53,"protocol":"UDP"}]}]})");
  const Tables tables = compile(world.model);
  const auto open = [&](std::string_view from, std::string_view to) {
    return to_string(
        openings(world.model, tables, *find_party(world.model, from), *find_party(world.model, to), Family::V4));
  };
  CHECK(open("shop/db", "shop/web") == "all");
  CHECK(open("shop/web", "shop/db") == "80-90/tcp 53/udp");
  CHECK(open("shop/web", "shop/api") == "80/tcp");
  CHECK(open("shop/db", "shop/api") == "-");
}

TEST_CASE("a matrix cell says what all pairs have, or that they differ") {
  const World world = shop();
  const Tables tables = compile(world.model);
  Reach reach(world.model, tables);
  const auto groups = group_pods(world.model, {Grouping::By::Namespace, ""}, "");
  REQUIRE(groups.size() == 2);
  CHECK(cell(reach, groups[0], groups[1], std::nullopt) == "some");  // lab -> shop: IPv6 to the api is denied
  CHECK(cell(reach, groups[1], groups[0], std::nullopt) == "all");
  CHECK(cell(reach, groups[0], groups[0], std::nullopt) == "");  // one Pod
  const auto labels = group_pods(world.model, {Grouping::By::Label, "team"}, "");
  REQUIRE(labels.size() == 1);
  CHECK(labels[0].name == "team: none");
}

TEST_CASE("a change tells what it opens and closes, Pods that are treated alike once") {
  const World before = shop();
  World after = shop();
  CHECK(what_changes(before, after) == "");
  after.policy("shop/api", R"({"podSelector":{"matchLabels":{"app":"api"}},"ingress":[
      {"from":[{"podSelector":{"matchLabels":{"app":"web"}}}],"ports":[{"port":"rest"},{"port":443}]},
      {"from":[{"ipBlock":{"cidr":"192.0.2.0/24"}}],"ports":[{"port":443}]}]})");
  CHECK(what_changes(before, after) ==
        "opens  outside 192.0.2.0/24 -> shop/api: 443/tcp\n"
        "opens  shop/web -> shop/api: 443/tcp\n"
        "closes lab/tool -> shop/api: all (IPv4)\n"
        "closes outside 10.0.1.0/24 -> shop/api: all\n");
}

TEST_CASE("an expectation that asks for nothing is an error, one that fails says why") {
  const World world = shop();
  const Tables tables = compile(world.model);
  const auto party = [&](std::string_view name) { return *find_party(world.model, name); };
  CHECK_FALSE(check(world.model, tables,
                    {.name = "self", .from = {party("shop/db")}, .to = {party("shop/db")}, .ports = {"80"}}));
  auto outcome = check(
      world.model, tables,
      {.name = "a <b>", .from = {party("shop/web"), party("shop/db")}, .to = {party("shop/api")}, .ports = {"80"}});
  REQUIRE(outcome);
  CHECK(outcome->checks == 3);
  CHECK(outcome->failures ==
        std::vector<std::string>{
            "shop/db -> shop/api 80/tcp (IPv4): expected to be allowed, denied by ingress isolated by shop/api"});
  CHECK(junit({*outcome, {.name = "fine", .checks = 1}}) ==
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<testsuites>\n"
        "  <testsuite name=\"causeway policy test\" tests=\"2\" failures=\"1\">\n"
        "    <testcase classname=\"policy\" name=\"a &lt;b&gt;\" time=\"0\">\n"
        "      <failure message=\"1 of 3 connections\">shop/db -&gt; shop/api 80/tcp (IPv4): expected to be allowed, "
        "denied by "
        "ingress isolated by shop/api\n"
        "</failure>\n"
        "    </testcase>\n"
        "    <testcase classname=\"policy\" name=\"fine\" time=\"0\"/>\n"
        "  </testsuite>\n"
        "</testsuites>\n");
}
