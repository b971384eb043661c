#include "service/adopt.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <netinet/in.h>

#include "datapath/conntrack.h"
#include "datapath/rows.h"
#include "kernel/bpf/fake.h"
#include "kernel/conntrack/fake.h"

namespace causeway::service {

namespace {

using conntrack::Flow;
using datapath::to_abi;

constexpr uint32_t kNow = 1000;

Ip ip(const char* text) { return Ip::parse(text).value(); }

// Service 7 at 10.96.0.10:80 and node port 30080 (tcp, udp), least connections for tcp; endpoint 5 is 10.244.1.3:8080,
// a Pod of this node behind ifindex 23; endpoint 6 is on another node. The client Pod 10.244.1.2 is behind ifindex 22.
struct Maps {
  bpf::FakeTable<abi::service_key, abi::service_value> services;
  bpf::FakeTable<uint32_t, abi::backend_value> backends;
  bpf::FakeTable<abi::pod_key, abi::pod_value> pods;
  bpf::FakeTable<abi::ip_addr, uint32_t> node_addresses;
  bpf::FakeTable<abi::ct_key, abi::ct_value> conntrack;
  bpf::FakeTable<uint32_t, uint32_t> marks;
  bpf::FakeTable<abi::route_key, abi::route_value> routes;
  AdoptDoors doors{services, backends, pods, node_addresses, conntrack, marks, routes};

