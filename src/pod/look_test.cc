#include "pod/look.h"

#include <doctest/doctest.h>

using namespace causeway;
using namespace causeway::pod;

namespace {

Ip ip(const char* text) { return Ip::parse(text).value(); }
TimePoint at(int64_t seconds) { return TimePoint(std::chrono::seconds(seconds)); }

// A node with one Pod, on which everything agrees.
struct World {
  Look look;
  cluster::Model model;
  World() {
    look.node = "n1";
    look.now = at(300);
    look.records = {{.key = {"4f2a", "eth0"},
                     .state = State::Committed,
                     .begun = at(60),
                     .generation = 3,
                     .addresses = {ip("10.1.0.2")},
                     .pod = {"shop", "web-1"},
                     .pod_uid = "u1",
                     .tuning = {.bandwidth = {.ingress = Limit{20'000'000, 0}, .egress = Limit{5'100, 0}}},
                     .extras = {{.network = "shop/store", .ifname = "net1"}}}};
    look.links = {{IfIndex{7}, host_ifname(look.records[0].key), look.records[0]}};
    look.blocks = {{Cidr::parse("10.1.0.0/30").value(),
                    1,
                    1,
                    0,
                    0,
                    {{ip("10.1.0.0"), ip("10.1.0.0"), AddressBlock::Use::Network},
                     {ip("10.1.0.1"), ip("10.1.0.1"), AddressBlock::Use::Gateway},
                     {ip("10.1.0.2"), ip("10.1.0.2"), AddressBlock::Use::Held},
                     {ip("10.1.0.3"), ip("10.1.0.3"), AddressBlock::Use::Broadcast}}}};
    model.put(cluster::Attachment{.key = {"4f2a", "eth0"}, .pod = {"shop", "web-1"}, .addresses = {ip("10.1.0.2")}});
    model.put(cluster::Pod{.key = {"shop", "web-1"}, .uid = "u1", .node = "n1", .addresses = {ip("10.1.0.2")}});
    model.set_synced(cluster::Source::Pods);
  }
  std::string different() const {
    std::string text;
    for (const auto& line : differences(look, model)) text += line + "\n";
    return text;
  }
};

}  // namespace

TEST_CASE("pod ls names every attachment, and ipam every address") {
  World world;
  CHECK(
      list_attachments(world.look, world.model, false) ==
      "node n1: 1 attachments\n"
      "POD         CONTAINER  INTERFACE  ADDRESSES  MAC                SINCE  STATE      HOST PORTS  BANDWIDTH        "
      "NETWORKS\n"
      "shop/web-1  4f2a       eth0       10.1.0.2   0a:58:0a:01:00:02  4m     connected  -           in 20M out 5100  "
      "net1@shop/store\n"
      "addresses, kernel and API: agree\n");
  CHECK(list_addresses(world.look, world.model, false) ==
        "node n1\n"
        "10.1.0.0/30: 1 for Pods, 1 held, 0 cooling, 0 reserved\n"
        "  10.1.0.0  network\n"
        "  10.1.0.1  node\n"
        "  10.1.0.2  held by Pod shop/web-1 (4f2a/eth0) for 4m\n"
        "  10.1.0.3  broadcast\n"
        "addresses, kernel and API: agree\n");
  CHECK(list_addresses(world.look, world.model, true).ends_with("\"differences\":[]}\n"));
}

TEST_CASE("a link that is gone, one of nobody, and one that says something else are told") {
  World world;
  world.look.links[0].name = "cw000000000000";
  world.look.links[0].record.reset();
  const auto name = host_ifname(world.look.records[0].key);
  CHECK(world.different() ==
        "Pod shop/web-1 has 10.1.0.2, but its link " + name + " is gone\nlink cw000000000000 belongs to nobody\n");
  World other;
  other.look.links[0].record->addresses = {ip("10.1.0.9")};
  CHECK(other.different() == "Pod shop/web-1 has 10.1.0.2, but its link " + name + " says 10.1.0.9\n");
}

TEST_CASE("the API and the node are compared when the API has told all") {
  World world;
  world.model.put(cluster::Pod{.key = {"shop", "web-1"}, .uid = "u1", .node = "n1", .addresses = {ip("10.1.0.9")}});
  CHECK(world.different() ==
        "Pod shop/web-1 has 10.1.0.2, but the API says 10.1.0.9\n"
        "the API says that Pod shop/web-1 has 10.1.0.9, but no attachment of this node has it\n");
  world.model.remove_pod({"shop", "web-1"});
  CHECK(world.different() ==
        "Pod shop/web-1 (4f2a/eth0) has 10.1.0.2, but the API has no such Pod on this node (any more)\n");
  // Between its DEL and the API's hearing of the Pod's end.
  World leaving;
  leaving.look.records.clear();
  leaving.look.links.clear();
  CHECK(leaving.different() ==
        "the API says that Pod shop/web-1 has 10.1.0.2, but no attachment of this node has it\n");
  leaving.look.blocks[0].spans[2].use = AddressBlock::Use::Cooling;
  CHECK(leaving.different() == "");
  World early;
  early.model = cluster::Model();
  early.model.put(
      cluster::Attachment{.key = {"4f2a", "eth0"}, .pod = {"shop", "web-1"}, .addresses = {ip("10.1.0.2")}});
  CHECK(early.different() == "the API server has not told the node's Pods yet\n");
}

TEST_CASE("an API server that cannot be asked is a difference, and what it said last is compared still") {
  World world;
  world.look.api_trouble = "pods: connect to 172.30.0.2:6443: timed out";
  CHECK(world.different() ==
        "the API server cannot be asked (what it said last is compared): pods: connect to 172.30.0.2:6443: timed "
        "out\n");
  CHECK(!list_addresses(world.look, world.model, false).ends_with("agree\n"));
  world.look.records[0].addresses = {ip("10.1.0.9")};
  CHECK(world.different().find("but the API says 10.1.0.2") != std::string::npos);
}

TEST_CASE("an address that was promised to another Pod, or is elsewhere now, is told") {
  World world;
  world.model.put(cluster::Reservation{.address = ip("10.1.0.2"), .pod = {"shop", "db-0"}});
  CHECK(world.different() == "Pod shop/web-1 has 10.1.0.2, which is reserved for Pod shop/db-0\n");
  world.model.put(cluster::Reservation{.address = ip("10.1.0.2"), .pod = {"shop", "web-1"}, .node = "n2"});
  CHECK(world.different() == "Pod shop/web-1 has 10.1.0.2, which Pod shop/web-1 has on node n2 now\n");
}

TEST_CASE("an attachment without a data path, and an address held twice, are told") {
  World world;
  world.look.records.push_back(world.look.records[0]);
  world.look.records[1].key.container = "other";
  world.look.records[1].pod = {};
  CHECK(world.different().find("10.1.0.2 is held twice: by 4f2a/eth0 and by other/eth0\n") != std::string::npos);
  CHECK(world.different().find("container other/eth0 has 10.1.0.2, but the data path does not know it\n") !=
        std::string::npos);
}
