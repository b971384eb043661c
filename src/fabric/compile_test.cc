#include "fabric/compile.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "fabric/desired.h"

using namespace causeway;
using namespace causeway::fabric;
using cluster::Model;

static Ip ip(std::string_view text) { return Ip::parse(text).value(); }
static Cidr cidr(std::string_view text) { return Cidr::parse(text).value(); }

// Any model of a handful of nodes and attachments whose addresses and prefixes collide often.
namespace {
struct Chaos {
  std::mt19937 random;
  Model model;

  explicit Chaos(unsigned seed) : random(seed) { facts(); }
  unsigned pick(unsigned n) { return random() % n; }
  std::string node_name() { return "n" + std::to_string(pick(8)); }

  Cidr pod_cidr() {
    static const char* const kCidrs[] = {"10.244.0.0/24", "10.244.1.0/24", "10.244.2.0/24", "10.244.2.0/25",
                                         "10.244.0.0/22", "192.0.2.0/26",  "fd00:1::/64",   "fd00:2::/64",
                                         "fd00::/16",     "10.244.9.9/32"};
    return cidr(kCidrs[pick(std::size(kCidrs))]);
  }
  Ip address() {
    static const char* const kAddresses[] = {"192.0.2.1",    "192.0.2.2",     "192.0.2.3",
                                             "198.51.100.1", "198.51.100.2",  "2001:db8::1",
                                             "2001:db8::2",  "2001:db8:1::2", "10.244.2.200"};
    return ip(kAddresses[pick(std::size(kAddresses))]);
  }
  Ip reserved() {
    static const char* const kElsewhere[] = {"10.244.2.200", "10.244.1.9", "172.20.0.5", "192.0.2.2", "fd00:1::6"};
    return pick(3) ? ip(kElsewhere[pick(std::size(kElsewhere))]) : Ip::v4(0x0af40005 + pick(4));
  }
  void facts() {
    cluster::NodeFacts facts{.name = "n0"};
    facts.uplink = {.name = "eth0", .ifindex = IfIndex{2 + pick(2)}, .mtu = pick(3) ? 1500u : 1340u};
    facts.uplink.addresses = {{ip("192.0.2.1"), 24}};
    if (pick(2)) facts.uplink.addresses.push_back({ip("2001:db8::1"), 64});
    facts.addresses = {ip("192.0.2.1")};
    if (pick(4) == 0) facts.addresses.push_back(ip("172.17.0.1"));
    model.set_facts(std::move(facts));
  }
  void step() {
    switch (pick(14)) {
      case 13:
        if (pick(2))
          model.put(cluster::ServiceCidr{.name = "more", .cidrs = {cidr(pick(2) ? "172.20.0.0/16" : "10.244.1.0/28")}});
        else
          model.remove_service_cidr("more");
        break;
      case 0: facts(); break;
      case 1:
      case 2: model.remove_node(node_name()); break;
      case 3:
      case 4: {
        cluster::Attachment a{.key = {"c" + std::to_string(pick(5)), "eth0"}, .host_ifindex = IfIndex{10 + pick(5)}};
        a.addresses.push_back(Ip::v4(0x0af40005 + pick(4)));
        if (pick(2)) a.addresses.push_back(ip("fd00:1::5").plus(pick(3)));
        a.host_ifindex = IfIndex{static_cast<uint32_t>(10 + (a.key.container[1] - '0'))};
        model.put(std::move(a));
        break;
      }
      case 5: model.remove(cluster::AttachmentKey{"c" + std::to_string(pick(5)), "eth0"}); break;
      case 6: model.remove_reservation(reserved()); break;
      case 7:
      case 8:
        model.put(cluster::Reservation{.address = reserved(), .pod = {"a", "b"}, .node = pick(5) ? node_name() : ""});
        break;
      default: {
        cluster::Node node{.name = node_name(), .created = pick(5)};
        for (unsigned i = pick(3); i > 0; --i) node.addresses.push_back(address());
        for (unsigned i = pick(3); i > 0; --i) node.pod_cidrs.push_back(pod_cidr());
        if (pick(20) == 0) node.problem = "spec.podCIDRs: bad";
        model.put(std::move(node));
      }
    }
  }
};
}  // namespace