  Maps() {
    for (const uint8_t protocol : {IPPROTO_TCP, IPPROTO_UDP}) {
      const auto algorithm =
          static_cast<uint8_t>(protocol == IPPROTO_TCP ? abi::SERVICE_LEAST_CONNECTIONS : abi::SERVICE_RANDOM);
      const uint32_t id = protocol == IPPROTO_TCP ? 7 : 8;
      services.rows[{.addr = to_abi(ip("10.96.0.10")), .port = htons(80), .proto = protocol}] = {
          .id = id, .kind = abi::SERVICE_CLUSTER_IP, .algorithm = algorithm};
      services.rows[{.addr = to_abi(Ip()), .port = htons(30080), .proto = protocol}] = {
          .id = id, .kind = abi::SERVICE_NODE_PORT, .algorithm = algorithm};
      backend(id, id == 7 ? 5 : 15, "10.244.1.3", protocol);
      backend(id, id == 7 ? 6 : 16, "10.244.2.3", protocol);
    }
    services.rows[{.addr = to_abi(ip("10.96.0.10"))}] = {.kind = abi::SERVICE_ADDRESS};
    pods.rows[{.addr = to_abi(ip("10.244.1.2"))}] = {.ifindex = 22};
    pods.rows[{.addr = to_abi(ip("10.244.1.3"))}] = {.ifindex = 23};
    node_addresses.rows[to_abi(ip("192.0.2.11"))] = abi::NODE_ADDRESS_NODE_PORTS;
    node_addresses.rows[to_abi(ip("127.0.0.1"))] = abi::NODE_ADDRESS_NODE_PORTS;
    node_addresses.rows[to_abi(ip("192.0.2.99"))] = 0;
  }
  void backend(uint32_t id, uint32_t number, const char* at, uint8_t protocol) {
    backends.rows[number] = {.addr = to_abi(ip(at)),
                             .port = htons(8080),
                             .proto = protocol,
                             .state = abi::BACKEND_ELIGIBLE,
                             .generation = 40 + number,
                             .service = id,
                             .weight = 1};
  }
  std::optional<AdoptedFlow> of(const Flow& flow) const { return adopt(flow, read_tables(doors).value(), kNow); }
};

Flow flow(uint8_t protocol, Endpoint client, Endpoint asked, Endpoint endpoint, Endpoint seen) {
  return {.protocol = protocol,
          .original = {client, asked},
          .reply = {endpoint, seen},
          .replied = true,
          .tcp_state = protocol == IPPROTO_TCP ? uint8_t{TCP_CONNTRACK_ESTABLISHED} : uint8_t{0},
          .timeout = 80000};
}
Flow of_pod(uint8_t protocol = IPPROTO_TCP) {
  const Endpoint client{ip("10.244.1.2"), 5000};
  return flow(protocol, client, {ip("10.96.0.10"), 80}, {ip("10.244.1.3"), 8080}, client);
}
Flow from_outside() {
  return flow(IPPROTO_TCP, {ip("203.0.113.2"), 5000}, {ip("192.0.2.11"), 30080}, {ip("10.244.1.3"), 8080},
              {ip("192.0.2.11"), 61000});
}

}  // namespace

TEST_CASE("a Pod's flow to a ClusterIP becomes a linked pair of rows, and both ends are marked") {
  Maps maps;
  const auto adopted = maps.of(of_pod());
  REQUIRE(adopted);
  CHECK(adopted->forward == abi::ct_key{.src = to_abi(ip("10.244.1.2")),
                                        .dst = to_abi(ip("10.96.0.10")),
                                        .sport = htons(5000),
                                        .dport = htons(80),
                                        .proto = IPPROTO_TCP});
  const auto &there = adopted->forward_row, &back = adopted->reply_row;
  CHECK(there.flags == (abi::CT_F_REWRITE_DST | abi::CT_F_SEEN_REPLY | abi::CT_F_COUNTED));
  CHECK(back.flags == (abi::CT_F_REPLY | abi::CT_F_REWRITE_SRC | abi::CT_F_SEEN_REPLY | abi::CT_F_COUNTED));
  CHECK(there.to_dst == to_abi(ip("10.244.1.3")));
  CHECK(there.to_dport == htons(8080));
  CHECK(back.to_src == to_abi(ip("10.96.0.10")));
  CHECK(back.to_sport == htons(80));
  for (const auto* row : {&there, &back}) {
    CHECK(row->service == 7);
    CHECK(row->backend == 5);
    CHECK(row->generation == 45);
    CHECK(row->created == kNow);
    CHECK(row->expires == kNow + 80000);
  }
  CHECK(datapath::twin_of(adopted->forward, there) == adopted->reply);
  CHECK(datapath::twin_of(adopted->reply, back) == adopted->forward);
  CHECK(adopted->ends == std::set<uint32_t>{22, 23});
}

TEST_CASE("a masqueraded flow from outside to a node port keeps the port that netfilter gave it") {
  Maps maps;
  const auto adopted = maps.of(from_outside());
  REQUIRE(adopted);
  CHECK(adopted->forward_row.to_src == to_abi(ip("192.0.2.11")));
  CHECK(adopted->forward_row.to_sport == htons(61000));
  CHECK(adopted->reply.dport == htons(61000));
  CHECK(adopted->reply_row.to_dst == to_abi(ip("203.0.113.2")));
  CHECK(adopted->reply_row.to_dport == htons(5000));
  for (const auto flags : {adopted->forward_row.flags, adopted->reply_row.flags})
    CHECK((flags & (abi::CT_F_OUTSIDE | abi::CT_F_REWRITE_SRC | abi::CT_F_REWRITE_DST)) ==
          (abi::CT_F_OUTSIDE | abi::CT_F_REWRITE_SRC | abi::CT_F_REWRITE_DST));
  CHECK(datapath::twin_of(adopted->forward, adopted->forward_row) == adopted->reply);
  CHECK(datapath::twin_of(adopted->reply, adopted->reply_row) == adopted->forward);
  CHECK(adopted->ends == std::set<uint32_t>{23});
}

TEST_CASE("the node's own flow, and one to an endpoint on the node's network, mark the node") {
  Maps maps;
  const Endpoint node{ip("192.0.2.11"), 5000};
  auto adopted = maps.of(flow(IPPROTO_TCP, node, {ip("10.96.0.10"), 80}, {ip("10.244.2.3"), 8080}, node));
  REQUIRE(adopted);
  CHECK((adopted->forward_row.flags & abi::CT_F_NODE) != 0);
  CHECK((adopted->forward_row.flags & abi::CT_F_OUTSIDE) == 0);
  CHECK(adopted->forward_row.backend == 6);
  CHECK(adopted->ends == std::set<uint32_t>{0});
  const Endpoint pod{ip("10.244.1.2"), 5000};
  adopted = maps.of(flow(IPPROTO_TCP, pod, {ip("10.96.0.10"), 80}, {ip("192.0.2.11"), 8080}, pod));
  REQUIRE(adopted);
  CHECK(adopted->ends == std::set<uint32_t>{0, 22});
}

TEST_CASE("TCP keeps an endpoint that is gone; UDP would leave it, so there is nothing to adopt") {
  Maps maps;
  maps.backends.rows[5].state = maps.backends.rows[15].state = abi::BACKEND_GONE;
  const auto adopted = maps.of(of_pod());
  REQUIRE(adopted);
  CHECK(adopted->forward_row.backend == 0);
  CHECK(adopted->forward_row.service == 7);
  CHECK((adopted->forward_row.flags & abi::CT_F_COUNTED) == 0);
  CHECK(!maps.of(of_pod(IPPROTO_UDP)));
}

TEST_CASE("an adopted flow is as far in its life as nf_conntrack says, and lives no longer than either would let it") {
  Maps maps;
  struct Case {
    uint8_t state;
    uint32_t flags, life;
  };
  const uint32_t replied = abi::CT_F_SEEN_REPLY;
  for (const Case& c :
       {Case{TCP_CONNTRACK_SYN_SENT, 0, abi::CT_TCP_OPENING},
        Case{TCP_CONNTRACK_SYN_RECV, replied, abi::CT_TCP_ESTABLISHED},
        Case{TCP_CONNTRACK_ESTABLISHED, replied, abi::CT_TCP_ESTABLISHED},
        Case{TCP_CONNTRACK_CLOSE_WAIT, replied, abi::CT_TCP_ESTABLISHED},
        Case{TCP_CONNTRACK_LAST_ACK, replied | abi::CT_F_FIN_FORWARD | abi::CT_F_FIN_REPLY, abi::CT_TCP_CLOSED}}) {
    CAPTURE(int{c.state});
    Flow some = of_pod();
    some.tcp_state = c.state;
    some.timeout = 432000;  // the kernel's own default
    const auto adopted = maps.of(some);
    REQUIRE(adopted);
    const uint32_t states = replied | abi::CT_F_FIN_FORWARD | abi::CT_F_FIN_REPLY | abi::CT_F_RESET;
    CHECK((adopted->forward_row.flags & states) == c.flags);
    CHECK((adopted->reply_row.flags & states) == c.flags);
    CHECK(adopted->forward_row.expires == kNow + c.life);
    some.timeout = 3;
    CHECK(maps.of(some)->forward_row.expires == kNow + 3);
    CHECK(maps.of(some)->reply_row.expires == kNow + 3);
  }
  Flow asked = of_pod(IPPROTO_UDP);
  asked.replied = false;
  CHECK(maps.of(asked)->forward_row.expires == kNow + abi::CT_UDP_UNREPLIED);
  CHECK(maps.of(asked)->forward_row.flags == abi::CT_F_REWRITE_DST);
}

TEST_CASE("a connection that has ended leaves its port to who asks the endpoint itself next") {
  Maps maps;
  for (const uint8_t state : {TCP_CONNTRACK_TIME_WAIT, TCP_CONNTRACK_CLOSE}) {
    Flow some = of_pod(), masqueraded = from_outside();
    some.tcp_state = masqueraded.tcp_state = state;
    CHECK(!maps.of(some));
    CHECK(!maps.of(masqueraded));
  }
}

TEST_CASE("what the node asks from a Service's own address is left to the IPVS of the kube-proxy that gave it that") {
  Maps maps;
  const Endpoint asked{ip("10.96.0.10"), 80}, client{ip("10.96.0.10"), 5000}, seen{ip("192.0.2.11"), 61000};
  CHECK_FALSE(maps.of(flow(IPPROTO_TCP, client, asked, {ip("10.244.2.3"), 8080}, seen)));
}

TEST_CASE("what is no flow through a Service is left alone") {
  Maps maps;
  Flow some = of_pod();
  some.reply.source = some.original.destination;  // not translated
  CHECK(!maps.of(some));
  some = of_pod();
  some.original.destination.port = 81;  // somebody else's translation
  CHECK(!maps.of(some));
  some = of_pod();
  some.timeout = 0;
  CHECK(!maps.of(some));
  some = from_outside();
  some.original.destination.ip = ip("192.0.2.99");  // an address without node ports
  CHECK(!maps.of(some));
  some = from_outside();
  some.original = {{ip("127.0.0.1"), 5000}, {ip("127.0.0.1"), 30080}};  // never on a device of ours
  CHECK(!maps.of(some));
}

TEST_CASE("what a Pod sends out keeps the address and port that netfilter gave it") {
  Maps maps;
  const Endpoint pod{ip("10.244.1.2"), 5000}, server{ip("198.51.100.9"), 443}, seen{ip("192.0.2.11"), 61000};
  const auto adopted = maps.of(flow(IPPROTO_TCP, pod, server, server, seen));
  REQUIRE(adopted);
  const auto &there = adopted->forward_row, &back = adopted->reply_row;
  CHECK(there.flags == (abi::CT_F_REWRITE_SRC | abi::CT_F_SEEN_REPLY));
  CHECK(there.to_src == to_abi(seen.ip));
  CHECK(there.to_sport == htons(61000));
  CHECK(back.flags == (abi::CT_F_REPLY | abi::CT_F_REWRITE_DST | abi::CT_F_SEEN_REPLY));
  CHECK(back.to_dst == to_abi(pod.ip));
  CHECK(datapath::twin_of(adopted->forward, there) == adopted->reply);
  CHECK(datapath::twin_of(adopted->reply, back) == adopted->forward);
  CHECK(!maps.of(flow(IPPROTO_TCP, {ip("172.17.0.2"), 5000}, server, server, seen)));  // Docker's, not ours
}

TEST_CASE("a flow from outside to a Pod's own address is remembered, so that its replies keep it") {
  Maps maps;
  maps.routes.rows[datapath::route_key(Cidr::parse("10.244.2.0/24").value())] = {};
  const Endpoint outside{ip("203.0.113.2"), 5000}, pod{ip("10.244.1.3"), 8080}, other{ip("10.244.2.9"), 5000};
  const auto adopted = maps.of(flow(IPPROTO_TCP, outside, pod, pod, outside));
  REQUIRE(adopted);
  CHECK(adopted->forward_row.flags == (abi::CT_F_INBOUND | abi::CT_F_SEEN_REPLY));
  CHECK(adopted->reply_row.flags == (abi::CT_F_INBOUND | abi::CT_F_REPLY | abi::CT_F_SEEN_REPLY));
  CHECK(!maps.of(flow(IPPROTO_TCP, other, pod, pod, other)));  // from within the cluster
}

TEST_CASE("the node's own flows are adopted one by one, and netfilter forgets each at once") {
  Maps maps;
  conntrack::FakeConntrack from;
  const Endpoint node{ip("192.0.2.11"), 5000};
  const Flow own = flow(IPPROTO_TCP, node, {ip("10.96.0.10"), 80}, {ip("10.244.2.3"), 8080}, node);
  from.all = {of_pod(), own};
  const auto tables = read_tables(maps.doors).value();
  const auto carried = carried_flows(from, tables, kNow).value();
  CHECK(carried.flows == 2);
  CHECK(carried.own == Answering{{IPPROTO_TCP, own.original.destination}});
  CHECK(adopt_flows(from, tables, maps.doors, kNow, Whose::Others).value() == std::vector{of_pod()});
  CHECK(!translates_own(maps.conntrack, kNow).value());
  CHECK(from.all.size() == 2);
  CHECK(adopt_flows(from, tables, maps.doors, kNow, Whose::Node).value() == std::vector{own});
  CHECK(translates_own(maps.conntrack, kNow).value());
  CHECK(from.all == std::set{of_pod()});
}

TEST_CASE("adopting writes what is missing, leaves live rows to the programs, and netfilter forgets both") {
  Maps maps;
  conntrack::FakeConntrack from;
  from.all = {of_pod(), of_pod(IPPROTO_UDP), from_outside()};
  const auto tables = read_tables(maps.doors).value();
  const auto known = adopt(of_pod(), tables, kNow).value();
  auto newer = known.forward_row;
  newer.created = kNow - 1;
  maps.conntrack.rows[known.forward] = newer;
  maps.marks.rows[23] = abi::SERVICE_MARK_CLIENT;
  const uint32_t all = abi::SERVICE_MARK_CLIENT | abi::SERVICE_MARK_BACKEND;
  CHECK(adopt_flows(from, tables, maps.doors, kNow, Whose::All).value().size() == 3);
  CHECK(maps.conntrack.rows.size() == 5);
  CHECK(maps.conntrack.rows[known.forward] == newer);
  CHECK(maps.marks.rows == std::map<uint32_t, uint32_t>{{22, all}, {23, all}});
  const auto writes = maps.conntrack.writes;
  CHECK(adopt_flows(from, tables, maps.doors, kNow, Whose::All).value().size() == 3);
  CHECK(maps.conntrack.writes == writes);

  // One that expired is nobody's: the flow that nf_conntrack still knows counts.
  maps.conntrack.rows[known.forward].expires = kNow;
  const auto flows = adopt_flows(from, tables, maps.doors, kNow, Whose::All).value();
  CHECK(maps.conntrack.writes == writes + 2);
  CHECK(maps.conntrack.rows[known.forward] == known.forward_row);
  from.all.insert(flow(IPPROTO_TCP, {}, {ip("10.96.0.10"), 81}, {ip("10.244.1.3"), 81}, {}));
  CHECK(forget_flows(from, flows));
  CHECK(from.all.size() == 1);
}

}  // namespace causeway::service
