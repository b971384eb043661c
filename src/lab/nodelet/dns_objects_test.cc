#include "lab/nodelet/dns_objects.h"

#include <doctest/doctest.h>

#include "kube/api/codec.h"

using namespace causeway;
using namespace causeway::lab;

namespace {
const Ip kV4 = *Ip::parse("172.30.1.11"), kV6 = *Ip::parse("fd30:0:0:1::b");
}

TEST_CASE("cluster DNS is one Service at the addresses that Pods are told, for each family of the lab") {
  const auto one = dns_service({*Ip::parse("10.96.0.10")});
  CHECK(kube::full_name(one.metadata) == "kube-system/kube-dns");
  CHECK(one.spec.cluster_ips == std::vector<std::string>{"10.96.0.10"});
  CHECK(one.spec.ip_family_policy == "SingleStack");
  const auto both = dns_service({*Ip::parse("10.96.0.10"), *Ip::parse("fd10:96::a")});
  CHECK(both.spec.cluster_ips == std::vector<std::string>{"10.96.0.10", "fd10:96::a"});
  CHECK(both.spec.ip_families == std::vector<std::string>{"IPv4", "IPv6"});
  CHECK(both.spec.selector == kube::StringMap{{"k8s-app", "kube-dns"}});
}

TEST_CASE("a node is one endpoint in each family, hinted to itself, ready as its DNS is") {
  const auto slices = dns_slices("node-1", {kV4, kV6}, false);
  REQUIRE(slices.size() == 2);
  CHECK(slices[0].metadata.name == "kube-dns-node-1-ipv4");
  CHECK(slices[1].address_type == "IPv6");
  CHECK(slices[1].endpoints[0].addresses == std::vector<std::string>{"fd30:0:0:1::b"});
  CHECK(slices[0].endpoints[0].conditions.ready == false);
  CHECK(dns_slices("node-1", {kV4}, true)[0].endpoints[0].conditions.ready == true);
  CHECK(slices[0].endpoints[0].hints->for_nodes == std::vector<kube::HintName>{{"node-1"}});
  CHECK(slices[0].metadata.labels.at("kubernetes.io/service-name") == "kube-dns");
}