TEST_CASE("incremental compilation arrives at the full one, and no row has two owners") {
  for (unsigned seed = 1; seed <= 100; ++seed) {
    CAPTURE(seed);
    Chaos chaos(seed);
    Options options{.mode = static_cast<Mode>(seed % 3),
                    .plane = seed % 2 ? Plane::Bpf : Plane::Netfilter,
                    .cluster_cidrs = {cidr("10.244.0.0/16"), cidr("fd00::/16")},
                    .non_masquerade_cidrs = {cidr("10.244.1.0/24")}};
    Desired desired(options);
    for (int round = 0; round < 40; ++round) {
      for (unsigned n = 1 + chaos.pick(3); n > 0; --n) chaos.step();
      desired.update(chaos.model.take_changes(), chaos.model);
      const Tables full = compile(chaos.model, options);
      REQUIRE(render(desired.tables()) == render(full));
      REQUIRE(desired.tables() == full);
      auto size = [](const Tables& tables) {
        return tables.routes.size() + tables.peers.size() + tables.pods.size() + tables.kernel_routes.size() +
               tables.hooks.size() + tables.tunnels.size() + tables.tunnel_neighbours.size() +
               tables.forwarding.size() + tables.pod_routes.size() + tables.rules.size() +
               tables.masquerade_from.size() + tables.masquerade_except_to.size();
      };
      size_t rows = 0;
      for (const Key& key : all_keys(chaos.model)) rows += size(compile_one(key, chaos.model, options));
      REQUIRE(rows == size(full));
      // A set of ranges takes no two that overlap.
      const auto& ranges = full.masquerade_except_to;
      REQUIRE(std::ranges::adjacent_find(ranges, [](const auto& one, const auto& next) {
                return one.first.overlaps(next.first);
              }) == ranges.end());
    }
  }
}

TEST_CASE("one Node of thousands that changes touches its own keys only") {
  Model model;
  cluster::NodeFacts facts{.name = "n1"};
  facts.uplink = {.name = "eth0", .ifindex = IfIndex{2}, .mtu = 1500, .addresses = {{ip("10.0.0.1"), 8}}};
  model.set_facts(facts);
  for (uint32_t i = 1; i <= 2000; ++i)
    model.put(cluster::Node{.name = "n" + std::to_string(i),
                            .addresses = {Ip::v4(0x0a000000 + i)},
                            .pod_cidrs = {Cidr(Ip::v4(0x64400000 + i * 256), 24)}});
  model.take_changes();
  model.put(cluster::Node{.name = "n77", .addresses = {ip("10.0.0.77")}, .pod_cidrs = {cidr("172.20.0.0/24")}});
  CHECK(keys(model.take_changes(), model).size() == 2);  // n77 and self
}

TEST_CASE("the Pods' MTU leaves room for the outer header of the node's own family") {
  cluster::NodeFacts facts;
  facts.uplink = {.mtu = 1500, .addresses = {{ip("192.0.2.1"), 24}, {ip("2001:db8::1"), 64}}};
  const cluster::Node v4{.addresses = {ip("192.0.2.1"), ip("2001:db8::1")}};
  const cluster::Node v6{.addresses = {ip("2001:db8::1"), ip("192.0.2.1")}};
  CHECK(pod_mtu(facts, v4, {.mode = Mode::Auto}) == 1450);
  CHECK(pod_mtu(facts, v6, {.mode = Mode::Vxlan}) == 1430);
  CHECK(pod_mtu(facts, v6, {.mode = Mode::HostGw}) == 1500);
}

