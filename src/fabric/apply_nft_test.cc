#include "fabric/apply_nft.h"

#include <doctest/doctest.h>

#include "async/scope.h"
#include "async/virtual_loop.h"
#include "fabric/compile_netfilter.h"
#include "fabric/facts.h"
#include "kernel/netlink/fake.h"
#include "kernel/nftables/fake.h"

using namespace causeway;
using namespace causeway::fabric;
using cluster::Source;

static Ip ip(std::string_view text) { return Ip::parse(text).value(); }
static Cidr cidr(std::string_view text) { return Cidr::parse(text).value(); }

namespace {

// What survives an agent.
struct Kernel {
  netlink::FakeRtnetlink net;
  nftables::FakeNftables nft;
  std::map<std::string, std::string> sysctls;
  IfIndex eth0, veth;

  Kernel() {
    eth0 = net.add_link({.name = "eth0", .mtu = 1500, .up = true});
    CHECK(net.apply_one(netlink::PutAddress{{.link = eth0, .ip = ip("192.0.2.1"), .prefix = 24}}));
    veth = net.add_link({.name = "cw1", .kind = "veth", .mtu = 1450, .up = true});
    net.log.clear();
  }
  NftDoors doors() {
    return {.net = net, .nft = nft, .sysctl = [this](const std::string& name, std::string_view value) {
              sysctls[name] = value;
              return ok();
            }};
  }
  size_t writes() const { return net.log.size() + nft.log.size(); }
  // Of ours only.
  std::string routes() {
    std::string out;
    for (uint32_t table : {netlink::kMainTable, kPodTable})
      for (const auto& route : net.routes({.table = table, .protocol = netlink::kRouteProtocol}).value())
        out += to_string(route) + "\n";
    return out;
  }
};

struct Agent {
  VirtualLoop loop;
  cluster::Model model;
  NftApplier applier;

  explicit Agent(Kernel& kernel, Options options = {})
      : applier(
            [&] {
              options.plane = Plane::Netfilter;
              options.cluster_cidrs = {cidr("10.244.0.0/16")};
              return options;
            }(),
            kernel.doors()) {
    model.set_facts(observe_facts(kernel.net, "n1", {.addresses = {ip("192.0.2.1")}}).value());
  }
  void know_cluster() {
    model.put(cluster::Node{.name = "n1", .addresses = {ip("192.0.2.1")}, .pod_cidrs = {cidr("10.244.1.0/24")}});
    model.put(cluster::Node{.name = "n2", .addresses = {ip("192.0.2.2")}, .pod_cidrs = {cidr("10.244.2.0/24")}});
    model.put(cluster::Node{.name = "n3", .addresses = {ip("198.51.100.3")}, .pod_cidrs = {cidr("10.244.3.0/24")}});
  }
  void know_pod(IfIndex veth) {
    model.put(cluster::Attachment{.key = {"c1", "eth0"},
                                  .pod = {"shop", "web"},
                                  .addresses = {ip("10.244.1.5")},
                                  .host_ifname = "cw1",
                                  .host_ifindex = veth});
  }
  void sync() {
    model.set_synced(Source::Nodes);
    model.set_synced(Source::Reservations);
    model.set_synced(Source::Attachments);
  }
  std::string apply() {
    if (model.changed()) applier.changed(model.take_changes(), model);
    auto failures = run_until_done(loop, applier.apply());
    if (!failures) return failures.error().message();
    std::string out;
    for (const auto& failure : *failures) out += failure.object + ": " + failure.error.message() + "\n";
    return out;
  }
};

void first_life(Kernel& kernel) {
  Agent first(kernel);
  first.know_cluster();
  first.know_pod(kernel.veth);
  first.sync();
  CHECK(first.apply() == "");
}

}  // namespace

