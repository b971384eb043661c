#include "cluster/model/services.h"

#include <doctest/doctest.h>

#include "cluster/model/model.h"
#include "cluster/model/project.h"

using namespace causeway;
using namespace causeway::cluster;

namespace {
Ip ip(std::string_view text) { return Ip::parse(text).value(); }

kube::Service web() {
  kube::Service service;
  service.metadata.ns = "shop";
  service.metadata.name = "web";
  service.spec.type = "ClusterIP";
  service.spec.cluster_ips = {"10.96.0.7"};
  service.spec.ports = {{.name = "http", .protocol = "TCP", .port = 80}};
  return service;
}

kube::EndpointSlice slice(std::string name, std::string address) {
  kube::EndpointSlice slice;
  slice.metadata.ns = "shop";
  slice.metadata.name = std::move(name);
  slice.metadata.labels["kubernetes.io/service-name"] = "web";
  slice.address_type = "IPv4";
  slice.ports = {{.name = "http", .protocol = "TCP", .port = 8080}};
  slice.endpoints = {{.addresses = {std::move(address)}, .node_name = "n1"}};
  return slice;
}
}  // namespace

TEST_CASE("stored addresses of a Service are read in all old forms, leading zeros as decimal") {
  kube::Service service = web();
  service.spec.type = "LoadBalancer";
  service.spec.cluster_ips = {"010.096.000.007", "FD00:0::7"};
  service.spec.external_ips = {"::ffff:192.0.2.9", "192.000.002.010"};
  service.spec.load_balancer_source_ranges = {" 192.168.0.5/24 ", "10.0.0.0/08"};
  service.status.load_balancer.ingress = {{.ip = "203.0.113.010"}, {.ip = "203.0.113.11", .ip_mode = "Proxy"}};
  const Service read = project(service);
  CHECK(read.problem == "");
  CHECK(read.cluster_ips == std::vector{ip("10.96.0.7"), ip("fd00::7")});
  CHECK(read.external_ips == std::vector{ip("192.0.2.9"), ip("192.0.2.10")});
  CHECK(read.load_balancer_ips == std::vector{ip("203.0.113.10")});
  CHECK(read.source_ranges == std::vector{Cidr(ip("192.168.0.0"), 24), Cidr(ip("10.0.0.0"), 8)});
}

TEST_CASE("a stored range of IPv4-mapped addresses is the one that upstream reads: of IPv4 from 96 bits on") {
  kube::Service service = web();
  service.spec.type = "LoadBalancer";
  service.spec.load_balancer_source_ranges = {"::ffff:10.0.0.0/104", "::ffff:10.0.0.0/24", "::ffff:10.0.0.7/128"};
  const Service read = project(service);
  CHECK(read.problem == "");
  CHECK(read.source_ranges == std::vector{Cidr(ip("10.0.0.0"), 8), Cidr(ip("::"), 24), Cidr(ip("10.0.0.7"), 32)});
}

TEST_CASE("what of a Service cannot be served is named, and the rest is kept") {
  kube::Service service = web();
  service.spec.type = "NodePort";
  service.spec.ports.push_back({.name = "quic", .protocol = "QUIC", .port = 443});
  service.spec.ports.push_back({.name = "far", .protocol = "TCP", .port = 81, .node_port = 70000});
  service.spec.external_ips = {"127.0.0.1", "nonsense"};
  const Service read = project(service);
  CHECK(read.ports.size() == 2);
  CHECK(read.external_ips.empty());
  CHECK(read.problem ==
        "spec.externalIPs: 127.0.0.1 is no address that others can send to; spec.externalIPs: 'nonsense' is not an IP "
        "address; port quic: protocol QUIC is not one of TCP, UDP, SCTP; port far: node port 70000 is no port number");
}

TEST_CASE("an EndpointSlice keeps ports with a name and a number, the first address, and what conditions mean") {
  kube::EndpointSlice api = slice("web-1", "10.1.0.5");
  api.ports.push_back({.protocol = "TCP", .port = 1});
  api.ports.push_back({.name = "none", .protocol = "TCP"});
  api.endpoints[0].addresses.push_back("10.1.0.99");
  api.endpoints.push_back(
      {.addresses = {"10.1.0.6"}, .conditions = {.ready = false, .serving = true, .terminating = true}});
  api.endpoints.push_back({.addresses = {"fd00::1"}});
  api.metadata.annotations[std::string(kEndpointWeights)] = "10.1.0.6=7, 10.1.0.5=0";
  const EndpointSlice read = project(api);
  REQUIRE(read.ports.size() == 1);
  REQUIRE(read.endpoints.size() == 2);
  CHECK(read.endpoints[0].ip == ip("10.1.0.5"));
  CHECK(read.endpoints[0].ready);
  CHECK(read.endpoints[0].serving);
  CHECK(read.endpoints[0].node == "n1");
  CHECK_FALSE(read.endpoints[1].ready);
  CHECK(read.endpoints[1].terminating);
  CHECK(read.endpoints[1].weight == 7);
  CHECK(read.problem ==
        "endpoint fd00::1 is no IPv4 address; annotation service.causeway.io/weights: \"10.1.0.5=0\" is no "
        "ADDRESS=WEIGHT "
        "with a weight of 1-65535");
}