TEST_CASE("a reserved address leads to the node that has it, on every node, on both planes") {
  const auto node = [](const char* name, const char* address, const char* range) {
    return cluster::Node{.name = name, .addresses = {ip(address)}, .pod_cidrs = {cidr(range)}};
  };
  const auto tables = [&](const char* self, const char* address, Plane plane, Mode mode, const char* where,
                          bool attached) {
    Model model;
    cluster::NodeFacts facts{.name = self};
    facts.uplink = {.name = "eth0", .ifindex = IfIndex{2}, .mtu = 1500, .addresses = {{ip(address), 24}}};
    model.set_facts(facts);
    model.put(node("n1", "192.0.2.1", "10.244.1.0/24"));
    model.put(node("n2", "192.0.2.2", "10.244.2.0/24"));
    model.put(node("n3", "192.0.2.3", "10.244.3.0/24"));
    model.put(cluster::Reservation{.address = ip("10.244.1.7"), .pod = {"shop", "db-0"}, .node = where});
    if (attached)
      model.put(cluster::Attachment{.key = {"c", "eth0"},
                                    .pod = {"shop", "db-0"},
                                    .addresses = {ip("10.244.1.7")},
                                    .host_ifname = "cw1",
                                    .host_ifindex = IfIndex{9}});
    std::string text;
    const std::string all = render(compile(model, {.mode = mode, .plane = plane}));
    for (size_t at = 0; at < all.size();) {
      const size_t end = all.find('\n', at);
      const std::string line = all.substr(at, end - at);
      if (line.find("10.244.1.7") != std::string::npos) text += line + "\n";
      at = end + 1;
    }
    return text;
  };
  // The owner of the range, and a third node.
  for (const auto& [self, address] : {std::pair("n1", "192.0.2.1"), std::pair("n3", "192.0.2.3")}) {
    CHECK(tables(self, address, Plane::Bpf, Mode::Vxlan, "n2", false) ==
          "route 10.244.1.7/32 overlay pods-of n2 dev 2 via 192.0.2.2 vtep 192.0.2.2 from " + std::string(address) +
              " mtu 1450\nkernel-route 10.244.1.7/32 dev 2 via 169.254.202.1 src " + address + " mtu 1450\n");
    CHECK(tables(self, address, Plane::Netfilter, Mode::Vxlan, "n2", false) ==
          "route 10.244.1.7/32 overlay pods-of n2 dev 2 via 192.0.2.2 vtep 192.0.2.2 from " + std::string(address) +
              " mtu 1450\nkernel-route 10.244.1.7/32 dev causeway.vxlan4 via 192.0.2.2 src " + address + " mtu 1450\n");
    for (const Plane plane : {Plane::Bpf, Plane::Netfilter})
      CHECK(tables(self, address, plane, Mode::HostGw, "n2", false) ==
            "route 10.244.1.7/32 native pods-of n2 dev 2 via 192.0.2.2 mtu 1500\n"
            "kernel-route 10.244.1.7/32 dev 2 via 192.0.2.2 src " +
                std::string(address) + " mtu 1500\n");
  }
  // Where it is: its Pod, or nobody yet.
  CHECK(tables("n2", "192.0.2.2", Plane::Bpf, Mode::Vxlan, "n2", true) ==
        "route 10.244.1.7/32 local-pods pods-of n2\npod 10.244.1.7 shop/db-0 dev 9 mac 00:00:00:00:00:00 host-mac "
        "00:00:00:00:00:00\nkernel-route 10.244.1.7/32 dev 9 src 192.0.2.2\n");
  CHECK(tables("n2", "192.0.2.2", Plane::Netfilter, Mode::Vxlan, "n2", false) ==
        "route 10.244.1.7/32 local-pods pods-of n2\nkernel-route 10.244.1.7/32 unreachable\n"
        "rule from 10.244.1.7/32: pod-routes\nmasquerade from 10.244.1.7/32\n");
  // Back in the range that holds it there is nothing to say; while nobody has it, neither.
  CHECK(tables("n3", "192.0.2.3", Plane::Bpf, Mode::Vxlan, "n1", false) == "");
  CHECK(tables("n3", "192.0.2.3", Plane::Bpf, Mode::Vxlan, "", false) == "");
  // A Pod that was replaced elsewhere while its node was cut off has lost it.
  CHECK(tables("n1", "192.0.2.1", Plane::Bpf, Mode::Vxlan, "n2", true)
            .find("refused attachment c/eth0: its address "
                  "10.244.1.7 is that of Pod shop/db-0 on node n2 now") != std::string::npos);
}