TEST_CASE("addresses of Services that a kube-proxy in mode ipvs made local are no addresses of the node") {
  Kernel kernel;
  const IfIndex device = kernel.net.add_link({.name = "kube-ipvs0", .kind = "dummy"});
  CHECK(kernel.net.apply_one(netlink::PutAddress{{.link = device, .ip = ip("10.96.0.10"), .prefix = 32}}));
  CHECK(observe_facts(kernel.net, "n1", {.addresses = {ip("192.0.2.1")}}).value().addresses ==
        std::vector{ip("192.0.2.1")});
}

TEST_CASE("the tables reach tunnel, routes, neighbours, rules and sets") {
  Kernel kernel;
  first_life(kernel);
  const std::string n1 = to_string(tunnel_mac("n1")), n3 = to_string(tunnel_mac("n3"));
  std::string log;
  for (const std::string& line : kernel.net.log) log += line + "\n";
  CHECK(log == "create vxlan causeway.vxlan4 id 1 port 4789 local 192.0.2.1 " + n1 +
                   " mtu 1450 nolearning\n"
                   "set link 4 mtu 1450 address " +
                   n1 +
                   " addrgenmode none\n"
                   "set link 4 up\n"
                   "put address 192.0.2.1/32 dev 4\n"
                   "put neighbour 198.51.100.3 lladdr " +
                   n3 +
                   " dev 4\n"
                   "put fdb " +
                   n3 +
                   " dst 198.51.100.3 dev 4\n"
                   "put route unreachable 10.244.1.0/24 proto 202\n"
                   "put route 10.244.1.5/32 dev 3 src 192.0.2.1 proto 202\n"
                   "put route 10.244.2.0/24 via 192.0.2.2 dev 2 onlink src 192.0.2.1 mtu 1500 proto 202\n"
                   "put route 10.244.3.0/24 via 198.51.100.3 dev 4 onlink src 192.0.2.1 mtu 1450 proto 202\n"
                   "put route 198.51.100.3/32 dev 4 mtu 1450 table 51776 proto 202\n"
                   "put rule 20200: from 10.244.1.0/24 lookup 51776 proto 202\n");
  CHECK(kernel.sysctls.at("ipv4/conf/causeway.vxlan4/rp_filter") == "0");
  const std::string table = kernel.nft.render();
  for (const char* part : {"cw1", "10.244.1.5", "198.51.100.3", "masquerade fully-random", "shop/web"}) {
    CAPTURE(part);
    CHECK(table.find(part) != std::string::npos);
  }
}

TEST_CASE("a restarted agent finds no difference and writes nothing, synced or not") {
  Kernel kernel;
  first_life(kernel);
  const size_t writes = kernel.writes();
  Agent second(kernel);
  CHECK(second.apply() == "");  // knows nothing of the cluster yet
  second.know_cluster();        // from the snapshot
  CHECK(second.apply() == "");
  second.know_pod(kernel.veth);
  CHECK(second.apply() == "");
  second.sync();
  CHECK(second.apply() == "");
  CHECK(kernel.writes() == writes);
  CHECK(second.applier.writes() == 0);
}

TEST_CASE("what is stale goes only after its source is complete") {
  Kernel kernel;
  first_life(kernel);
  const std::string routes = kernel.routes(), table = kernel.nft.render();
  Agent second(kernel);
  second.model.put(cluster::Node{.name = "n1", .addresses = {ip("192.0.2.1")}, .pod_cidrs = {cidr("10.244.1.0/24")}});
  CHECK(second.apply() == "");
  CHECK(kernel.routes() == routes);
  CHECK(kernel.nft.render() == table);
  second.model.set_synced(Source::Nodes);
  second.model.set_synced(Source::Reservations);
  CHECK(second.apply() == "");
  CHECK(kernel.routes() ==
        "route unreachable 10.244.1.0/24 proto 202\n"
        "route 10.244.1.5/32 dev 3 src 192.0.2.1 proto 202\n");
  CHECK(kernel.nft.render().find("cw1") != std::string::npos);
  CHECK(kernel.nft.render().find("198.51.100.3") == std::string::npos);
  second.model.set_synced(Source::Attachments);
  CHECK(second.apply() == "");
  CHECK(kernel.routes() == "route unreachable 10.244.1.0/24 proto 202\n");
  CHECK(kernel.nft.render().find("cw1") == std::string::npos);
}

