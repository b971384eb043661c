#include "fabric/apply_bpf.h"

#include <doctest/doctest.h>

#include "async/scope.h"
#include "async/virtual_loop.h"
#include "datapath/rows.h"
#include "fabric/facts.h"
#include "kernel/bpf/fake.h"
#include "kernel/netlink/fake.h"

using namespace causeway;
using namespace causeway::fabric;
using cluster::Source;

static Ip ip(std::string_view text) { return Ip::parse(text).value(); }
static Cidr cidr(std::string_view text) { return Cidr::parse(text).value(); }

namespace {

struct FakeHooks final : HookPort {
  std::map<IfIndex, Hooks> attached;
  std::optional<Error> fail_next;
  int writes = 0;
  Result<std::map<IfIndex, Hooks>> observe(std::set<IfIndex>&) override { return attached; }
  Status attach(IfIndex ifindex, Hooks hooks) override {
    if (fail_next) return fail(*std::exchange(fail_next, std::nullopt));
    attached[ifindex] = hooks;
    ++writes;
    return ok();
  }
  Status detach(IfIndex ifindex) override {
    writes += static_cast<int>(attached.erase(ifindex));
    return ok();
  }
};

// What survives an agent.
struct Kernel {
  bpf::FakeTable<abi::pod_key, abi::pod_value> pods;
  bpf::FakeTable<abi::route_key, abi::route_value> routes;
  bpf::FakeTable<abi::peer_key, abi::peer_value> peers;
  bpf::FakeTable<uint32_t, abi::uplink_value> uplinks;
  FakeHooks hooks;
  netlink::FakeRtnetlink net;

  IfIndex eth0, veth;
  Kernel() {
    eth0 = net.add_link({.name = "eth0", .mtu = 1500, .up = true});
    CHECK(net.apply_one(netlink::PutAddress{{.link = eth0, .ip = ip("192.0.2.1"), .prefix = 24}}));
    veth = net.add_link({.name = "cw1", .kind = "veth", .mtu = 1450, .up = true});
    net.log.clear();
  }
  BpfDoors doors() { return {pods, routes, peers, uplinks, hooks, net}; }
  size_t writes() const {
    return pods.writes + routes.writes + peers.writes + uplinks.writes + static_cast<size_t>(hooks.writes) +
           net.log.size();
  }
  std::string render() const {
    std::string out;
    for (const auto& [key, value] : routes.rows) out += datapath::render(key, value) + "\n";
    for (const auto& [key, value] : peers.rows) out += "peer " + datapath::render(key, value) + "\n";
    for (const auto& [key, value] : pods.rows) out += "pod " + datapath::render(key, value) + "\n";
    for (const auto& [ifindex, value] : uplinks.rows) out += "uplink " + datapath::render(ifindex, value) + "\n";
    for (const auto& [ifindex, what] : hooks.attached) out += fmt::format("hooks {} {}\n", ifindex, what);
    return out;
  }
};

struct Agent {
  VirtualLoop loop;
  cluster::Model model;
  BpfApplier applier;

