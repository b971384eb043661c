// Flows that are open: their answers, what a change of policies makes of them, errors about them, fragments, restarts.
#include <doctest/doctest.h>
#include <sys/socket.h>

#include "policed.h"

namespace causeway::test {

namespace {

constexpr std::string_view kOnlyB =
    R"({"podSelector":{"matchLabels":{"pod":"a"}},"ingress":[{"from":[{"podSelector":{"matchLabels":{"pod":"b"}}}]}]})";
constexpr std::string_view kOnlyC =
    R"({"podSelector":{"matchLabels":{"pod":"a"}},"policyTypes":["Ingress","Egress"],"ingress":[{"from":[
        {"namespaceSelector":{},"podSelector":{"matchLabels":{"pod":"c"}}}],"ports":[{"port":80}]}]})";

// Two sockets that know each other.
struct UdpPair {
  Fd client, server;
  Ip from, to;
  uint16_t client_port, server_port;
  UdpPair(Policed& net, std::string_view of, std::string_view with, Family family, uint16_t port)
      : from(net.pod(of).ip(family)), to(net.pod(with).ip(family)), client_port(45000), server_port(port) {
    client = udp_socket(net.pod(of).ns, from, client_port);
    server = udp_socket(net.pod(with).ns, to, server_port);
  }
  bool there(std::chrono::milliseconds patience = std::chrono::seconds(5)) {
    return send_udp(client, to, server_port, "ping") && receive_udp(server, patience).has_value();
  }
  bool back(std::chrono::milliseconds patience = std::chrono::seconds(5)) {
    return send_udp(server, from, client_port, "pong") && receive_udp(client, patience).has_value();
  }
};

// It was dropped for this reason, and nobody got it.
template <class Send>
bool dropped(Policed& net, abi::counter_reason reason, Send send) {
  const uint64_t before = net.drops(reason);
  return !send() && net.drops(reason) > before;
}

constexpr auto kMoment = std::chrono::milliseconds(20);

bool pass(const Fd& from, const Fd& to) {
  char byte = 'x';
  return ::send(from.get(), &byte, 1, 0) == 1 && ::recv(to.get(), &byte, 1, 0) == 1;
}

Fd accept_one(const Fd& listener) { return Fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)); }

}  // namespace

TEST_CASE("a change cuts an open flow in both directions with its next packet, and gives it back when it is admitted") {
  Policed net;
  net.policy("x/in", R"({"podSelector":{"matchLabels":{"pod":"a"}},"ingress":[{}]})");
  for (Family family : kFamilies) {
    CAPTURE(to_string(family));
    UdpPair flow(net, "y/c", "x/a", family, 5000);
    CHECK(flow.there());
    CHECK(flow.back());
    net.policy("x/in", kOnlyB);
    // Also what the server sends, though nothing keeps it from opening flows of its own.
    CHECK(dropped(net, abi::DROP_POLICY_CUT, [&] { return flow.back(kMoment); }));
    CHECK(dropped(net, abi::DROP_POLICY_CUT, [&] { return flow.there(kMoment); }));
    CHECK(net.ask("x/a", "y/c", family, 5001, kUdp) == "allow");
    net.policy("x/in", R"({"podSelector":{"matchLabels":{"pod":"a"}},"ingress":[{}]})");
    CHECK(flow.there());
    CHECK(flow.back());
  }
}

TEST_CASE("a Pod that is isolated for the first time keeps the connections that its policies admit, and no others") {
  for (Family family : kFamilies) {
    CAPTURE(to_string(family));
    Policed net;
    Fd listener = tcp_listener(net.pod("x/a").ns, net.pod("x/a").ip(family), 80);
    Fd good = tcp_connect(net.pod("y/c").ns, net.pod("x/a").ip(family), 80);
    Fd good_end = accept_one(listener);
    Fd bad = tcp_connect(net.pod("y/d").ns, net.pod("x/a").ip(family), 80);
    Fd bad_end = accept_one(listener);
    REQUIRE((good && good_end && bad && bad_end));
    CHECK(pass(good, good_end));
    CHECK(pass(bad, bad_end));
    net.policy("x/in", kOnlyC);
    CHECK(pass(good_end, good));  // the server speaks first
    CHECK(pass(good, good_end));
    const uint64_t before = net.drops(abi::DROP_POLICY_INGRESS);
    CHECK(::send(bad_end.get(), "x", 1, 0) == 1);  // its end, too
    CHECK(net.drops(abi::DROP_POLICY_INGRESS) > before);
    const uint64_t then = net.drops(abi::DROP_POLICY_INGRESS);
    CHECK(::send(bad.get(), "x", 1, 0) == 1);
    CHECK(net.drops(abi::DROP_POLICY_INGRESS) > then);
    char byte;
    CHECK(::recv(bad_end.get(), &byte, 1, MSG_DONTWAIT) < 0);
    CHECK(::recv(bad.get(), &byte, 1, MSG_DONTWAIT) < 0);
  }
}

