// Cluster DNS as a destination: taken for a Pod of its Service, wherever it answers.
#include <doctest/doctest.h>

#include "policy/explain.h"
#include "policy/nft_rows.h"
#include "policy/policy_world.h"

using namespace causeway;
using namespace causeway::policy;

namespace {

const std::vector<Ip> kDns{ip("10.96.0.10"), ip("169.254.20.10")};

// Node n1 with shop/web, node n2; the DNS Service has both as endpoints. Of its ports 9153 is no DNS.
struct DnsCluster : World {
  DnsCluster() {
    ns("shop").ns("kube-system");
    pod("shop/web", {"10.0.0.1"}, "app=web");
    model.put(cluster::Node{.name = "n1", .addresses = {ip("192.0.2.1")}});
    model.put(cluster::Node{.name = "n2", .addresses = {ip("192.0.2.2")}});
    service("k8s-app=kube-dns");
    slice({"192.0.2.1", "192.0.2.2"});
  }
  void service(std::string_view selector) {
    cluster::Service service{.key = {"kube-system", "kube-dns"}};
    service.cluster_ips = {ip("10.96.0.10")};
    service.ports = {{"dns", Protocol::Udp, 53}, {"dns-tcp", Protocol::Tcp, 53}, {"metrics", Protocol::Tcp, 9153}};
    for (const auto& [key, value] : labels(selector)) service.selector.emplace_back(key, value);
    model.put(std::move(service));
  }
  void slice(std::vector<std::string_view> addresses) {
    cluster::EndpointSlice slice{.key = {"kube-system", "kube-dns-1"}, .service = "kube-dns"};
    slice.ports = {{"dns", Protocol::Udp, 53}, {"dns-tcp", Protocol::Tcp, 53}, {"metrics", Protocol::Tcp, 9153}};
    for (const auto text : addresses) slice.endpoints.push_back({.ip = ip(text), .ready = true, .serving = true});
    model.put(std::move(slice));
  }
  Options options() const { return {.node = "n1", .dns = kDns, .dns_node = "n1"}; }
  std::string ask(std::string_view to, uint16_t port = 53, std::optional<Protocol> protocol = Protocol::Udp) const {
    return reach(compile(model, options()), model, "shop/web", to, port, protocol);
  }
};

constexpr std::string_view kDenied = "egress denied";
constexpr std::string_view kToDns = R"({"podSelector":{},"policyTypes":["Egress"],"egress":[{"to":[{
    "namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"kube-system"}},
    "podSelector":{"matchLabels":{"k8s-app":"kube-dns"}}}],"ports":[{"protocol":"UDP","port":53}]}]})";

}  // namespace

TEST_CASE(
    "a Pod under a deny-all gets no DNS, and what is written for the Pods of cluster DNS gives it, wherever that is") {
  DnsCluster world;
  CHECK(world.ask("10.96.0.10") == "allow");
  world.policy("shop/none", R"({"podSelector":{},"policyTypes":["Egress"]})");
  for (const char* to : {"10.96.0.10", "169.254.20.10", "192.0.2.1", "192.0.2.2"}) {
    CAPTURE(to);
    CHECK(world.ask(to) == kDenied);
  }
  world.policy("shop/dns", kToDns);
  for (const char* to : {"10.96.0.10", "169.254.20.10", "192.0.2.1", "192.0.2.2"}) {
    CAPTURE(to);
    CHECK(world.ask(to) == "allow");
    CHECK(world.ask(to, 53, Protocol::Tcp) == kDenied);  // the rule names UDP
    CHECK(world.ask(to, 54) == kDenied);
    CHECK(world.ask(to, 9153, Protocol::Tcp) == kDenied);
    CHECK(world.ask(to, 0, std::nullopt) == kDenied);
  }
  CHECK(world.ask("192.0.2.3") == kDenied);  // no endpoint
  world.slice({"192.0.2.1"});
  CHECK(world.ask("192.0.2.2") == kDenied);  // no more
  world.service("app=other");
  CHECK(world.ask("10.96.0.10") == kDenied);
}