TEST_CASE("stored addresses of an EndpointSlice are read in all old forms; what nobody can serve is named") {
  kube::EndpointSlice api = slice("web-1", "010.001.000.005");
  api.ports.push_back({.name = "quic", .protocol = "QUIC", .port = 443});
  api.ports.push_back({.name = "far", .protocol = "TCP", .port = 70000});
  api.endpoints.push_back({.addresses = {"::ffff:10.1.0.6"}});
  api.endpoints.push_back({.addresses = {"10.1.0.256"}});
  const EndpointSlice read = project(api);
  REQUIRE(read.endpoints.size() == 2);
  CHECK(read.endpoints[0].ip == ip("10.1.0.5"));  // decimal, never octal
  CHECK(read.endpoints[1].ip == ip("10.1.0.6"));
  REQUIRE(read.ports.size() == 1);
  CHECK(read.problem ==
        "port quic: protocol QUIC is not one of TCP, UDP, SCTP; port far: 70000 is no port number; endpoint: "
        "'10.1.0.256' is not an IP address");
}

TEST_CASE("a Service and its endpoints keep what DNS calls them by") {
  kube::Service service = web();
  service.spec.cluster_ip = "None";
  service.spec.cluster_ips = {"None"};
  service.metadata.labels = {{"team", "a"}, {"service.kubernetes.io/headless", ""}};
  const Service headless = project(service);
  CHECK(headless.headless);
  CHECK(headless.left_to_others);
  CHECK(headless.cluster_ips.empty());
  CHECK(headless.labels.size() == 2);
  CHECK(headless.labels[1].first == "team");
  CHECK_FALSE(project(web()).headless);
  service.spec.type = "ExternalName";
  service.spec.external_name = "www.example.com.";
  CHECK(project(service).external_name == "www.example.com.");

  kube::EndpointSlice api = slice("web-1", "10.1.0.5");
  api.endpoints[0].hostname = "web-0";
  api.endpoints[0].target_ref.emplace();
  api.endpoints[0].target_ref->kind = "Pod";
  api.endpoints[0].target_ref->name = "web-0-abcde";
  CHECK(project(api).endpoints[0].hostname == "web-0");
  CHECK(project(api).endpoints[0].pod.empty());  // only for who asks: there may be 250,000
  CHECK(project(api, true).endpoints[0].pod == "web-0-abcde");
}

TEST_CASE("the model finds slices by Service and Services by what they claim") {
  Model model;
  model.put(project(web()));
  model.put(project(slice("web-2", "10.1.0.6")));
  model.put(project(slice("web-1", "10.1.0.5")));
  const ServiceKey key{"shop", "web"};
  auto slices = model.slices_of(key);
  REQUIRE(slices.size() == 2);
  CHECK(slices[0]->key.name == "web-1");
  CHECK(model.slices_of({"shop", "we"}).empty());
  const ServiceClaim claim{ip("10.96.0.7"), 80, Protocol::Tcp};
  REQUIRE(model.services_claiming(claim).size() == 1);
  CHECK(model.services_claiming(claim)[0]->key == key);

  kube::EndpointSlice moved = slice("web-1", "10.1.0.5");
  moved.metadata.labels["kubernetes.io/service-name"] = "other";
  model.put(project(moved));
  CHECK(model.slices_of(key).size() == 1);
  CHECK(model.slices_of({"shop", "other"}).size() == 1);
  model.remove(key);
  CHECK(model.services_claiming(claim).empty());
}

TEST_CASE("a Service that is back as it was is no change") {
  Model model;
  model.put(project(web()));
  model.take_changes();
  const auto before = model.generation();
  model.put(project(web()));
  CHECK(model.generation() == before);
  kube::Service other = web();
  other.spec.ports[0].port = 81;
  model.put(project(other));
  CHECK(model.generation() != before);
  model.put(project(web()));
  CHECK(model.take_changes().services.empty());
  model.remove(ServiceKey{"shop", "web"});
  const ChangeSet changes = model.take_changes();
  REQUIRE(changes.services.size() == 1);
  CHECK(changes.services.begin()->second->ports[0].port == 80);
}

TEST_CASE("names share one allocation until nobody holds them") {
  Names names;
  const Name a = names.one("default");
  CHECK(a == "default");
  CHECK(a.view().data() == names.one("default").view().data());
  CHECK(a + "/" + Name("web") == "default/web");
  CHECK(fmt::format("{:>9}", a) == "  default");
  for (int i = 0; i < 5000; ++i) names.one(std::to_string(i));
  CHECK(a.view().data() == names.one("default").view().data());
  CHECK(Name("a") < Name("b"));
  CHECK(Name() == "");
}
