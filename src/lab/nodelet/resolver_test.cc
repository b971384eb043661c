#include "lab/nodelet/resolver.h"

#include <doctest/doctest.h>

using namespace causeway;
using namespace causeway::lab;

namespace {
constexpr const char* kNode = "nameserver 203.0.113.2\nsearch rack1.example corp.example.\noptions timeout:1 rotate\n";

kube::Pod pod(const std::string& policy = "ClusterFirst") {
  kube::Pod out;
  out.metadata.ns = "shop";
  out.metadata.name = "web-1";
  out.spec.dns_policy = policy;
  return out;
}
const std::vector<Ip> kDns = {*Ip::parse("10.96.0.10")};

std::string file(const kube::Pod& pod, const std::vector<Ip>& dns = kDns) {
  return compile_resolver(pod, kNode, dns).file();
}
std::string events(const kube::Pod& pod, const std::vector<Ip>& dns = kDns) {
  std::string out;
  for (const auto& [reason, message] : compile_resolver(pod, kNode, dns).events) out += reason + ": " + message + "\n";
  return out;
}
constexpr const char* kCluster =
    "search shop.svc.cluster.local svc.cluster.local cluster.local rack1.example corp.example\n"
    "nameserver 10.96.0.10\n"
    "options ndots:5\n";
constexpr const char* kOfNode = "search rack1.example corp.example\nnameserver 203.0.113.2\noptions timeout:1 rotate\n";
}  // namespace

TEST_CASE("resolv.conf by dnsPolicy: the cluster's DNS with the node's domains last, the node's own, or nothing") {
  CHECK(file(pod()) == kCluster);
  CHECK(file(pod("Default")) == kOfNode);
  CHECK(file(pod("None")) == "");
  CHECK(events(pod()) == "");
}

TEST_CASE("a Pod of the node's network has the node's DNS, and the cluster's where it says so") {
  auto one = pod();
  one.spec.host_network = true;
  CHECK(file(one) == kOfNode);
  one.spec.dns_policy = "ClusterFirstWithHostNet";
  CHECK(file(one) == kCluster);
}

TEST_CASE("dnsConfig is added to what the policy gives, each once, and an option of the same name replaces") {
  auto one = pod();
  one.spec.dns_config = kube::PodDnsConfig{.nameservers = {"1.2.3.4", "10.96.0.10"},
                                           .searches = {"db.example", "cluster.local"},
                                           .options = {{"ndots", "2"}, {"edns0", std::nullopt}, {"rotate", ""}}};
  CHECK(file(one) ==
        "search shop.svc.cluster.local svc.cluster.local cluster.local rack1.example corp.example db.example\n"
        "nameserver 10.96.0.10\nnameserver 1.2.3.4\noptions ndots:2 edns0 rotate\n");
  one.spec.dns_policy = "None";
  CHECK(file(one) ==
        "search db.example cluster.local\nnameserver 1.2.3.4\nnameserver 10.96.0.10\noptions ndots:2 edns0 rotate\n");
}

TEST_CASE("what resolvers cannot take is left out, and an Event says what stayed") {
  auto one = pod();
  one.spec.dns_config = kube::PodDnsConfig{.nameservers = {"1.1.1.1", "2.2.2.2", "3.3.3.3"}};
  CHECK(events(one) ==
        "DNSConfigForming: Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver "
        "line is: 10.96.0.10 1.1.1.1 2.2.2.2\n");
  one = pod("None");
  one.spec.dns_config = kube::PodDnsConfig{.nameservers = {"1.1.1.1"}};
  for (int i = 0; i < 33; ++i) one.spec.dns_config->searches.push_back(fmt::format("d{}", i));
  CHECK(compile_resolver(one, kNode, kDns).searches.size() == 32);
  CHECK(events(one).starts_with("DNSConfigForming: Search Line limits were exceeded"));
  // 11 times 186 characters and 10 blanks are more than 2048.
  one.spec.dns_config->searches.clear();
  for (int i = 0; i < 11; ++i)
    one.spec.dns_config->searches.push_back(fmt::format("{:02}.{}", i, std::string(183, 'a')));
  CHECK(compile_resolver(one, kNode, kDns).searches.size() == 10);
  one.spec.dns_config->searches = {std::string(254, 'a'), "kept"};
  CHECK(compile_resolver(one, kNode, kDns).searches == std::vector<std::string>{"kept"});
}

TEST_CASE("without cluster DNS a Pod has the node's, and an Event says so") {
  CHECK(file(pod(), {}) == kOfNode);
  CHECK(
      events(pod("ClusterFirstWithHostNet"), {}) ==
      "MissingClusterDNS: the lab runs without cluster DNS (--no-dns): dnsPolicy \"ClusterFirstWithHostNet\" is taken "
      "for \"Default\"\n");
}

TEST_CASE("of several search lines in a node's resolv.conf the last counts") {
  CHECK(parse_resolver("search a b\nsearch c\nnameserver ::1\nnameserver\n# nameserver 9.9.9.9\n").file() ==
        "search c\nnameserver ::1\n");
}
