// A cluster in one thread: the embedded API server, node IPAM, and nodes whose kernels are fakes that outlive their
// agents.
#pragma once

#include "apiserver/server.h"
#include "async/virtual_loop.h"
#include "cluster/feed/snapshot.h"
#include "cluster/feed/watches.h"
#include "control/node_ipam.h"
#include "fabric/apply_bpf.h"
#include "fabric/facts.h"
#include "kernel/bpf/fake.h"
#include "kernel/netlink/fake.h"
#include "wire.h"

namespace causeway::test {

struct FakeHooks final : fabric::HookPort {
  std::map<IfIndex, fabric::Hooks> attached;
  uint64_t writes = 0;
  Result<std::map<IfIndex, fabric::Hooks>> observe(std::set<IfIndex>&) override { return attached; }
  Status attach(IfIndex ifindex, fabric::Hooks hooks) override {
    attached[ifindex] = hooks;
    ++writes;
    return ok();
  }
  Status detach(IfIndex ifindex) override {
    writes += attached.erase(ifindex);
    return ok();
  }
};

struct Kernel {
  bpf::FakeTable<abi::pod_key, abi::pod_value> pods;
  bpf::FakeTable<abi::route_key, abi::route_value> routes;
  bpf::FakeTable<abi::peer_key, abi::peer_value> peers;
  bpf::FakeTable<uint32_t, abi::uplink_value> uplinks;
  FakeHooks hooks;
  netlink::FakeRtnetlink net;

  fabric::BpfDoors doors() { return {pods, routes, peers, uplinks, hooks, net}; }
  uint64_t writes() const {
    return pods.writes + routes.writes + peers.writes + uplinks.writes + hooks.writes + net.log.size();
  }
};

// One life of an agent, as apps/agent.cc wires it, without the CNI server.
struct Agent {
  Agent(Loop& loop, http::Handler& server, Kernel& kernel, std::string node, const fabric::Options& options,
        std::string_view snapshot, std::vector<cluster::Attachment> journal, unsigned seed)
      : loop(loop),
        wire(loop, server, seed),
        api(loop, wire),
        feed(loop, model),
        fabric(options, kernel.doors()),
        watches(api, feed, {.node = node, .services = false}),
        scope(loop),
        kernel(kernel),
        node(std::move(node)),
        journal(std::move(journal)) {
    if (auto known = cluster::decode_snapshot(snapshot))
      for (auto& known_node : known->nodes) model.put(std::move(known_node));
    model.set_facts({.name = this->node});
    feed.add(fabric);
    watches.start();
    scope.spawn("agent", run());
  }
  Task<Status> run() {
    while (!model.self()) CO_TRY(co_await feed.touched());
    model.set_facts(CO_TRY(fabric::observe_facts(kernel.net, node, {.addresses = model.self()->addresses})));
    feed.start();
    CO_TRY(co_await loop.sleep(10ms));  // the journal is read
    feed.restore(std::move(journal));
    started = true;
    co_return ok();
  }

  Loop& loop;
  Wire wire;
  kube::Client api;
  cluster::Model model;
  cluster::Feed feed;
  fabric::BpfApplier fabric;
  cluster::Watches watches;
  Scope scope;
  Kernel& kernel;
  std::string node;
  std::vector<cluster::Attachment> journal;
  bool started = false;
};

}  // namespace causeway::test