TEST_CASE("errors about a flow that passes pass, whoever sends them; others are judged") {
  Policed net;
  net.policy("x/in", R"({"podSelector":{},"policyTypes":["Ingress"]})");
  for (Family family : kFamilies) {
    CAPTURE(to_string(family));
    Fd client = udp_socket(net.pod("x/a").ns, net.pod("x/a").ip(family), 0);
    want_errors(client, family);
    CHECK(send_udp(client, net.pod("y/c").ip(family), 9, "nobody listens"));
    CHECK(pending_error(client) == ECONNREFUSED);
  }
}

TEST_CASE("large datagrams in pieces, with and without a policy in the way") {
  Policed net;
  net.policy("x/in", R"({"podSelector":{},"ingress":[{"ports":[{"port":5000,"protocol":"UDP"}]}]})");
  for (Family family : kFamilies) {
    CAPTURE(to_string(family));
    CHECK(talk_udp(net.pod("y/c").ns, net.pod("x/a").ns, net.pod("x/a").ip(family), 5000, 4000).error == "");
    CHECK(talk_udp(net.pod("x/b").ns, net.pod("x/a").ns, net.pod("x/a").ip(family), 5000, 4000).error == "");
    CHECK(talk_tcp(net.pod("x/a").ns, net.pod("y/c").ns, net.pod("y/c").ip(family), 80, 300'000).error == "");
    Fd client = udp_socket(net.pod("y/c").ns, net.pod("y/c").ip(family), 0);
    Fd server = udp_socket(net.pod("x/a").ns, net.pod("x/a").ip(family), 5001);
    CHECK(dropped(net, abi::DROP_POLICY_INGRESS, [&] {
      return send_udp(client, net.pod("x/a").ip(family), 5001, std::string(4000, 'x')) &&
             receive_udp(server, kMoment).has_value();
    }));
  }
}

TEST_CASE("another agent's life writes all anew beside the former rows, and no packet is judged otherwise") {
  Policed net;
  net.policy("x/in", kOnlyC);
  UdpPair flow(net, "y/c", "x/a", Family::V4, 80);
  net.policy("x/in",
             R"({"podSelector":{"matchLabels":{"pod":"a"}},"policyTypes":["Ingress","Egress"],"ingress":[{"from":[
        {"namespaceSelector":{},"podSelector":{"matchLabels":{"pod":"c"}}}]}]})");
  CHECK(flow.there());
  CHECK(flow.back());
  auto bank = [&] {
    std::set<uint32_t> banks;
    for (const auto& [key, subject] : net.world.a.plane->policy().subjects.dump().value()) banks.insert(subject.bank);
    REQUIRE(banks.size() == 1);
    return *banks.begin();
  };
  const uint32_t before = bank();
  net.restart(net.world.a);
  CHECK(bank() != before);
  CHECK(net.differences() == "");
  CHECK(flow.back());  // not opened anew: nothing may go out
  CHECK(net.ask("x/b", "x/a", Family::V4, 80) == "ingress");
  CHECK(net.ask("y/c", "x/a", Family::V4, 80) == "allow");
}

TEST_CASE("rows that somebody else changed are found and brought back") {
  Policed net;
  net.policy("x/in", kOnlyB);
  auto maps = net.world.a.plane->policy();
  const auto verdicts = maps.verdicts.dump().value();
  REQUIRE(!verdicts.empty());
  CHECK(maps.verdicts.remove(verdicts.begin()->first));
  CHECK(net.ask("x/b", "x/a", Family::V4, 80) == "ingress");
  CHECK(net.differences() != "");
  net.applier(net.world.a).forget();
  net.apply();
  CHECK(net.differences() == "");
  CHECK(net.ask("x/b", "x/a", Family::V4, 80) == "allow");
}

TEST_CASE("maps that are full grow, and flows go on") {
  Policed net;
  net.policy("x/in", kOnlyB);
  UdpPair flow(net, "x/b", "x/a", Family::V4, 5000);
  CHECK(flow.there());
  CHECK(net.world.a.plane->reserve_policy({.addresses = 70'000, .sets = 5'000, .verdicts = 70'000}));
  CHECK(flow.back());
  CHECK(net.differences() == "");
  net.policy("x/in", kOnlyC);
  CHECK(dropped(net, abi::DROP_POLICY_CUT, [&] { return flow.there(kMoment); }));
  CHECK(net.differences() == "");
}

}  // namespace causeway::test