TEST_CASE("a Pod or a Node that comes costs its own writes only, and reads nothing") {
  Kernel kernel;
  Agent agent(kernel);
  agent.know_cluster();
  agent.sync();
  agent.apply();
  agent.apply();
  const size_t seen = kernel.nft.observations;
  kernel.net.log.clear();
  const size_t before = kernel.nft.log.size();
  agent.know_pod(kernel.veth);
  CHECK(agent.apply() == "");
  CHECK(kernel.net.log == std::vector<std::string>{"put route 10.244.1.5/32 dev 3 src 192.0.2.1 proto 202"});
  CHECK(kernel.nft.log.size() - before == 1);
  CHECK(kernel.nft.observations == seen);
}

TEST_CASE("a route that the kernel refuses is a failure of its Node, and is tried again") {
  Kernel kernel;
  Agent agent(kernel);
  agent.know_cluster();
  agent.sync();
  kernel.net.fault = [](const netlink::Change& change) -> Status {
    if (to_string(change).find("put route 10.244.3.0/24") != std::string::npos) return fail(Errc::Io, "out of luck");
    return ok();
  };
  CHECK(agent.apply() == "node n3: kernel route 10.244.3.0/24: out of luck\n");
  kernel.net.fault = nullptr;
  CHECK(agent.apply() == "");
  CHECK(kernel.routes().find("10.244.3.0/24") != std::string::npos);
}

TEST_CASE("a flushed table and a deleted tunnel come back whole") {
  Kernel kernel;
  Agent agent(kernel);
  agent.know_cluster();
  agent.know_pod(kernel.veth);
  agent.sync();
  agent.apply();
  const std::string table = kernel.nft.render(), routes = kernel.routes();
  kernel.nft.flush();
  agent.applier.forget();
  CHECK(agent.apply() == "");
  CHECK(kernel.nft.render() == table);

  CHECK(kernel.net.apply_one(netlink::DeleteLink{"causeway.vxlan4"}));
  CHECK_FALSE(agent.applier.tunnels_intact());
  agent.applier.forget();
  CHECK(agent.apply() == "");
  CHECK(agent.applier.tunnels_intact());
  const IfIndex tunnel = kernel.net.link("causeway.vxlan4")->index;
  CHECK(kernel.net.forwarding(tunnel)->size() == 1);
  CHECK(kernel.routes().find(fmt::format("10.244.3.0/24 via 198.51.100.3 dev {}", tunnel)) != std::string::npos);
}

TEST_CASE("a table that somebody changed under us is read again") {
  Kernel kernel;
  Agent agent(kernel);
  agent.know_cluster();
  agent.sync();
  agent.apply();
  kernel.nft.flush();
  agent.know_pod(kernel.veth);
  agent.apply();  // may fail: the set is gone; the feed tries again
  CHECK(agent.apply() == "");
  CHECK(kernel.nft.render().find("cw1") != std::string::npos);
  CHECK(kernel.nft.render().find("masquerade") != std::string::npos);
}

TEST_CASE("a kernel without vxlan is refused with what to do") {
  Kernel kernel;
  kernel.net.fault = [](const netlink::Change& change) -> Status {
    if (std::holds_alternative<netlink::CreateVxlan>(change)) return fail(Errc::Unsupported, "not supported");
    return ok();
  };
  CHECK(probe_vxlan(kernel.net).error().message() ==
        "this kernel has no vxlan devices (CONFIG_VXLAN): load the module vxlan, or use --fabric host-gw, or --plane "
        "bpf");
  kernel.net.fault = nullptr;
  CHECK(probe_vxlan(kernel.net));
  CHECK(kernel.net.links()->size() == 3);
}
