// Plane bpf: policies of Pods that ask cluster DNS, of the node's own process and of another node's.
#include <doctest/doctest.h>

#include "answers.h"
#include "balancer.h"
#include "dns/apply_local_bpf.h"
#include "policed.h"

namespace causeway::test {

namespace {

constexpr auto kSoon = std::chrono::milliseconds(400);  // a packet that is dropped comes never
constexpr std::string_view kNone = R"({"podSelector":{},"policyTypes":["Egress"]})";
constexpr std::string_view kToDns = R"({"podSelector":{},"policyTypes":["Egress"],"egress":[{"to":[{
    "namespaceSelector":{},"podSelector":{"matchLabels":{"k8s-app":"kube-dns"}}}],"ports":[{"protocol":"UDP","port":53}]}]})";

struct PolicedDns : Policed {
  Family family;
  Processes processes;
  Balancer balancer{world.a};
  std::unique_ptr<netlink::Rtnetlink> net;
  dns::BpfLocal door;
  dns::LocalAddresses local;

  explicit PolicedDns(Family f)
      : Policed({.dns = {dns_ip(f)}, .services = true}),
        family(f),
        net(netlink::open_rtnetlink_in(world.a.ns.fd()).value()),
        door(world.a.plane->dns_here(), {dns_ip(f)}),
        local(*net, door) {
    processes.here = Process(world.a.ns, dns_ip(f));
    processes.there = Process(world.b.ns, world.b.ip(f));
    balancer.endpoints(1, {{world.b.ip(f), kDns}}, IPPROTO_UDP);
    balancer.serve(1, dns_ip(f), kDns, IPPROTO_UDP);
    change([&](cluster::Model& model) {
      model.put(cluster::Node{.name = "a", .addresses = {world.a.ip4, world.a.ip6}});
      cluster::Service service{.key = {"kube-system", "kube-dns"}};
      service.cluster_ips = {dns_ip(f)};
      service.ports = {{"dns", cluster::Protocol::Udp, 53}};
      service.selector = {{"k8s-app", "kube-dns"}};
      model.put(service);
      cluster::EndpointSlice slice{.key = {"kube-system", "kube-dns-1"}, .service = "kube-dns", .family = f};
      slice.ports = {{"dns", cluster::Protocol::Udp, 53}};
      slice.endpoints = {{.ip = world.b.ip(f), .ready = true, .serving = true}};
      model.put(slice);
    });
  }
  void take(bool here) {
    REQUIRE(local.bring(here ? std::set{dns_ip(family)} : std::set<Ip>(), {{family, world.a.ip(family)}}));
  }
  std::string asks(const Fd& client) { return processes.ask(client, kSoon); }
  Fd client() { return asker(pod("x/a").ns, dns_ip(family)); }
};

}  // namespace

TEST_CASE("who may send nothing gets no DNS, and who may ask the Pods of cluster DNS gets it, here and elsewhere") {
  for (const Family family : kFamilies) {
    PolicedDns w(family);
    CAPTURE(family);
    const std::string own = to_string(w.pod("x/a").ip(family));
    for (const bool here : {true, false}) {
      CAPTURE(here);
      w.take(here);
      const std::string answered = (here ? "here " : "there ") + own;
      CHECK(w.asks(w.client()) == answered);
      w.policy("x/none", kNone);
      const uint64_t dropped = w.drops(abi::DROP_POLICY_EGRESS);
      CHECK(w.asks(w.client()) == "nobody");
      CHECK(w.drops(abi::DROP_POLICY_EGRESS) > dropped);
      w.policy("x/dns", kToDns);
      const Fd open = w.client();
      CHECK(w.asks(open) == answered);
      // Not the node itself, nor another port of it.
      CHECK(w.ask(w.pod("x/a").ns, w.world.a.ns, w.world.a.ip(family), 80) == "egress");
      CHECK(w.differences() == "");
      w.remove("x/dns");
      CHECK(w.asks(open) == "nobody");  // an open flow is judged again
      w.policy("x/dns", kToDns);
      CHECK(w.asks(open) == answered);
      w.remove("x/dns");
      w.remove("x/none");
    }
  }
}

TEST_CASE("a block is about the node that answers, not about the Service's address") {
  for (const Family family : kFamilies) {
    PolicedDns w(family);
    const std::string own = to_string(w.pod("x/a").ip(family));
    const auto block = [&](const Ip& ip) {
      w.policy("x/block", fmt::format(R"({{"podSelector":{{}},"policyTypes":["Egress"],"egress":[{{"to":[
          {{"ipBlock":{{"cidr":"{}"}}}}]}}]}})",
                                      host_cidr(ip)));
    };
    w.take(true);
    block(dns_ip(family));
    CHECK(w.asks(w.client()) == "nobody");
    block(w.world.a.ip(family));
    CHECK(w.asks(w.client()) == "here " + own);
    w.take(false);
    CHECK(w.asks(w.client()) == "nobody");
    block(w.world.b.ip(family));
    CHECK(w.asks(w.client()) == "there " + own);
  }
}

}  // namespace causeway::test
