// What the kernel tells of flows that policies judge: once, with the rule, and never more than it may.
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <thread>

#include "address.h"
#include "policed.h"

namespace causeway::test {

namespace {

constexpr std::string_view kOnlyB =
    R"({"podSelector":{"matchLabels":{"pod":"a"}},"ingress":[{"from":[{"podSelector":{"matchLabels":{"pod":"b"}}}]}]})";
constexpr std::string_view kEverybody = R"({"podSelector":{"matchLabels":{"pod":"a"}},"ingress":[{}]})";

std::string name_of(Policed& net, const Ip& ip) {
  for (std::string_view name : {"x/a", "x/b", "y/c", "y/d"})
    for (Family family : kFamilies)
      if (net.pod(name).ip(family) == ip) return std::string(name);
  return ip.is_v4() ? "4" : "6";
}

// "allowed y/c > x/a 80 NetworkPolicy x/in ingress[0]", one line each, without what is of other ports.
std::string told(Policed& net, Node& node, uint16_t port) {
  std::string out;
  const policy::BpfApplier& applier = net.applier(node);
  REQUIRE(node.plane->read_events([&](const abi::flow_event& event) {
    const policy::Seen seen = policy::seen(event, applier.bank(), WallTime());
    if (seen.target_port != port) return;
    const policy::Because because = policy::because(applier.desired().rules, seen);
    out +=
        fmt::format("{}{}{}{} {} > {} {} {} {}\n", to_string(seen.fate), seen.denied ? " by " : "",
                    seen.denied ? to_string(*seen.denied) : "", seen.from_node ? " (node)" : "",
                    name_of(net, seen.source), name_of(net, seen.target), seen.protocol, because.policy, because.rule);
  }));
  return out;
}

uint64_t lost(Node& node) { return node.plane->counters().value().at(abi::COUNT_EVENT_LOST).packets; }

}  // namespace

TEST_CASE("a flow is told once with the rule that admits it, and a denied one with who isolates") {
  Policed net;
  net.policy("x/in", kOnlyB);
  for (Family family : kFamilies) {
    CAPTURE(to_string(family));
    told(net, net.world.a, 0);
    CHECK(net.ask("x/b", "x/a", family, 7001, kUdp) == "allow");
    CHECK(told(net, net.world.a, 7001) == "allowed x/b > x/a 17 NetworkPolicy x/in ingress[0]\n");
    CHECK(net.ask("y/c", "x/a", family, 7002) == "ingress");
    CHECK(told(net, net.world.a, 7002) == "dropped by ingress y/c > x/a 6 NetworkPolicy x/in \n");
    CHECK(net.ask("y/c", "x/a", family, 7003, kSctp) == "ingress");
    CHECK(told(net, net.world.a, 7003) == "dropped by ingress y/c > x/a 132 NetworkPolicy x/in \n");
  }
}

TEST_CASE("a TCP connection of Pods that no policy selects is told at both nodes with its first packet, and no other") {
  Policed net;
  net.policy("x/in", kOnlyB);
  for (Family family : kFamilies) {
    CAPTURE(to_string(family));
    told(net, net.world.a, 0);
    CHECK(net.ask("x/b", "y/c", family, 7004) == "allow");
    for (Node* node : {&net.world.a, &net.world.b}) CHECK(told(net, *node, 7004) == "allowed x/b > y/c 6  \n");
    {
      Fd listener = tcp_listener(net.pod("y/c").ns, net.pod("y/c").ip(family), 7005);
      Fd client = tcp_connect(net.pod("x/b").ns, net.pod("y/c").ip(family), 7005);
      Fd server(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      for (int i = 0; i < 20; ++i) {
        char byte = 'x';
        REQUIRE(::send(i % 2 ? client.get() : server.get(), &byte, 1, 0) == 1);
        REQUIRE(::recv(i % 2 ? server.get() : client.get(), &byte, 1, 0) == 1);
      }
    }
    CHECK(told(net, net.world.a, 7005) == "allowed x/b > y/c 6  \n");
    // What begins by other protocols cannot be told from what goes on; nor does a node's probe say anything.
    CHECK(net.ask("x/b", "y/c", family, 7006, kUdp) == "allow");
    CHECK(told(net, net.world.a, 7006) == "");
    CHECK(net.ask(net.world.a.ns, net.pod("x/b").ns, net.pod("x/b").ip(family), 7007) == "allow");
    CHECK(told(net, net.world.a, 7007) == "");
  }
}

TEST_CASE("what a Pod may not send is told at its own node, and what the node opens names the node") {
  Policed net;
  net.policy("x/out", R"({"podSelector":{"matchLabels":{"pod":"a"}},"policyTypes":["Egress"],"egress":[
      {"to":[{"namespaceSelector":{"matchLabels":{"team":"y"}}}],"ports":[{"port":7011}]}]})");
  for (Family family : kFamilies) {
    CAPTURE(to_string(family));
    told(net, net.world.a, 0);
    CHECK(net.ask("x/a", "y/c", family, 7010) == "egress");
    CHECK(told(net, net.world.a, 7010) == "dropped by egress x/a > y/c 6 NetworkPolicy x/out \n");
    CHECK(net.ask("x/a", "y/c", family, 7011) == "allow");
    CHECK(told(net, net.world.a, 7011).starts_with("allowed x/a > y/c 6 NetworkPolicy x/out egress[0]\n"));
    CHECK(net.ask(net.world.a.ns, net.pod("x/a").ns, net.pod("x/a").ip(family), 7012) == "allow");
    CHECK(told(net, net.world.a, 7012).starts_with("allowed (node) "));
  }
}

