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
  Desired desired{{.service_cidrs = {Cidr::parse("10.96.0.0/16").value()}}};

  World() {
    cluster::NodeFacts facts{.name = "n1", .addresses = {ip("192.0.2.1")}};
    facts.uplink.addresses = {{ip("192.0.2.1"), 24}};
    model.set_facts(std::move(facts));
    cluster::Service web{.key = {"shop", "web"}, .type = cluster::ServiceType::LoadBalancer, .external_local = true};
    web.cluster_ips = {ip("10.96.0.1")};
    web.load_balancer_ips = {ip("203.0.113.1")};
    web.restricted = true;
    web.source_ranges = {Cidr::parse("198.51.100.0/24").value()};
    web.ports = {{"http", Protocol::Tcp, 80, 30080}};
    model.put(std::move(web));
    cluster::EndpointSlice slice{.key = {"shop", "web-1"}, .service = "web", .ports = {{"http", Protocol::Tcp, 8080}}};
    slice.endpoints = {{.ip = ip("10.1.0.5"), .ready = true, .node = "n2"}};
    model.put(std::move(slice));
    for (Source source : {Source::Nodes, Source::Services, Source::EndpointSlices}) model.set_synced(source);
    desired.update(model.take_changes(), model);
  }
  std::string ask(std::string_view from, bool inside, std::string_view to, uint16_t port) {
    return trace({ip(from), inside, {ip(to), port}, Protocol::Tcp}, desired).text;
  }
};

}  // namespace

TEST_CASE("a trace names the row, the verdict and the endpoints that a packet would get") {
  World w;
  CHECK(
      w.ask("10.1.0.9", true, "10.96.0.1", 80) ==
      "ClusterIP 10.96.0.1:80/tcp of shop/web:http (service shop/web)\n"
      "from this node or a Pod of it: to one of the endpoints of the cluster, random, which sees the sender's address\n"
      "  10.1.0.5:8080 on n2 100.0 %\n");
  CHECK(w.ask("198.51.100.7", false, "192.0.2.1", 30080) ==
        "NodePort 0.0.0.0:30080/tcp of shop/web:http (service shop/web)\n"
        "from elsewhere: dropped, as no endpoint here may answer\n");
  CHECK(w.ask("192.0.2.9", false, "203.0.113.1", 80) ==
        "LoadBalancer 203.0.113.1:80/tcp of shop/web:http (service shop/web)\n"
        "192.0.2.9 is not among its loadBalancerSourceRanges: dropped\n");
}

TEST_CASE("a trace tells a port that a Service lacks, an address that nobody has, and what is no Service's") {
  World w;
  CHECK(w.ask("10.1.0.9", true, "10.96.0.1", 81) ==
        "10.96.0.1 is the address of Service shop/web, which has no port 81/tcp: refused\n");
  CHECK(w.ask("10.1.0.9", true, "10.96.0.2", 80) ==
        "10.96.0.2 is in the Service range 10.96.0.0/16, and no Service has it: dropped\n");
  CHECK(w.ask("10.1.0.9", true, "192.0.2.1", 80) == "192.0.2.1:80 is no Service's: the packet goes on as it is\n");
  CHECK(render(rows_of({"shop", "web"}, w.desired)).starts_with("frontend 0.0.0.0:30080/tcp NodePort shop/web:http"));
}
