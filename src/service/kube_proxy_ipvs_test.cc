#include "service/kube_proxy_ipvs.h"

#include <doctest/doctest.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <netinet/in.h>

#include "kernel/conntrack/fake.h"
#include "kernel/ipset/fake.h"
#include "kernel/ipvs/fake.h"
#include "kernel/netlink/fake.h"

namespace causeway::service {

namespace {

Ip ip(const char* text) { return Ip::parse(text).value(); }
Endpoint at(const char* text, uint16_t port) { return {ip(text), port}; }

// A node as a kube-proxy in mode ipvs left it: two Services, a node port, and what others have.
struct Node {
  netlink::FakeRtnetlink net;
  ipvs::FakeIpvs ipvs;
  ipset::FakeIpSets sets;
  conntrack::FakeConntrack conntrack;
  const ipvs::ServiceKey web{ip("10.96.0.10"), 80, IPPROTO_TCP}, dns{ip("10.96.0.53"), 53, IPPROTO_UDP};
  const ipvs::ServiceKey node_port{ip("192.0.2.1"), 30080, IPPROTO_TCP};
  const ipvs::ServiceKey ours{ip("10.96.0.11"), 80, IPPROTO_TCP}, others{ip("192.0.2.1"), 8443, IPPROTO_TCP};
  IfIndex device;