TEST_CASE("blocks are about the node that answers, as about an endpoint's address, never about the Service's") {
  DnsCluster world;
  const auto block = [&](std::string_view cidr) {
    world.policy("shop/block", fmt::format(R"({{"podSelector":{{}},"policyTypes":["Egress"],"egress":[{{"to":[
        {{"ipBlock":{{"cidr":"{}"}}}}]}}]}})",
                                           cidr));
  };
  block("10.96.0.0/16");
  CHECK(world.ask("10.96.0.10") == kDenied);
  CHECK(world.ask("10.96.0.10", 9153, Protocol::Tcp) == "allow");  // no DNS: an address like any
  block("192.0.2.1/32");
  CHECK(world.ask("10.96.0.10") == "allow");
  CHECK(world.ask("169.254.20.10") == "allow");
  CHECK(world.ask("192.0.2.2") == kDenied);
  block("0.0.0.0/0");
  CHECK(world.ask("10.96.0.10") == "allow");
}

TEST_CASE("named ports are those of the Service; rules about Nodes are not about cluster DNS") {
  DnsCluster world;
  world.policy("shop/named", R"({"podSelector":{},"policyTypes":["Egress"],"egress":[{"ports":[
      {"protocol":"UDP","port":"dns"}]}]})");
  CHECK(world.ask("10.96.0.10") == "allow");
  CHECK(world.ask("10.96.0.10", 53, Protocol::Tcp) == kDenied);
  DnsCluster nodes;
  nodes.policy("nodes", R"({"tier":"Admin","priority":1,"subject":{"namespaces":{}},"egress":[
      {"action":"Deny","to":[{"nodes":{}}]}]})");
  CHECK(nodes.ask("192.0.2.1") == "allow");
  CHECK(nodes.ask("192.0.2.1", 80, Protocol::Tcp) != "allow");
}

TEST_CASE("kept up to date by what changes, it is what a whole compile says; the rules of nftables say the same") {
  DnsCluster world;
  Compiler compiler(world.options());
  compiler.update(world.model.take_changes(), world.model);
  nft::NftRows rows(false);
  rows.rebuild(compiler, {{ip("10.0.0.1"), {.subject = *compiler.subjects.find({"shop", "web"}), .name = "shop/web"}}});
  compiler.clean();
  const auto step = [&](auto change) {
    change();
    compiler.update(world.model.take_changes(), world.model);
    CHECK(render(compiler.tables()) == render(compile(world.model, world.options())));
    rows.update(compiler, {{ip("10.0.0.1"), nft::Local{.subject = *compiler.subjects.find({"shop", "web"})}}});
    compiler.clean();
    for (const char* to : {"10.96.0.10", "169.254.20.10", "192.0.2.1", "192.0.2.2"})
      for (const Protocol protocol : {Protocol::Udp, Protocol::Tcp})
        for (const uint16_t port : {53, 9153}) {
          CAPTURE(to);
          CHECK(rows.allows(Direction::Egress, ip("10.0.0.1"), ip(to), protocol, port) ==
                (world.ask(to, port, protocol) == "allow"));
        }
  };
  step([&] { world.policy("shop/none", R"({"podSelector":{},"policyTypes":["Egress"]})"); });
  step([&] { world.policy("shop/dns", kToDns); });
  step([&] { world.slice({"192.0.2.2"}); });
  step([&] { world.ns("kube-system", "team=x"); });
  step([&] { world.service("app=other"); });
  step([&] { world.service(""); });  // k8s-app=kube-dns, as nobody said otherwise
  step([&] { world.model.remove(cluster::ServiceKey{"kube-system", "kube-dns"}); });
  step([&] { world.service("k8s-app=kube-dns"); });
  step([&] { world.model.put(cluster::Node{.name = "n1", .addresses = {ip("192.0.2.9")}}); });
  step([&] { world.model.remove(World::policy_key("shop/dns")); });
}

TEST_CASE("an explanation says what cluster DNS is taken for") {
  DnsCluster world;
  world.policy("shop/dns", kToDns);
  const Tables tables = compile(world.model, world.options());
  const auto dns = dns_address(world.model, "10.96.0.10");
  CHECK(dns == std::vector{ip("10.96.0.10")});
  CHECK(dns_address(world.model, "10.96.0.11").empty());
  const Party from = find_party(world.model, "shop/web").value(),
              to = find_party(world.model, "10.96.0.10", dns).value();
  CHECK(explain(world.model, tables, from, to, {Protocol::Udp, 53})->text ==
        "shop/web -> 10.96.0.10 53/udp: allowed\n"
        "  egress of shop/web: cluster DNS, taken for a Pod of kube-system labelled k8s-app=kube-dns at 192.0.2.1: "
        "allowed: NetworkPolicy shop/dns egress[0]\n");
  CHECK(find_party(world.model, "10.96.0.10").error().message().find("is the address of Service") != std::string::npos);
}
