// Policies and Services: judged is the endpoint, with the client's own address and never the Service's.
#include <arpa/inet.h>
#include <doctest/doctest.h>

#include "balancer.h"
#include "datapath/rows.h"
#include "policed.h"

namespace causeway::test {

namespace {

constexpr std::string_view kToC =
    R"({"podSelector":{"matchLabels":{"pod":"a"}},"policyTypes":["Ingress","Egress"],"egress":[{"to":[
        {"namespaceSelector":{"matchLabels":{"team":"y"}},"podSelector":{"matchLabels":{"pod":"c"}}}],
        "ports":[{"port":80}]}]})";

}  // namespace

TEST_CASE("through a ClusterIP the client's egress and the endpoint's ingress see each other") {
  for (auto fabric : {Fabric::Native, Fabric::Overlay4}) {
    Policed net({.fabric = fabric, .services = true});
    for (Family family : kFamilies) {
      CAPTURE(to_string(family));
      Balancer balancer(net.world.a);
      const uint32_t far = family == Family::V4 ? 1 : 3, near = far + 1;
      balancer.endpoints(far, {{net.pod("y/c").ip(family), 80}});
      balancer.serve(far, cluster_ip(family), 8080);
      balancer.endpoints(near, {{net.pod("x/b").ip(family), 80}});
      balancer.serve(near, cluster_ip(family, 11), 8080);
      const auto talk = [&](std::string_view from, std::string_view to, int number) {
        return talk_tcp(net.pod(from).ns, net.pod(to).ns, cluster_ip(family, number), 8080, 1, 0, 80).error;
      };
      REQUIRE(net.world.a.plane->read_events([](const abi::flow_event&) {}));
      CHECK(talk("x/a", "y/c", 10) == "");
      CHECK(talk("x/a", "x/b", 11) == "");
      // No policy judges these; they are told with their endpoints.
      std::string told;
      REQUIRE(net.world.a.plane->read_events([&](const abi::flow_event& event) {
        if (event.verdict == abi::FLOW_ALLOWED)
          told += fmt::format("{}:{}\n", datapath::from_abi(event.dst), ntohs(event.dport));
      }));
      CHECK(told == fmt::format("{}:80\n{}:80\n", net.pod("y/c").ip(family), net.pod("x/b").ip(family)));
      net.policy("x/out", kToC);
      net.policy("y/in", R"({"podSelector":{},"ingress":[{"from":[{"ipBlock":{"cidr":"10.244.1.0/24"}},
          {"ipBlock":{"cidr":"fd00:10:1::/64"}}],"ports":[{"port":80}]}]})");
      CHECK(talk("x/a", "y/c", 10) == "");
      CHECK(talk("x/b", "y/c", 10) == "");
      uint64_t before = net.drops(abi::DROP_POLICY_EGRESS);
      CHECK(talk("x/a", "x/b", 11) != "");
      CHECK(net.drops(abi::DROP_POLICY_EGRESS) > before);
      net.policy("x/in", R"({"podSelector":{"matchLabels":{"pod":"b"}},"ingress":[{"ports":[{"port":8080}]}]})");
      net.remove("x/out");
      before = net.drops(abi::DROP_POLICY_INGRESS);
      CHECK(talk("x/a", "x/b", 11) != "");  // 8080 is the Service's, 80 the Pod's
      CHECK(net.drops(abi::DROP_POLICY_INGRESS) > before);
      net.policy("x/in", R"({"podSelector":{"matchLabels":{"pod":"b"}},"ingress":[{"ports":[{"port":80}]}]})");
      CHECK(talk("x/a", "x/b", 11) == "");
      for (const char* name : {"x/in", "y/in"}) net.remove(name);
    }
  }
}

TEST_CASE("a client from outside is judged by its own address, also where the endpoint sees the node's") {
  for (bool masquerade : {true, false}) {
    CAPTURE(masquerade);
    Policed net({.services = true});
    publish(net.world, net.world.a);
    for (Family family : kFamilies) {
      CAPTURE(to_string(family));
      Balancer balancer(net.world.a);
      const uint32_t id = family == Family::V4 ? 1 : 2;
      balancer.endpoints(id, {{net.pod("x/a").ip(family), 80}});
      balancer.serve(id, public_ip(family), 8080, IPPROTO_TCP, load_balancer(masquerade));
      const auto talk = [&] {
        return talk_tcp(net.world.outside, net.pod("x/a").ns, public_ip(family), 8080, 1, 0, 80).error;
      };
      net.policy("x/in", R"({"podSelector":{},"policyTypes":["Ingress","Egress"],"ingress":[{"from":[
          {"ipBlock":{"cidr":"203.0.113.0/24"}},{"ipBlock":{"cidr":"2001:db8:f::/64"}}]}]})");
      CHECK(talk() == "");
      net.policy("x/in", R"({"podSelector":{},"policyTypes":["Ingress","Egress"],"ingress":[{"from":[
          {"ipBlock":{"cidr":"192.0.2.0/24"}},{"ipBlock":{"cidr":"2001:db8:1::/64"}}]}]})");
      const uint64_t before = net.drops(abi::DROP_POLICY_INGRESS);
      CHECK(talk() != "");
      CHECK(net.drops(abi::DROP_POLICY_INGRESS) > before);
    }
  }
}

}  // namespace causeway::test