TEST_CASE("a flow that a change cuts is told once, and again when it is admitted") {
  Policed net;
  net.policy("x/in", kEverybody);
  Fd client = udp_socket(net.pod("y/c").ns, net.pod("y/c").ip4, 45001);
  Fd server = udp_socket(net.pod("x/a").ns, net.pod("x/a").ip4, 7020);
  const auto send = [&] { REQUIRE(send_udp(client, net.pod("x/a").ip4, 7020, "x")); };
  send();
  REQUIRE(receive_udp(server, std::chrono::seconds(5)));
  told(net, net.world.a, 0);
  net.policy("x/in", kOnlyB);
  for (int i = 0; i < 3; ++i) send();
  CHECK_FALSE(receive_udp(server, std::chrono::milliseconds(20)));
  CHECK(told(net, net.world.a, 7020) == "cut by ingress y/c > x/a 17 NetworkPolicy x/in \n");
  net.policy("x/in", kEverybody);
  send();
  REQUIRE(receive_udp(server, std::chrono::seconds(5)));
  CHECK(told(net, net.world.a, 7020) == "allowed y/c > x/a 17 NetworkPolicy x/in ingress[0]\n");
}

TEST_CASE("the end of a TCP connection is told, from who opened it") {
  Policed net;
  net.policy("x/in", kEverybody);
  for (Family family : kFamilies) {
    CAPTURE(to_string(family));
    told(net, net.world.a, 0);
    {
      Fd listener = tcp_listener(net.pod("x/a").ns, net.pod("x/a").ip(family), 7030);
      Fd client = tcp_connect(net.pod("y/c").ns, net.pod("x/a").ip(family), 7030);
      Fd server(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      ::shutdown(server.get(), SHUT_WR);
      char byte;
      REQUIRE(::recv(client.get(), &byte, 1, 0) == 0);
      client.reset();
      REQUIRE(::recv(server.get(), &byte, 1, 0) == 0);
    }
    CHECK(told(net, net.world.a, 7030) == "allowed y/c > x/a 6 NetworkPolicy x/in ingress[0]\nclosed y/c > x/a 6  \n");
  }
}

TEST_CASE("a client that goes on sending what is denied is told once; floods are bounded and what is lost is counted") {
  Policed net;
  net.policy("x/in", kOnlyB);
  told(net, net.world.a, 0);
  Fd one = udp_socket(net.pod("x/b").ns, net.pod("x/b").ip4, 45002);
  net.policy("x/in", R"({"podSelector":{"matchLabels":{"pod":"a"}}})");
  const uint64_t before = net.drops(abi::DROP_POLICY_INGRESS), lost_before = lost(net.world.a);
  for (int i = 0; i < 100; ++i) REQUIRE(send_udp(one, net.pod("x/a").ip4, 7040, "x"));
  CHECK(net.drops(abi::DROP_POLICY_INGRESS) == before + 100);
  std::string text = told(net, net.world.a, 7040);
  // One for each CPU that sent.
  CHECK(std::ranges::count(text, '\n') >= 1);
  CHECK(std::ranges::count(text, '\n') <= static_cast<long>(std::thread::hardware_concurrency()));

  // As many flows as packets: what is told and what is lost is all of them.
  constexpr int kFlows = 20000;
  uint64_t events = 0;
  for (int i = 0; i < kFlows; ++i) {
    const auto port = static_cast<uint16_t>(8000 + i);
    REQUIRE(send_udp(one, net.pod("x/a").ip4, port, "x"));
    if (i % 1000 == 999) REQUIRE(net.world.a.plane->read_events([&](const abi::flow_event&) { ++events; }));
  }
  REQUIRE(net.world.a.plane->read_events([&](const abi::flow_event&) { ++events; }));
  CHECK(events > 0);
  CHECK(lost(net.world.a) - lost_before == kFlows - events);
  CHECK(lost(net.world.a) > lost_before);
}

TEST_CASE("events that a former agent's rows made do not name rules by the new one's numbers") {
  Policed net;
  net.policy("x/in", kOnlyB);
  told(net, net.world.a, 0);
  CHECK(net.ask("y/c", "x/a", Family::V4, 7050) == "ingress");
  net.restart(net.world.a);
  CHECK(told(net, net.world.a, 7050) == "dropped by ingress y/c > x/a 6 as a former agent had them \n");
  CHECK(net.ask("y/c", "x/a", Family::V4, 7051) == "ingress");
  CHECK(told(net, net.world.a, 7051) == "dropped by ingress y/c > x/a 6 NetworkPolicy x/in \n");
}

}  // namespace causeway::test
