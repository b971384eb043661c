#include "cluster/model/own_ranges.h"

#include <doctest/doctest.h>

using namespace causeway;
using namespace causeway::cluster;

namespace {

Ip ip(const char* text) { return Ip::parse(text).value(); }
Cidr cidr(const char* text) { return Cidr::parse(text).value(); }

Model small_cluster() {
  Model model;
  NodeFacts facts{.name = "n1", .addresses = {ip("172.17.0.1")}};
  facts.uplink = {.name = "eth0", .ifindex = IfIndex{2}, .mtu = 1500, .addresses = {{ip("192.0.2.1"), 24}}};
  model.set_facts(facts);
  model.put(Node{.name = "n1", .addresses = {ip("192.0.2.1")}, .pod_cidrs = {cidr("10.244.1.0/24")}});
  model.put(Node{.name = "n2",
                 .addresses = {ip("192.0.2.2"), ip("2001:db8::2")},
                 .pod_cidrs = {cidr("10.244.2.0/24"), cidr("fd00:2::/64")}});
  model.put(ServiceCidr{.name = "kubernetes", .cidrs = {cidr("10.96.0.0/16")}});
  Service web{.key = {"shop", "web"}};
  web.cluster_ips = {ip("10.99.0.9")};
  web.external_ips = {ip("198.51.100.7")};
  model.put(web);
  EndpointSlice api{.key = {"default", "kubernetes"}, .service = "kubernetes"};
  api.endpoints = {SliceEndpoint{.ip = ip("203.0.113.9")}};
  model.put(api);
  return model;
}

}  // namespace

TEST_CASE("an address of the cluster's own is told with what it is") {
  const Model model = small_cluster();
  const FixedRanges fixed{.services = {cidr("10.97.0.0/16")}, .api_servers = {ip("203.0.113.7")}};
  const auto why = [&](const char* text) { return why_no_pods_address(ip(text), model, fixed); };
  CHECK(why("203.0.113.7") == "it is the API server's");
  CHECK(why("203.0.113.9") == "it is the API server's");
  CHECK(why("192.0.2.2") == "it is an address of Node n2");
  CHECK(why("2001:db8::2") == "it is an address of Node n2");
  CHECK(why("172.17.0.1") == "it is an address of this node, n1");
  CHECK(why("10.96.0.1") == "it is inside of the Service range 10.96.0.0/16 (ServiceCIDR kubernetes)");
  CHECK(why("10.97.0.1") == "it is inside of the Service range 10.97.0.0/16");
  CHECK(why("10.244.1.1") == "it is the node's own address of 10.244.1.0/24, the range of Node n1");
  CHECK(why("10.244.2.0") == "it is the network address of 10.244.2.0/24, the range of Node n2");
  CHECK(why("10.244.2.255") == "it is the broadcast address of 10.244.2.0/24, the range of Node n2");
  CHECK(why("fd00:2::") == "it is the network address of fd00:2::/64, the range of Node n2");
  for (const char* special : {"0.0.0.0", "0.1.2.3", "127.0.0.1", "169.254.1.1", "224.0.0.1", "255.255.255.255",
                              "::", "::1", "fe80::1", "ff02::1"})
    CHECK_MESSAGE(why(special) == "it is none that a host can have for itself", special);
  for (const char* free :
       {"10.244.1.2", "10.244.2.254", "fd00:2::ffff:ffff:ffff:ffff", "10.244.200.7", "192.0.2.77", "240.10.1.5"})
    CHECK_MESSAGE(why(free).empty(), free);
  CHECK(service_address(ip("10.99.0.9"), model) == "it is an address of Service shop/web");
  CHECK(service_address(ip("198.51.100.7"), model).empty());  // whoever may make Services could take a Pod its address
  CHECK(service_address(ip("10.244.1.2"), model).empty());
}

TEST_CASE("a range of up to four addresses keeps none from Pods") {
  CHECK(kept_from_pods(cidr("10.1.0.0/30"), ip("10.1.0.0")).empty());
  CHECK(kept_from_pods(cidr("10.1.0.0/29"), ip("10.1.0.7")) == "broadcast address");
  CHECK(kept_from_pods(cidr("fd00::/64"), ip("fd00::ffff:ffff:ffff:ffff")).empty());
  CHECK(kept_from_pods(cidr("10.1.0.0/24"), ip("10.2.0.0")).empty());
}

TEST_CASE("a further network that would lead the cluster's traffic away is told with what it overlaps") {
  Model model = small_cluster();
  model.put(Reservation{.address = ip("172.20.0.5"), .pod = {"shop", "db-0"}});
  const FixedRanges fixed{.services = {}, .api_servers = {ip("203.0.113.7")}};
  const auto route = [&](const char* text) { return overlapped(cidr(text), false, model, fixed); };
  const auto subnet = [&](const char* text) { return overlapped(cidr(text), true, model, fixed); };
  CHECK(route("0.0.0.0/1") == "10.244.1.0/24, the Pods of Node n1");
  CHECK(route("128.0.0.0/1") == "169.254.1.1, the gateway of every Pod");
  CHECK(route("fe80::/64") == "fe80::1, the gateway of every Pod");
  CHECK(route("10.244.2.7/32") == "10.244.2.0/24, the Pods of Node n2");
  CHECK(route("10.96.0.0/24") == "10.96.0.0/16, Services (ServiceCIDR kubernetes)");
  CHECK(route("10.99.0.9/32") == "10.99.0.9: it is an address of Service shop/web");
  CHECK(route("192.0.2.0/25") == "192.0.2.1, an address of Node n1");
  CHECK(route("2001:db8::/64") == "2001:db8::2, an address of Node n2");
  CHECK(route("203.0.113.0/29") == "203.0.113.7, the API server");
  CHECK(route("172.20.0.0/16") == "172.20.0.5, reserved for Pod shop/db-0");
  CHECK(route("198.18.0.0/15").empty());
  CHECK(subnet("10.244.0.0/16") == "10.244.1.0/24, the Pods of Node n1");
  CHECK(subnet("203.0.113.0/24") == "203.0.113.7, the API server");
  // Of the Nodes' own link: their addresses count, the rest of it is beside them.
  CHECK(subnet("192.0.2.0/24").empty());
  CHECK(subnet("192.0.2.2/32") == "192.0.2.2, an address of Node n2");
  CHECK(subnet("192.0.2.77/32").empty());
}