  Node() {
    const IfIndex eth0 = net.add_link({.name = "eth0"});
    device = net.add_link({.name = kKubeIpvsDevice, .kind = "dummy"});
    for (const char* each : {"10.96.0.10", "10.96.0.11", "10.96.0.53"})
      REQUIRE(net.apply_one(netlink::PutAddress{{device, ip(each), 32}}));
    REQUIRE(net.apply_one(netlink::PutAddress{{eth0, ip("192.0.2.1"), 24}}));
    for (const auto& key : {web, dns, node_port, others, ours})
      ipvs.all[key] = {{}, {{at("10.1.0.5", 8080), {.weight = 1}}}};
    ipvs.all[ours].service.flags = ipvs::kOurs;
    sets.all["KUBE-NODE-PORT-TCP"] = {ipset::Set{ipset::Type::Port}, {{.port = 30080}}};
    for (const char* each :
         {"KUBE-CLUSTER-IP", "KUBE-6-LOAD-BALANCER-SOURCE-CID", "KUBE-DST-kube-router", "causeway-x"})
      sets.all[each];
  }
  KubeIpvsDoors doors() { return {net, &ipvs, &sets, &conntrack}; }
  void opened(const ipvs::ServiceKey& key, uint8_t tcp_state = TCP_CONNTRACK_ESTABLISHED) {
    ++ipvs.all[key].destinations.begin()->second.active;
    const Endpoint client = at("10.1.0.9", uint16_t(40000 + conntrack.all.size()));
    conntrack.all.insert({.protocol = key.protocol,
                          .original = {client, {key.ip, key.port}},
                          .reply = {at("10.1.0.5", 8080), client},
                          .tcp_state = tcp_state,
                          .timeout = 100});
  }
  std::string servers() const {
    std::string out;
    for (const auto& [key, held] : ipvs.all)
      out += fmt::format("{}:{} ", key, held.destinations.begin()->second.weight);
    return out;
  }
  std::string addresses() {
    std::string out;
    for (const auto& address : net.addresses().value()) out += fmt::format("{} ", address.ip);
    return out;
  }
};

}  // namespace

TEST_CASE(
    "virtual servers of kube-proxy stay with their address while a connection goes by them, and take no new one") {
  Node node;
  node.opened(node.web);
  node.opened(node.dns);
  auto retired = retire_kube_ipvs(node.doors()).value();
  CHECK(retired.connections == 2);
  CHECK(retired.servers == 1);
  CHECK(node.servers() == "10.96.0.10:80/tcp:0 10.96.0.11:80/tcp:1 10.96.0.53:53/udp:0 192.0.2.1:8443/tcp:1 ");
  CHECK(node.addresses() == "192.0.2.1 10.96.0.10 10.96.0.53 ");

  // One ended; of the other nf_conntrack knows that it is over, what IPVS counts it counts for minutes.
  node.conntrack.all.clear();
  node.opened(node.dns);
  node.opened(node.web, TCP_CONNTRACK_TIME_WAIT);
  retired = retire_kube_ipvs(node.doors()).value();
  CHECK(retired.connections == 1);
  CHECK(node.addresses() == "192.0.2.1 10.96.0.53 ");
  CHECK(kube_ipvs_left(node.doors()).value());

  node.ipvs.all[node.dns].destinations.begin()->second.active = 0;
  retired = retire_kube_ipvs(node.doors()).value();
  CHECK(retired.connections == 0);
  CHECK(node.servers() == "10.96.0.11:80/tcp:1 192.0.2.1:8443/tcp:1 ");
  CHECK(node.addresses() == "192.0.2.1 ");
  CHECK_FALSE(node.net.index_of(kKubeIpvsDevice).has_value());
}

TEST_CASE("an address that stays lends the node's own as source, unless a route of ours has done so") {
  Node node;
  const IfIndex eth0 = node.net.index_of("eth0").value();
  REQUIRE(node.net.apply_one(
      netlink::PutRoute{{.destination = Cidr::parse("10.1.0.0/24").value(), .link = eth0, .source = ip("192.0.2.1")}}));
  REQUIRE(node.net.apply_one(netlink::PutRoute{{.destination = host_cidr(ip("10.96.0.53")),
                                                .type = netlink::RouteType::Local,
                                                .link = IfIndex{1},
                                                .table = netlink::kLocalTable,
                                                .source = ip("192.0.2.1")}}));
  node.opened(node.web);
  node.opened(node.dns);
  REQUIRE(retire_kube_ipvs(node.doors()).value().connections == 2);
  std::string routes;
  for (const auto& route : node.net.routes({.table = netlink::kLocalTable}).value()) routes += to_string(route) + "\n";
  CHECK(routes ==
        "route local 10.96.0.10/32 dev 3 src 192.0.2.1 table 255 proto 4\n"
        "route local 10.96.0.53/32 dev 1 src 192.0.2.1 table 255 proto 202\n");
}

TEST_CASE("the node's own socket holds the address that it sends from, whoever translates") {
  Node node;
  node.conntrack.all.insert({.protocol = IPPROTO_TCP,
                             .original = {at("10.96.0.10", 5000), at("10.96.0.10", 80)},
                             .reply = {at("10.1.0.5", 8080), at("192.0.2.1", 61000)},
                             .tcp_state = TCP_CONNTRACK_ESTABLISHED,
                             .timeout = 100});
  CHECK(retire_kube_ipvs(node.doors()).value().connections == 1);
  CHECK(node.addresses() == "192.0.2.1 10.96.0.10 ");
}

TEST_CASE("without nf_conntrack what IPVS counts holds them") {
  Node node;
  node.opened(node.node_port);
  KubeIpvsDoors doors = node.doors();
  doors.conntrack = nullptr;
  CHECK(retire_kube_ipvs(doors).value().connections == 1);
  CHECK(node.ipvs.all.contains(node.node_port));
}

TEST_CASE("what has none of IPVS loses the device and the sets all the same") {
  Node node;
  CHECK(retire_kube_ipvs({node.net, nullptr, &node.sets, nullptr}).value().connections == 0);
  CHECK(node.addresses() == "192.0.2.1 ");
  CHECK(kube_ipvs_left(node.doors()).value());
  CHECK(remove_kube_ipsets(node.sets).value() == 3);
  CHECK_FALSE(kube_ipvs_left(node.doors()).value());
  CHECK(node.sets.all.size() == 2);
}

TEST_CASE("a set that a rule of somebody uses is told, and the others are tried again") {
  Node node;
  node.sets.in_use.insert("KUBE-CLUSTER-IP");
  CHECK(remove_kube_ipsets(node.sets).error().message().contains("KUBE-CLUSTER-IP"));
}

TEST_CASE("sets of kube-proxy are told by their whole names, cut at 31 bytes") {
  for (const char* name : {"KUBE-LOOP-BACK", "KUBE-6-LOOP-BACK", "KUBE-NODE-PORT-LOCAL-SCTP-HASH",
                           "KUBE-6-NODE-PORT-LOCAL-SCTP-HAS", "KUBE-IPVS-IPS"})
    CHECK_MESSAGE(is_set_of_kube_proxy(name), name);
  for (const char* name : {"KUBE-", "KUBE-SRC-XYZ", "KUBE-6-NODE-PORT-LOCAL-SCTP-HASH", "LOOP-BACK", "causeway-nodes4"})
    CHECK_MESSAGE(!is_set_of_kube_proxy(name), name);
}

}  // namespace causeway::service
