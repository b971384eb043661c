// Nodes on the netfilter plane: the namespaces of kernel_bpf_world without its programs, and the applier of each node.
#pragma once

#include "async/scope.h"
#include "async/virtual_loop.h"
#include "fabric/apply_nft.h"
#include "fabric/facts.h"
#include "kernel/netns/netns.h"
#include "talk.h"
#include "world.h"

namespace causeway::test {

inline Cidr cidr_of(const char* text) { return Cidr::parse(text).value(); }

// What the fabric of one node is made of; a second one on the same node is a restarted agent.
struct NftAgent {
  Node& node;
  VirtualLoop loop;
  std::unique_ptr<netlink::Rtnetlink> net;
  std::unique_ptr<nftables::Nftables> nft;
  cluster::Model model;
  std::unique_ptr<fabric::NftApplier> applier;

  NftAgent(World& world, Node& node, fabric::Options options)
      : node(node),
        net(netlink::open_rtnetlink_in(node.ns.fd()).value()),
        nft(nftables::open_nftables_in(node.ns.fd()).value()) {
    options.plane = fabric::Plane::Netfilter;
    if (options.cluster_cidrs.empty()) options.cluster_cidrs = {cidr_of("10.244.0.0/16"), cidr_of("fd00:10::/32")};
    applier = std::make_unique<fabric::NftApplier>(
        options, fabric::NftDoors{.net = *net, .nft = *nft, .sysctl = netns::write_sysctl});
    look();
    for (const Node* other : {&world.a, &world.b, &world.c})
      if (other->number)
        model.put(cluster::Node{.name = name_of_node(*other),
                                .created = other->number,
                                .addresses = {other->ip4, other->ip6},
                                .pod_cidrs = {other->pods4, other->pods6}});
    for (const auto& pod : node.pods) attach(*pod);
    model.set_synced(cluster::Source::Nodes);
    model.set_synced(cluster::Source::Reservations);
    model.set_synced(cluster::Source::Attachments);
  }
  static std::string name_of_node(const Node& node) { return "n" + std::to_string(node.number); }
  void attach(const Pod& pod) {
    const auto link = net->link(pod.host_side).value();
    model.put(cluster::Attachment{.key = {pod.host_side, "eth0"},
                                  .pod = {"shop", pod.host_side},
                                  .addresses = {pod.ip4, pod.ip6},
                                  .host_ifname = pod.host_side,
                                  .host_ifindex = link.index,
                                  .host_mac = link.mac});
  }
  void look() {
    model.set_facts(fabric::observe_facts(*net, name_of_node(node), {.addresses = {node.ip4, node.ip6}}).value());
  }
  // Failures, one a line.
  std::string apply() {
    In in(node.ns);
    if (model.changed()) applier->changed(model.take_changes(), model);
    auto failures = run_until_done(loop, applier->apply());
    if (!failures) return failures.error().message();
    std::string out;
    for (const auto& failure : *failures) out += failure.object + ": " + failure.error.message() + "\n";
    return out;
  }
};

// Three nodes, applied.
struct NftCluster {
  World world;
  NftAgent a, b, c;

  explicit NftCluster(const fabric::Options& options, const Setup& setup = {.programs = false})
      : world(setup), a(world, world.a, options), b(world, world.b, options), c(world, world.c, options) {
    for (NftAgent* agent : {&a, &b, &c})
      if (std::string failures = agent->apply(); !failures.empty()) throw std::runtime_error(failures);
  }
};

}  // namespace causeway::test