  explicit Agent(Kernel& kernel) : applier({.cluster_cidrs = {cidr("10.244.0.0/16")}}, kernel.doors()) {
    model.set_facts(observe_facts(kernel.net, "n1", {.addresses = {ip("192.0.2.1")}}).value());
  }
  void know_cluster() {
    model.put(cluster::Node{.name = "n1", .addresses = {ip("192.0.2.1")}, .pod_cidrs = {cidr("10.244.1.0/24")}});
    model.put(cluster::Node{.name = "n2", .addresses = {ip("192.0.2.2")}, .pod_cidrs = {cidr("10.244.2.0/24")}});
    model.put(cluster::Node{.name = "n3", .addresses = {ip("198.51.100.3")}, .pod_cidrs = {cidr("10.244.3.0/24")}});
  }
  void know_pod(IfIndex veth) {
    model.put(cluster::Attachment{
        .key = {"c1", "eth0"}, .pod = {"shop", "web"}, .addresses = {ip("10.244.1.5")}, .host_ifindex = veth});
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

}  // namespace

TEST_CASE("the tables reach maps, hooks and routes") {
  Kernel kernel;
  Agent agent(kernel);
  agent.know_cluster();
  agent.know_pod(kernel.veth);
  agent.sync();
  CHECK(agent.apply() == "");
  CHECK(kernel.render() ==
        "10.244.0.0/16 -> cluster\n"
        "10.244.1.0/24 -> local pods\n"
        "10.244.2.0/24 -> native dev 2 via 192.0.2.2 mtu 1500\n"
        "10.244.3.0/24 -> overlay 198.51.100.3 from 192.0.2.1 dev 2 mtu 1450 vni 1\n"
        "192.0.2.1/32 -> this node node\n"
        "192.0.2.2/32 -> native dev 2 via 192.0.2.2 mtu 1500 node\n"
        "198.51.100.3/32 -> overlay 198.51.100.3 from 192.0.2.1 dev 2 mtu 1450 vni 1 node\n"
        "peer 192.0.2.2 -> node 0\n"
        "peer 198.51.100.3 -> node 0\n"
        "pod 10.244.1.5 -> dev 3 mac 00:00:00:00:00:00 host-mac 00:00:00:00:00:00\n"
        "uplink dev 2 -> 192.0.2.1 -\n"
        "hooks 2 uplink\n"
        "hooks 3 pod\n");
  CHECK(kernel.net.log ==
        std::vector<std::string>{
            "put neighbour 169.254.202.1 lladdr 0a:58:a9:fe:ca:01 dev 2",
            "put route 10.244.1.0/24 via 169.254.202.1 dev 2 onlink src 192.0.2.1 proto 202",
            "put route 10.244.1.5/32 dev 3 src 192.0.2.1 proto 202",
            "put route 10.244.2.0/24 via 192.0.2.2 dev 2 onlink src 192.0.2.1 mtu 1500 proto 202",
            "put route 10.244.3.0/24 via 169.254.202.1 dev 2 onlink src 192.0.2.1 mtu 1450 proto 202"});
}

TEST_CASE("a restarted agent finds no difference and writes nothing, synced or not") {
  Kernel kernel;
  {
    Agent first(kernel);
    first.know_cluster();
    first.know_pod(kernel.veth);
    first.sync();
    first.apply();
  }
  const std::string before = kernel.render();
  const size_t writes = kernel.writes();
  Agent second(kernel);
  CHECK(second.apply() == "");  // knows nothing of the cluster yet
  second.know_cluster();        // from the snapshot
  CHECK(second.apply() == "");
  second.know_pod(kernel.veth);
  CHECK(second.apply() == "");
  second.sync();
  CHECK(second.apply() == "");
  CHECK(kernel.render() == before);
  CHECK(kernel.writes() == writes);
}

TEST_CASE("what is stale goes only after its source is complete") {
  Kernel kernel;
  {
    Agent first(kernel);
    first.know_cluster();
    first.know_pod(kernel.veth);
    first.sync();
    first.apply();
  }
  Agent second(kernel);
  second.model.put(cluster::Node{.name = "n1", .addresses = {ip("192.0.2.1")}, .pod_cidrs = {cidr("10.244.1.0/24")}});
  second.apply();
  CHECK(kernel.routes.rows.size() == 7);
  CHECK(kernel.pods.rows.size() == 1);
  second.model.set_synced(Source::Nodes);
  second.model.set_synced(Source::Reservations);
  second.apply();
  CHECK(kernel.routes.rows.size() == 3);  // n2 and n3 are gone
  CHECK(kernel.peers.rows.empty());
  CHECK(kernel.pods.rows.size() == 1);
  CHECK(kernel.hooks.attached.size() == 2);
  second.model.set_synced(Source::Attachments);
  second.apply();
  CHECK(kernel.pods.rows.empty());
  CHECK(kernel.hooks.attached.size() == 1);
  CHECK(kernel.net.routes({.protocol = netlink::kRouteProtocol}).value().size() == 1);
}

TEST_CASE("a row that the kernel refuses is a failure of its object, and is tried again") {
  Kernel kernel;
  Agent agent(kernel);
  agent.know_cluster();
  agent.know_pod(kernel.veth);
  agent.sync();
  kernel.hooks.fail_next.reset();
  kernel.net.fault = [](const netlink::Change& change) -> Status {
    if (to_string(change).find("10.244.3.0/24") != std::string::npos) return fail(Errc::Io, "Network is unreachable");
    return ok();
  };
  CHECK(agent.apply() == "node n3: kernel route 10.244.3.0/24: Network is unreachable\n");
  CHECK(kernel.pods.rows.size() == 1);
  kernel.net.fault = nullptr;
  CHECK(agent.apply() == "");
  CHECK(kernel.net.routes({.protocol = netlink::kRouteProtocol}).value().size() == 4);
}

TEST_CASE("a Node that changes costs only its own writes") {
  Kernel kernel;
  Agent agent(kernel);
  agent.know_cluster();
  agent.sync();
  agent.apply();
  const size_t writes = kernel.writes();
  agent.model.put(cluster::Node{.name = "n3", .addresses = {ip("198.51.100.4")}, .pod_cidrs = {cidr("10.244.3.0/24")}});
  CHECK(agent.apply() == "");
  CHECK(kernel.writes() - writes == 5);  // two routes put, one removed, one peer put, one removed
  agent.model.remove_node("n3");
  agent.apply();
  CHECK(kernel.routes.rows.size() == 5);
}

TEST_CASE("what somebody else changed is repaired by an audit") {
  Kernel kernel;
  Agent agent(kernel);
  agent.know_cluster();
  agent.sync();
  agent.apply();
  const std::string before = kernel.render();
  kernel.routes.rows.clear();
  kernel.hooks.attached.clear();
  agent.apply();
  CHECK(kernel.routes.rows.empty());  // nobody looked
  agent.applier.forget();
  agent.apply();
  CHECK(kernel.render() == before);
}

TEST_CASE("two attachments of one address: the second is refused by name") {
  Kernel kernel;
  Agent agent(kernel);
  agent.know_cluster();
  agent.know_pod(kernel.veth);
  agent.model.put(
      cluster::Attachment{.key = {"c2", "eth0"}, .addresses = {ip("10.244.1.5")}, .host_ifindex = IfIndex{9}});
  CHECK(agent.apply() == "attachment c2/eth0: its address 10.244.1.5 belongs to attachment c1/eth0\n");
  CHECK(kernel.pods.rows.begin()->second.ifindex == static_cast<uint32_t>(kernel.veth));
}
