// What NetworkPolicies say, by first packets: between Pods of one node and of two, the node, and the outside.
#include <doctest/doctest.h>

#include "policed.h"

namespace causeway::test {

namespace {

constexpr std::string_view kDenyIn = R"({"podSelector":{},"policyTypes":["Ingress"]})";
constexpr std::string_view kDenyAll = R"({"podSelector":{},"policyTypes":["Ingress","Egress"]})";

}  // namespace

TEST_CASE("a Pod that no policy selects is open, one whose policies are not known gets nothing") {
  Policed net;
  for (Family family : kFamilies) {
    CAPTURE(to_string(family));
    CHECK(net.ask("x/a", "x/b", family, 80) == "allow");
    CHECK(net.ask("y/c", "x/a", family, 80, kUdp) == "allow");
    CHECK(net.ask("y/c", "x/a", family, 0, kIcmp) == "allow");
  }
  CHECK(net.differences() == "");
  // What judges it is for another device: the Pod that had the address before.
  auto& subjects = net.world.a.plane->policy().subjects;
  for (const auto& [key, subject] : subjects.dump().value()) {
    auto other = subject;
    other.ifindex += 1000;
    CHECK(subjects.put(key, other));
  }
  for (Family family : kFamilies) {
    CHECK(net.ask("y/c", "x/a", family, 80, kUdp) == "unknown");
    CHECK(net.ask("x/a", "y/c", family, 80, kUdp) == "unknown");
    CHECK(net.ask(net.world.a.ns, net.pod("x/a").ns, net.pod("x/a").ip(family), 80, kUdp) == "unknown");
  }
}

TEST_CASE("deny-all: nothing in or out but what the Pod's own node opens, by every protocol") {
  for (auto fabric : {Fabric::Native, Fabric::Overlay4}) {
    Policed net({.fabric = fabric});
    net.policy("x/deny", kDenyAll);
    for (Family family : kFamilies) {
      CAPTURE(to_string(family));
      for (std::optional<policy::Protocol> protocol :
           {std::optional(kTcp), std::optional(kUdp), std::optional(kSctp), kIcmp}) {
        CAPTURE(protocol ? to_string(*protocol) : "icmp");
        CHECK(net.ask("x/b", "x/a", family, 80, protocol) == "egress");
        CHECK(net.ask("y/c", "x/a", family, 80, protocol) == "ingress");
        CHECK(net.ask("x/a", "y/c", family, 80, protocol) == "egress");
        CHECK(net.ask("y/c", "y/d", family, 80, protocol) == "allow");
        CHECK(net.ask(net.world.a.ns, net.pod("x/a").ns, net.pod("x/a").ip(family), 80, protocol) == "allow");
        CHECK(net.ask(net.world.b.ns, net.pod("x/a").ns, net.pod("x/a").ip(family), 80, protocol) == "ingress");
        CHECK(net.ask(net.pod("x/a").ns, net.world.outside, net.world.outside_ip(family), 80, protocol) == "egress");
      }
    }
    CHECK(net.differences() == "");
  }
}

TEST_CASE("one direction isolates that direction only, and replies pass") {
  Policed net;
  net.policy("x/in", kDenyIn);
  net.policy("y/out", R"({"podSelector":{"matchLabels":{"pod":"c"}},"policyTypes":["Egress"]})");
  for (Family family : kFamilies) {
    CAPTURE(to_string(family));
    CHECK(net.ask("x/a", "y/d", family, 80) == "allow");  // TCP and ICMP: their answers come in
    CHECK(net.ask("x/a", "y/d", family, 0, kIcmp) == "allow");
    CHECK(net.ask("y/d", "x/a", family, 80) == "ingress");
    CHECK(net.ask("y/d", "y/c", family, 80) == "allow");  // its answers go out
    CHECK(net.ask("y/d", "y/c", family, 0, kIcmp) == "allow");
    CHECK(net.ask("y/c", "y/d", family, 80) == "egress");
    CHECK(net.ask("y/c", "x/a", family, 80) == "egress");
    CHECK(net.ask(net.pod("x/a").ns, net.world.outside, net.world.outside_ip(family), 80) == "allow");
    CHECK(net.ask(net.world.b.ns, net.pod("y/c").ns, net.pod("y/c").ip(family), 80) == "allow");
  }
}

TEST_CASE("peers by labels of Pods and of namespaces") {
  Policed net;
  net.policy("x/in", R"({"podSelector":{"matchLabels":{"pod":"a"}},"ingress":[
      {"from":[{"podSelector":{"matchLabels":{"pod":"b"}}}]},
      {"from":[{"namespaceSelector":{"matchLabels":{"team":"y"}},"podSelector":{"matchLabels":{"pod":"d"}}}]}]})");
  for (Family family : kFamilies) {
    CAPTURE(to_string(family));
    CHECK(net.ask("x/b", "x/a", family, 80) == "allow");
    CHECK(net.ask("y/d", "x/a", family, 80) == "allow");
    CHECK(net.ask("y/c", "x/a", family, 80) == "ingress");
    CHECK(net.ask("y/d", "x/b", family, 80) == "allow");
    CHECK(net.ask(net.world.b.ns, net.pod("x/a").ns, net.pod("x/a").ip(family), 80) == "ingress");
  }
  net.label("y/c", "pod=d");
  net.label("x/b", "pod=z");
  CHECK(net.ask("y/c", "x/a", Family::V4, 80) == "allow");
  CHECK(net.ask("x/b", "x/a", Family::V4, 80) == "ingress");
  net.label_namespace("y", "team=other");
  CHECK(net.ask("y/c", "x/a", Family::V4, 80) == "ingress");
  net.remove("x/in");
  CHECK(net.ask("y/c", "x/a", Family::V4, 80) == "allow");
  CHECK(net.differences() == "");
}

