#include "cluster/model/model.h"

#include <doctest/doctest.h>

#include <random>

#include "cluster/model/project.h"

using namespace causeway;
using namespace causeway::cluster;

static Ip ip(std::string_view text) { return Ip::parse(text).value(); }
static Cidr cidr(std::string_view text) { return Cidr::parse(text).value(); }
static Node node(std::string name, std::string_view address, std::string_view pods) {
  return {.name = std::move(name), .addresses = {ip(address)}, .pod_cidrs = {cidr(pods)}};
}

TEST_CASE("many updates of one object are one change, and a change that was undone is none") {
  Model model;
  model.put(node("a", "192.0.2.1", "10.0.1.0/24"));
  model.take_changes();

  model.put(node("a", "192.0.2.2", "10.0.1.0/24"));
  model.put(node("a", "192.0.2.3", "10.0.1.0/24"));
  auto generation = model.put(node("b", "192.0.2.9", "10.0.2.0/24"));
  auto changes = model.take_changes();
  CHECK(changes.generation == generation);
  CHECK(changes.nodes.size() == 2);
  CHECK(changes.nodes.at("a")->addresses == std::vector{ip("192.0.2.1")});
  CHECK_FALSE(changes.nodes.at("b").has_value());

  model.put(node("a", "192.0.2.4", "10.0.1.0/24"));
  model.put(node("a", "192.0.2.3", "10.0.1.0/24"));
  model.put(node("c", "192.0.2.7", "10.0.3.0/24"));
  model.remove_node("c");
  CHECK_FALSE(model.changed());
  CHECK(model.take_changes().generation == model.generation());
}

TEST_CASE("an equal object is no change and keeps the generation") {
  Model model;
  const auto first = model.put(node("a", "192.0.2.1", "10.0.1.0/24"));
  CHECK(model.put(node("a", "192.0.2.1", "10.0.1.0/24")) == first);
  CHECK(model.remove_node("b") == first);
  CHECK(model.set_synced(Source::Nodes) > first);
}

TEST_CASE("merged change sets keep the oldest value") {
  Model model;
  model.put(node("a", "192.0.2.1", "10.0.1.0/24"));
  ChangeSet all = model.take_changes();
  model.put(node("a", "192.0.2.2", "10.0.1.0/24"));
  model.put(Attachment{.key = {"c1", "eth0"}, .addresses = {ip("10.0.1.5")}});
  all.merge(model.take_changes());
  CHECK_FALSE(all.nodes.at("a").has_value());
  CHECK(all.attachments.size() == 1);
  CHECK(all.generation == model.generation());
}

TEST_CASE("indexes follow the objects") {
  Model model;
  model.put(node("a", "192.0.2.1", "10.0.1.0/24"));
  model.put(node("b", "192.0.2.1", "10.0.0.0/16"));
  CHECK(model.nodes_at(ip("192.0.2.1")) == std::set<std::string>{"a", "b"});
  CHECK(model.nodes_overlapping(cidr("10.0.1.128/25")) == std::set<std::string>{"a", "b"});
  CHECK(model.nodes_overlapping(cidr("10.0.2.0/24")) == std::set<std::string>{"b"});
  model.put(node("b", "192.0.2.2", "10.1.0.0/16"));
  CHECK(model.nodes_at(ip("192.0.2.1")) == std::set<std::string>{"a"});
  CHECK(model.nodes_overlapping(cidr("10.0.0.0/8")) == std::set<std::string>{"a", "b"});
  CHECK(model.nodes_overlapping(cidr("10.0.2.0/24")).empty());
  model.put(Attachment{.key = {"c1", "eth0"}, .addresses = {ip("10.0.1.5")}});
  model.remove(AttachmentKey{"c1", "eth0"});
  CHECK(model.attachments_at(ip("10.0.1.5")).empty());
}

TEST_CASE("the prefix index finds what a comparison of all pairs finds") {
  for (unsigned seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    auto any = [&] {
      if (random() % 2) return Cidr(Ip::v4(0x0a000000u | (random() & 0xffff)), 12 + static_cast<int>(random() % 21));
      std::array<uint8_t, 16> bytes{0xfd};
      bytes[7] = static_cast<uint8_t>(random());
      return Cidr(Ip::v6(bytes), 50 + static_cast<int>(random() % 20));
    };
    CidrIndex index;
    std::vector<std::pair<Cidr, std::string>> all;
    for (int i = 0; i < 40; ++i) {
      all.emplace_back(any(), "n" + std::to_string(i));
      index.add(all.back().first, all.back().second);
    }
    for (int i = 0; i < 10; ++i) {
      index.remove(all.back().first, all.back().second);
      all.pop_back();
    }
    for (int i = 0; i < 40; ++i) {
      const Cidr probe = any();
      CAPTURE(to_string(probe));
      std::set<std::string> expected;
      for (const auto& [prefix, owner] : all)
        if (prefix.overlaps(probe)) expected.insert(owner);
      CHECK(index.overlapping(probe) == expected);
    }
  }
}

TEST_CASE("a Node of the API becomes a Node of the model, in old notations too") {
  kube::Node api;
  api.metadata.name = "n1";
  api.spec.pod_cidrs = {"10.244.1.7/24", "fd00:1::/64"};
  api.status.addresses = {{"Hostname", "n1"},
                          {"InternalIP", "192.168.010.1"},
                          {"InternalIP", "2001:db8::1"},
                          {"ExternalIP", "203.0.113.1"}};
  Model model;
  model.put(project(api));
  CHECK(render(model) ==
        "generation 1 nodes=waiting pods=waiting namespaces=waiting attachments=waiting "
        "services=waiting endpointslices=waiting servicecidrs=waiting addressreservations=waiting "
        "networkpolicies=waiting clusternetworkpolicies=waiting\n"
        "self - uplink - index 0 mac 00:00:00:00:00:00 mtu 0\n"
        "node n1 addresses 192.168.10.1,2001:db8::1 pods 10.244.1.0/24,fd00:1::/64\n");
  api.spec.pod_cidrs = {"10.244.1.0/33"};
  CHECK(project(api).problem.starts_with("spec.podCIDRs: "));
}

TEST_CASE("a heartbeat of a Node is no change") {
  kube::Node api;
  api.metadata.name = "n1";
  Model model;
  const auto first = model.put(project(api));
  api.metadata.resource_version = "77";
  api.status.conditions.push_back({.type = "Ready", .status = "True"});
  CHECK(model.put(project(api)) == first);
}

TEST_CASE("a Node that is deleted, or that the cluster autoscaler takes, is leaving; one cordoned is not") {
  kube::Node api;
  api.spec.unschedulable = true;
  api.spec.taints = {{.key = "node.kubernetes.io/unschedulable", .effect = "NoSchedule"}};
  CHECK_FALSE(project(api).leaving);
  api.spec.taints.push_back({.key = "ToBeDeletedByClusterAutoscaler", .effect = "NoSchedule"});
  CHECK(project(api).leaving);
  api.spec.taints.clear();
  api.metadata.deletion_timestamp = kube::Time{};
  CHECK(project(api).leaving);
}
