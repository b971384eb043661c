// ClusterNetworkPolicies by packets: tiers, priorities, Pass, ports by every protocol, networks, and what a change does
// to open flows.
#include <doctest/doctest.h>

#include "policed.h"

namespace causeway::test {

namespace {

constexpr std::string_view kDenyIn = R"({"podSelector":{},"policyTypes":["Ingress"]})";

// Of Pods of namespace x, one direction; namespaces are known by their label team.
std::string cnp(std::string_view tier, int priority, std::string_view direction, std::string_view rules) {
  return fmt::format(
      R"({{"tier":"{}","priority":{},"subject":{{"namespaces":{{"matchLabels":{{"team":"x"}}}}}},"{}":[{}]}})", tier,
      priority, direction, rules);
}
std::string from(std::string_view action, std::string_view team, std::string_view protocols = "") {
  return fmt::format(R"({{"action":"{}","from":[{{"namespaces":{{"matchLabels":{{"team":"{}"}}}}}}]{}}})", action, team,
                     protocols.empty() ? "" : fmt::format(R"(,"protocols":[{}])", protocols));
}
std::string to(std::string_view action, std::string_view peers, std::string_view protocols = "") {
  return fmt::format(R"({{"action":"{}","to":[{}]{}}})", action, peers,
                     protocols.empty() ? "" : fmt::format(R"(,"protocols":[{}])", protocols));
}

}  // namespace

TEST_CASE("Admin before NetworkPolicies, Baseline after them, Pass between; the lesser priority first") {
  Policed net;
  const auto asked = [&](Family family) {
    return net.ask("y/c", "x/a", family, 80) + " " + net.ask("x/b", "x/a", family, 80);
  };
  for (Family family : kFamilies) {
    CAPTURE(to_string(family));
    CHECK(asked(family) == "allow allow");
    net.policy("base", cnp("Baseline", 5, "ingress", from("Deny", "y")));
    CHECK(asked(family) == "ingress allow");
    net.policy("x/own",
               R"({"podSelector":{},"ingress":[{"from":[{"namespaceSelector":{"matchLabels":{"team":"y"}}}]}]})");
    CHECK(asked(family) == "allow ingress");  // isolation is final: Baseline is not asked
    net.policy("admin", cnp("Admin", 10, "ingress", from("Deny", "y") + "," + from("Accept", "x")));
    CHECK(asked(family) == "ingress allow");
    net.policy("before", cnp("Admin", 9, "ingress", from("Pass", "y") + "," + from("Pass", "x")));
    CHECK(asked(family) == "allow ingress");
    net.policy("before", cnp("Admin", 11, "ingress", from("Pass", "y") + "," + from("Pass", "x")));
    CHECK(asked(family) == "ingress allow");
    for (const auto name : {"before", "admin", "x/own", "base"}) net.remove(name);
  }
  CHECK(net.differences() == "");
}

TEST_CASE("protocols: numbers and ranges of TCP, UDP and SCTP, and a name of whatever protocol; without, ICMP too") {
  Policed net;
  net.policy(
      "ports",
      cnp("Admin", 1, "ingress",
          from("Accept", "y",
               R"({"tcp":{"destinationPort":{"number":80}}},{"udp":{"destinationPort":{"range":{"start":90,"end":99}}}},
                                  {"sctp":{"destinationPort":{"number":9003}}},{"destinationNamedPort":"dns"})") +
              "," + from("Deny", "y")));
  for (Family family : kFamilies) {
    CAPTURE(to_string(family));
    const auto asked = [&](uint16_t port, std::optional<policy::Protocol> protocol) {
      return net.ask("y/c", "x/a", family, port, protocol);
    };
    CHECK(asked(80, kTcp) == "allow");
    CHECK(asked(80, kUdp) == "ingress");
    CHECK(asked(81, kTcp) == "ingress");
    CHECK(asked(90, kUdp) == "allow");
    CHECK(asked(99, kUdp) == "allow");
    CHECK(asked(100, kUdp) == "ingress");
    CHECK(asked(9003, kSctp) == "allow");
    CHECK(asked(9005, kSctp) == "ingress");
    CHECK(asked(53, kUdp) == "allow");
    CHECK(asked(53, kTcp) == "ingress");
    CHECK(asked(0, kIcmp) == "ingress");
  }
}

TEST_CASE("networks match Pods, nodes and strangers of every protocol; Pods of a Pass rule before them go on") {
  Policed net;
  net.policy("quiet", cnp("Admin", 1, "egress",
                          to("Pass", R"({"namespaces":{"matchLabels":{"team":"x"}}})") + "," +
                              to("Accept", R"({"pods":{"podSelector":{"matchLabels":{"pod":"c"}}}})",
                                 R"({"tcp":{"destinationPort":{"number":80}}},{"destinationNamedPort":"dns"})") +
                              "," + to("Deny", R"({"networks":["0.0.0.0/0","::/0"]})")));
  for (Family family : kFamilies) {
    CAPTURE(to_string(family));
    CHECK(net.ask("x/a", "x/b", family, 80) == "allow");
    CHECK(net.ask("x/a", "y/c", family, 80) == "allow");
    CHECK(net.ask("x/a", "y/c", family, 53, kUdp) == "allow");
    CHECK(net.ask("x/a", "y/d", family, 53, kUdp) == "egress");
    CHECK(net.ask("x/a", "y/c", family, 81) == "egress");
    CHECK(net.ask("x/a", "y/d", family, 0, kIcmp) == "egress");
    CHECK(net.ask("x/a", "y/d", family, 9003, kSctp) == "egress");
    CHECK(net.ask(net.pod("x/a").ns, net.world.outside, net.world.outside_ip(family), 80) == "egress");
    CHECK(net.ask("y/c", "y/d", family, 80) == "allow");  // no subject
    CHECK(net.ask("y/c", "x/a", family, 80) == "allow");  // its answers go out
  }
}

TEST_CASE("a change of priority cuts an open flow with its next packet, deletion gives it back") {
  Policed net;
  net.policy("deny", cnp("Admin", 20, "ingress", from("Deny", "y")));
  net.policy("accept", cnp("Admin", 10, "ingress", from("Accept", "y")));
  for (Family family : kFamilies) {
    CAPTURE(to_string(family));
    const Ip client_ip = net.pod("y/c").ip(family), server_ip = net.pod("x/a").ip(family);
    const Fd client = udp_socket(net.pod("y/c").ns, client_ip, 45000);
    const Fd server = udp_socket(net.pod("x/a").ns, server_ip, 5000);
    const auto heard = [&] {
      return send_udp(client, server_ip, 5000, "ping") && receive_udp(server, std::chrono::milliseconds(300));
    };
    CHECK(heard());
    net.policy("accept", cnp("Admin", 30, "ingress", from("Accept", "y")));
    const uint64_t before = net.drops(abi::DROP_POLICY_CUT);
    CHECK_FALSE(heard());
    CHECK(net.drops(abi::DROP_POLICY_CUT) > before);
    net.remove("deny");
    CHECK(heard());
    net.policy("deny", cnp("Admin", 20, "ingress", from("Deny", "y")));
    CHECK_FALSE(heard());
    net.policy("accept", cnp("Admin", 10, "ingress", from("Accept", "y")));
    CHECK(heard());
  }
}

TEST_CASE("without the kind nothing is left: a NetworkPolicy judges alone again") {
  Policed net;
  net.policy("x/own", kDenyIn);
  net.policy("admin", cnp("Admin", 1, "ingress", from("Accept", "y")));
  CHECK(net.ask("y/c", "x/a", Family::V4, 80) == "allow");
  net.remove("admin");
  CHECK(net.ask("y/c", "x/a", Family::V4, 80) == "ingress");
  net.restart(net.world.a);
  CHECK(net.differences() == "");
}

}  // namespace causeway::test