TEST_CASE("what leads to a node, the API server or Services is no Pod's, whoever reserved it or has it") {
  const auto compiled = [](const char* address, const char* where, bool attached, Plane plane) {
    Model model;
    cluster::NodeFacts facts{.name = "n1"};
    facts.uplink = {.name = "eth0", .ifindex = IfIndex{2}, .mtu = 1500, .addresses = {{ip("192.0.2.1"), 24}}};
    model.set_facts(facts);
    model.put(cluster::Node{.name = "n1", .addresses = {ip("192.0.2.1")}, .pod_cidrs = {cidr("10.244.1.0/24")}});
    model.put(cluster::Node{.name = "n2", .addresses = {ip("192.0.2.2")}, .pod_cidrs = {cidr("10.244.2.0/24")}});
    model.put(cluster::ServiceCidr{.name = "kubernetes", .cidrs = {cidr("10.96.0.0/16")}});
    model.put(cluster::Reservation{.address = ip(address), .pod = {"shop", "db-0"}, .node = where});
    if (attached)
      model.put(cluster::Attachment{
          .key = {"c", "eth0"}, .pod = {"shop", "db-0"}, .addresses = {ip(address)}, .host_ifindex = IfIndex{9}});
    const auto tables = compile(model, {.plane = plane, .fixed = {.api_servers = {ip("203.0.113.7")}}});
    const bool has_pod = tables.pods.contains(ip(address));
    const auto route = tables.routes.find(host_cidr(ip(address)));
    const auto kernel = tables.kernel_routes.find(host_cidr(ip(address)));
    const bool to_pods = (route != tables.routes.end() && !route->second.node_address) ||
                         (kernel != tables.kernel_routes.end() && kernel->second.ifindex == IfIndex{9});
    std::string text = has_pod || to_pods ? "led away" : "";
    for (const auto& [object, why] : tables.refused) text += object + ": " + why + "\n";
    return text;
  };
  const std::pair<const char*, const char*> cases[] = {
      {"203.0.113.7", "it is the API server's"},
      {"192.0.2.2", "it is an address of Node n2"},
      {"192.0.2.1", "it is an address of Node n1"},
      {"10.96.0.1", "it is inside of the Service range 10.96.0.0/16 (ServiceCIDR kubernetes)"},
      {"10.244.2.1", "it is the node's own address of 10.244.2.0/24, the range of Node n2"}};
  for (const Plane plane : {Plane::Bpf, Plane::Netfilter})
    for (const auto& [address, why] : cases) {
      CAPTURE(address);
      // A record of a Pod that was restored after a restart: the node's ways win.
      const std::string both = compiled(address, "n1", true, plane);
      CHECK(both.find("led away") == std::string::npos);
      CHECK(both.find(std::string("its address ") + address + " cannot be a Pod's: " + why) != std::string::npos);
      // Told by others that it is at n1, or at n2: no route for it.
      const std::string here = compiled(address, "n1", false, plane);
      CHECK(here.find("led away") == std::string::npos);
      CHECK(here.find(std::string(why) + ": no Pod can have it") != std::string::npos);
      if (std::string_view(address) != "10.244.2.1")  // inside of n2's own range nothing is said of it
        CHECK(compiled(address, "n2", false, plane).find(std::string(why) + ": no Pod can have it") !=
              std::string::npos);
    }
}
