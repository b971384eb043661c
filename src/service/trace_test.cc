#include "service/trace.h"

#include <doctest/doctest.h>

#include "service/compile.h"

using namespace causeway;
using namespace causeway::service;
using cluster::Source;

namespace {

Ip ip(std::string_view text) { return Ip::parse(text).value(); }

struct World {
  cluster::Model model;
  bool bpf;
  Desired desired;

  explicit World(bool on_bpf = true)
      : bpf(on_bpf), desired{{.host_ports = on_bpf, .service_cidrs = {Cidr::parse("10.96.0.0/16").value()}}} {
    cluster::NodeFacts facts{.name = "n1", .addresses = {ip("192.0.2.1"), ip("2001:db8::1")}};
    facts.uplink.addresses = {{ip("192.0.2.1"), 24}, {ip("2001:db8::1"), 64}};
    model.set_facts(std::move(facts));
    model.put(cluster::Node{.name = "n1", .addresses = {ip("192.0.2.1"), ip("2001:db8::1")}});
    model.put(
        cluster::Node{.name = "n2", .addresses = {ip("192.0.2.2")}, .pod_cidrs = {Cidr::parse("10.1.2.0/24").value()}});
    model.put(cluster::Attachment{.key = {"c1", "eth0"},
                                  .pod = {"shop", "client"},
                                  .addresses = {ip("10.1.1.9")},
                                  .generation = 1,
                                  .host_ports = {{.port = 8080, .container_port = 80}}});
    cluster::Service web{.key = {"shop", "web"}, .type = cluster::ServiceType::LoadBalancer, .external_local = true};
    web.cluster_ips = {ip("10.96.0.1")};
    web.load_balancer_ips = {ip("203.0.113.1")};
    web.restricted = true;
    web.source_ranges = {Cidr::parse("198.51.100.0/24").value()};
    web.ports = {{"http", Protocol::Tcp, 80, 30080}};
    model.put(std::move(web));
    cluster::EndpointSlice slice{.key = {"shop", "web-1"}, .service = "web", .ports = {{"http", Protocol::Tcp, 8080}}};
    slice.endpoints = {{.ip = ip("10.1.2.5"), .ready = true, .node = "n2"}};
    model.put(std::move(slice));
    for (Source source : {Source::Nodes, Source::Services, Source::EndpointSlices}) model.set_synced(source);
    desired.update(model.take_changes(), model);
  }
  std::string ask(std::string_view from, std::string_view to, std::string_view protocol = "") {
    const auto asked = parse_asked(from, to, protocol, model, desired);
    return asked ? trace(*asked, desired, model, bpf).text
                 : fmt::format("{}: {}\n", to_string(asked.error().code()), asked.error().message());
  }
};

}  // namespace

TEST_CASE("a trace names the row, the verdict and the endpoints that a packet would get") {
  World w;
  CHECK(
      w.ask("shop/client", "10.96.0.1:80") ==
      "ClusterIP 10.96.0.1:80/tcp of shop/web:http (service shop/web)\n"
      "from this node or a Pod of it: to one of the endpoints of the cluster, random, which sees the sender's address\n"
      "  10.1.2.5:8080 on n2 100.0 %\n");
  CHECK(w.ask("node", "[::ffff:10.96.0.1]:80").find("which sees this node's address\n") != std::string::npos);
  CHECK(w.ask("198.51.100.7", "192.0.2.1:30080", "tcp") ==
        "NodePort 0.0.0.0:30080/tcp of shop/web:http (service shop/web)\n"
        "from elsewhere: dropped, as no endpoint here may answer\n");
  CHECK(w.ask("203.0.113.9", "203.0.113.1:80") ==
        "LoadBalancer 203.0.113.1:80/tcp of shop/web:http (service shop/web)\n"
        "203.0.113.9 is not among its loadBalancerSourceRanges: dropped\n");
  CHECK(w.ask("node", "203.0.113.1:80") ==
        "LoadBalancer 203.0.113.1:80/tcp of shop/web:http (service shop/web)\n"
        "192.0.2.1 is not among its loadBalancerSourceRanges: dropped\n");
}