TEST_CASE("blocks of addresses and what they except, of Pods, nodes and the outside, in both directions") {
  Policed net;
  net.policy("x/in", R"({"podSelector":{"matchLabels":{"pod":"a"}},"policyTypes":["Ingress","Egress"],
      "ingress":[{"from":[{"ipBlock":{"cidr":"10.244.0.0/16","except":["10.244.3.0/24"]}},
                          {"ipBlock":{"cidr":"fd00:10::/32","except":["fd00:10:3::/64"]}}]},
                 {"from":[{"ipBlock":{"cidr":"192.0.2.12/32"}},{"ipBlock":{"cidr":"2001:db8:1::12/128"}}]}],
      "egress":[{"to":[{"ipBlock":{"cidr":"203.0.113.0/24"}},{"ipBlock":{"cidr":"2001:db8:f::/64"}}]}]})");
  for (Family family : kFamilies) {
    CAPTURE(to_string(family));
    CHECK(net.ask("y/c", "x/a", family, 80) == "allow");
    CHECK(net.ask("y/d", "x/a", family, 80) == "ingress");  // node c is 10.244.3
    CHECK(net.ask(net.world.b.ns, net.pod("x/a").ns, net.pod("x/a").ip(family), 80) == "allow");
    CHECK(net.ask(net.pod("x/a").ns, net.world.outside, net.world.outside_ip(family), 80) == "allow");
    CHECK(net.ask("x/a", "y/c", family, 80) == "egress");
  }
}

TEST_CASE("ports: by number, by range, by the destination's name, and no other protocol's") {
  Policed net;
  net.policy("x/in", R"({"podSelector":{"matchLabels":{"pod":"a"}},"ingress":[
      {"ports":[{"port":8000,"endPort":8999},{"port":"web"},{"port":"dns","protocol":"UDP"},{"port":7,"protocol":"SCTP"}]}]})");
  net.policy("y/out", R"({"podSelector":{"matchLabels":{"pod":"c"}},"policyTypes":["Egress"],"egress":[
      {"to":[{"namespaceSelector":{}}],"ports":[{"port":"web"}]}]})");
  for (Family family : kFamilies) {
    CAPTURE(to_string(family));
    for (uint16_t port : {uint16_t{80}, uint16_t{8000}, uint16_t{8511}, uint16_t{8999}})
      CHECK(net.ask("x/b", "x/a", family, port) == "allow");
    for (uint16_t port : {uint16_t{81}, uint16_t{7999}, uint16_t{9000}, uint16_t{53}, uint16_t{7}})
      CHECK(net.ask("x/b", "x/a", family, port) == "ingress");
    CHECK(net.ask("x/b", "x/a", family, 53, kUdp) == "allow");
    CHECK(net.ask("x/b", "x/a", family, 80, kUdp) == "ingress");
    CHECK(net.ask("x/b", "x/a", family, 7, kSctp) == "allow");
    CHECK(net.ask("x/b", "x/a", family, 80, kSctp) == "ingress");
    CHECK(net.ask("x/b", "x/a", family, 0, kIcmp) == "ingress");
    CHECK(net.ask("y/c", "y/d", family, 80) == "allow");
    CHECK(net.ask("y/c", "y/d", family, 81) == "egress");
    CHECK(net.ask(net.pod("y/c").ns, net.world.outside, net.world.outside_ip(family), 80) == "egress");
  }
  // Ports that are cut anew: the same atoms mean others.
  net.policy("x/in", R"({"podSelector":{"matchLabels":{"pod":"a"}},"ingress":[{"ports":[{"port":81}]}]})");
  CHECK(net.ask("x/b", "x/a", Family::V4, 81) == "allow");
  CHECK(net.ask("x/b", "x/a", Family::V4, 80) == "ingress");
  CHECK(net.differences() == "");
}

}  // namespace causeway::test
