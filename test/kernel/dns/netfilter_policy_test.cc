// Plane netfilter: policies of Pods that ask cluster DNS, of the node's own process and of another node's.
#include <doctest/doctest.h>

#include "answers.h"
#include "dns/apply_local_nft.h"
#include "policies.h"

namespace causeway::test {

namespace {

constexpr auto kSoon = std::chrono::milliseconds(400);  // a packet that is dropped comes never

struct PolicedDns : PolicyWorld {
  Family family;
  Processes processes;
  dns::NftLocal door;
  dns::LocalAddresses local;

  explicit PolicedDns(Family f)
      : PolicyWorld(false, {dns_ip(f)}), family(f), door(*a.nft, {dns_ip(f)}), local(*a.net, door) {
    processes.here = Process(world.a.ns, dns_ip(f));
    processes.there = Process(world.b.ns, world.b.ip(f));
    Wanted wanted(world.a);
    wanted.port("dns", f, Protocol::Udp, {Wanted::at(world.b.ip(f), kDns)});
    wanted.front("dns", dns_ip(f), kDns, Protocol::Udp, Kind::ClusterIp, balance(), test::drop());
    REQUIRE(service.apply(wanted.tables) == "");
    model.put(cluster::Node{.name = "n1", .addresses = {world.a.ip4, world.a.ip6}});
    cluster::Service object{.key = {"kube-system", "kube-dns"}};
    object.cluster_ips = {dns_ip(f)};
    object.ports = {{"dns", Protocol::Udp, 53}};
    object.selector = {{"k8s-app", "kube-dns"}};
    model.put(object);
    cluster::EndpointSlice slice{.key = {"kube-system", "kube-dns-1"}, .service = "kube-dns", .family = f};
    slice.ports = {{"dns", Protocol::Udp, 53}};
    slice.endpoints = {{.ip = world.b.ip(f), .ready = true, .serving = true}};
    model.put(slice);
    REQUIRE(apply() == "");
  }
  void take(bool here) {
    REQUIRE(local.bring(here ? std::set{dns_ip(family)} : std::set<Ip>(), {{family, world.a.ip(family)}}));
  }
  std::string asks(const Fd& client) { return processes.ask(client, kSoon); }
  Fd client() { return asker(world.a1().ns, dns_ip(family)); }
  void rule(std::string_view name, std::string_view spec) {
    put(name, spec);
    REQUIRE(apply() == "");
  }
  void without(std::string_view name) {
    remove(name);
    REQUIRE(apply() == "");
  }
};

}  // namespace

TEST_CASE("who may send nothing gets no DNS, and who may ask the Pods of cluster DNS gets it, here and elsewhere") {
  for (const Family family : kFamilies) {
    PolicedDns w(family);
    CAPTURE(family);
    const std::string own = to_string(w.world.a1().ip(family));
    for (const bool here : {true, false}) {
      CAPTURE(here);
      w.take(here);
      const std::string answered = (here ? "here " : "there ") + own;
      CHECK(w.asks(w.client()) == answered);
      w.rule("shop/none", R"({"podSelector":{},"policyTypes":["Egress"]})");
      CHECK(w.asks(w.client()) == "nobody");
      w.rule("shop/dns", R"({"podSelector":{},"policyTypes":["Egress"],"egress":[{"to":[{"namespaceSelector":{},
          "podSelector":{"matchLabels":{"k8s-app":"kube-dns"}}}],"ports":[{"protocol":"UDP","port":53}]}]})");
      const Fd open = w.client();
      CHECK(w.asks(open) == answered);
      CHECK(ask(w.world.a1().ns, Way::Udp, w.world.a.ip(family), 8080) == "silence");
      w.without("shop/dns");
      CHECK(w.asks(open) == "nobody");
      w.without("shop/none");
      CHECK(w.asks(w.client()) == answered);
    }
  }
}

TEST_CASE("a block is about the node that answers, not about the Service's address") {
  for (const Family family : kFamilies) {
    PolicedDns w(family);
    const std::string own = to_string(w.world.a1().ip(family));
    const auto block = [&](const Ip& ip) {
      w.rule("shop/block", fmt::format(R"({{"podSelector":{{}},"policyTypes":["Egress"],"egress":[{{"to":[
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