TEST_CASE("a trace tells a port that a Service lacks, an address that nobody has, and what is no Service's") {
  World w;
  CHECK(w.ask("10.1.1.9", "10.96.0.1:81") ==
        "10.96.0.1 is the address of Service shop/web, which has no port 81/tcp: refused\n");
  CHECK(w.ask("198.51.100.7", "10.96.0.1:81") ==
        "10.96.0.1 is the address of Service shop/web, which has no port 81/tcp: dropped, as a ClusterIP is for the "
        "cluster alone\n");
  CHECK(w.ask("10.1.1.9", "10.96.0.2:80") ==
        "10.96.0.2 is in the Service range 10.96.0.0/16, and no Service has it: dropped\n");
  CHECK(w.ask("10.1.1.9", "192.0.2.1:80") == "192.0.2.1:80 is no Service's: the packet goes on as it is\n");
}

TEST_CASE("what a Pod or a node of elsewhere sends to a Service was decided there") {
  World w;
  CHECK(w.ask("10.1.2.5", "10.96.0.1:80") ==
        "ClusterIP 10.96.0.1:80/tcp of shop/web:http (service shop/web)\n"
        "10.1.2.5 is of node n2, which decides it: ask there (--node n2)\n");
  CHECK(w.ask("192.0.2.2", "192.0.2.1:30080").find("dropped") != std::string::npos);
}

TEST_CASE("loopback is whose it is: a Pod's own, nobody's from elsewhere, the node's as far as its plane can") {
  World bpf(true), netfilter(false);
  for (World* w : {&bpf, &netfilter}) {
    CHECK(w->ask("shop/client", "127.0.0.1:30080") == "127.0.0.1 is the Pod itself: no packet leaves it\n");
    CHECK(w->ask("198.51.100.7", "127.0.0.1:30080") ==
          "127.0.0.1 comes from no other host (RFC 1122 3.2.1.3): dropped\n");
    CHECK(w->ask("node", "127.0.0.1:30080").find("to one of the endpoints of the cluster") != std::string::npos);
  }
  CHECK(bpf.ask("node", "127.0.0.5:30080").starts_with("NodePort 0.0.0.0:30080/tcp of shop/web:http"));
  CHECK(netfilter.ask("node", "127.0.0.5:30080") == "127.0.0.5:30080 is no Service's: the packet goes on as it is\n");
  CHECK(netfilter.ask("node", "[::1]:30080") ==
        "::1: the kernel sends nothing from ::1 to another host, so nothing is balanced: the packet goes on as it "
        "is\n");
}

TEST_CASE("host ports are traced on both planes") {
  World bpf(true), netfilter(false);
  CHECK(bpf.ask("198.51.100.7", "192.0.2.1:8080") ==
        "HostPort 0.0.0.0:8080/tcp of shop/client:hostPort 8080/tcp (attachment c1/eth0)\n"
        "from elsewhere: to one of the endpoints of the cluster, random, which sees the sender's address\n"
        "  10.1.1.9:80 on n1 100.0 %\n");
  CHECK(netfilter.ask("198.51.100.7", "192.0.2.1:8080") ==
        "HostPort 0.0.0.0:8080/tcp of Pod shop/client\nfrom elsewhere: to its endpoint\n  10.1.1.9:80\n");
  CHECK(netfilter.ask("node", "127.0.0.5:8080").find("to its endpoint\n  10.1.1.9:80\n") != std::string::npos);
  CHECK(bpf.ask("node", "192.0.2.1:8080", "sctp") ==
        "192.0.2.1:8080: SCTP of the node to itself passes nothing of ours: the packet goes on as it is\n");
}

TEST_CASE("a question that makes no sense is refused with what is right") {
  World w;
  CHECK(w.ask("198.51.100.7", "[fd00::1]:80") ==
        "invalid: 198.51.100.7 is IPv4 and fd00::1 is IPv6: no packet has both\n");
  CHECK(w.ask("shop/client", "[fd00::1]:80") ==
        "invalid: Pod shop/client has no IPv6 address, and fd00::1 is one: ask for an address of the other family\n");
  CHECK(w.ask("shop/nobody", "10.96.0.1:80").starts_with("not found: no Pod shop/nobody has an address on node n1: "));
  CHECK(w.ask("nobody", "10.96.0.1:80").starts_with("invalid: \"nobody\" is no sender: "));
  for (const char* bad :
       {"10.96.0.1", "10.96.0.1:", "10.96.0.1:0", "10.96.0.1:65536", "fd00::1:80", "[fd00::1]80", ":80", ""})
    CHECK(w.ask("node", bad).starts_with("invalid: \""));
  CHECK(w.ask("node", "10.96.0.1:80", "icmp") == "invalid: protocol \"icmp\" is none of tcp, udp, sctp\n");
}
