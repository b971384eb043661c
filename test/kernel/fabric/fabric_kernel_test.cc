// The applier against real maps, programs and routes: nodes, a router and an outside host as network namespaces, where
// nothing but the compiled tables says which way packets go.
#include <doctest/doctest.h>

#include "async/scope.h"
#include "async/virtual_loop.h"
#include "datapath/rows.h"
#include "fabric/apply_bpf.h"
#include "fabric/facts.h"
#include "talk.h"
#include "world.h"

namespace causeway::test {

namespace {

fabric::Options options(fabric::Mode mode) {
  return {.mode = mode, .cluster_cidrs = {Cidr::parse("10.244.0.0/16").value(), Cidr::parse("fd00:10::/32").value()}};
}

// What the fabric of one node is made of; a second one on the same node is a restarted agent.
struct Agent {
  Node& node;
  VirtualLoop loop;
  std::unique_ptr<netlink::Rtnetlink> net;
  std::unique_ptr<fabric::HookPort> hooks;
  cluster::Model model;
  std::unique_ptr<fabric::BpfApplier> applier;

  Agent(World& world, Node& node, fabric::Mode mode)
      : node(node), net(netlink::open_rtnetlink_in(node.ns.fd()).value()) {
    hooks = fabric::hooks_of(*node.plane);
    applier = std::make_unique<fabric::BpfApplier>(
        options(mode), fabric::BpfDoors{node.plane->pods(), node.plane->routes(), node.plane->peers(),
                                        node.plane->uplinks(), *hooks, *net});
    look();
    for (const Node* other : {&world.a, &world.b, &world.c})
      model.put(cluster::Node{.name = name_of_node(*other),
                              .created = other->number,
                              .addresses = {other->ip4, other->ip6},
                              .pod_cidrs = {other->pods4, other->pods6}});
    for (const auto& pod : node.pods) {
      In in(node.ns);
      const auto link = net->link(pod->host_side).value();
      auto row = node.plane->pods().get(datapath::pod_key(pod->ip4)).value();
      cluster::Attachment attachment{.key = {pod->host_side, "eth0"},
                                     .addresses = {pod->ip4, pod->ip6},
                                     .host_ifindex = link.index,
                                     .host_mac = link.mac};
      if (row) std::copy(std::begin(row->mac), std::end(row->mac), attachment.pod_mac.bytes.begin());
      model.put(std::move(attachment));
    }
    model.set_synced(cluster::Source::Nodes);
    model.set_synced(cluster::Source::Reservations);
    model.set_synced(cluster::Source::Attachments);
  }
  static std::string name_of_node(const Node& node) { return "n" + std::to_string(node.number); }
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

// The world writes its rows by hand; all of them go, so that only ours are left.
void wipe(World& world) {
  for (Node* node : {&world.a, &world.b, &world.c}) {
    In in(node->ns);
    for (const auto& attachment : node->plane->attached().value()) CHECK(node->plane->detach(attachment.ifindex));
    for (const auto& [key, value] : node->plane->routes().dump().value()) CHECK(node->plane->routes().remove(key));
    for (const auto& [key, value] : node->plane->peers().dump().value()) CHECK(node->plane->peers().remove(key));
    for (const auto& [key, value] : node->plane->uplinks().dump().value()) CHECK(node->plane->uplinks().remove(key));
    shell(node->ns,
          "for f in 4 6; do ip -$f route | grep -E '^(10\\.244|fd00:10)' | while read r; do ip -$f route del $r; done; "
          "done");
  }
}

std::string routes_of(const Node& node) {
  return shell(node.ns, "ip -4 route show proto 202; ip -6 route show proto 202");
}

std::string talk(const Ns& client, const Ns& server, Ip to, Ip as) {
  std::string failures;
  auto judge = [&](const char* what, const Seen& seen) {
    if (!seen.ok())
      failures += fmt::format("{}: {}; ", what, seen.error);
    else if (seen.client.ip != as)
      failures += fmt::format("{}: seen as {}; ", what, to_string(seen.client.ip));
  };
  judge("tcp", talk_tcp(client, server, to, 8080, 100'000));
  judge("udp", talk_udp(client, server, to, 8080));
  if (!ping(client, to)) failures += "ping; ";
  return failures;
}

}  // namespace

TEST_CASE("packets go by the compiled tables, and a restarted agent writes nothing") {
  for (auto attach : kAttaches)
    for (auto mode : {fabric::Mode::Auto, fabric::Mode::Vxlan}) {
      CAPTURE(to_string(attach));
      CAPTURE(to_string(mode));
      World world({.attach = attach});
      // MACs of the Pods are in rows that go with the wipe: the agents read them first.
      Agent a(world, world.a, mode), b(world, world.b, mode), c(world, world.c, mode);
      wipe(world);
      for (Node* node : {&world.a, &world.b, &world.c}) {
        In in(node->ns);
        for (const auto& [key, value] : node->plane->pods().dump().value()) CHECK(node->plane->pods().remove(key));
      }
      for (Agent* agent : {&a, &b, &c}) CHECK(agent->apply() == "");

      for (Family family : kFamilies) {
        CAPTURE(to_string(family));
        auto check = [&](const char* path, const Ns& client, const Ns& server, Ip to, Ip as) {
          CAPTURE(path);
          CHECK(talk(client, server, to, as) == "");
        };
        auto &a1 = world.a1(), &a2 = world.a2(), &b1 = world.b1(), &c1 = world.c1();
        check("Pod to Pod of its node", a1.ns, a2.ns, a2.ip(family), a1.ip(family));
        check("Pod to Pod of another node", a1.ns, b1.ns, b1.ip(family), a1.ip(family));
        check("Pod to Pod of another subnet", a1.ns, c1.ns, c1.ip(family), a1.ip(family));
        check("and back", c1.ns, a1.ns, a1.ip(family), c1.ip(family));
        check("node to its Pod", world.a.ns, a1.ns, a1.ip(family), world.a.ip(family));
        check("Pod to its node", a1.ns, world.a.ns, world.a.ip(family), a1.ip(family));
        check("node to remote Pod", world.a.ns, b1.ns, b1.ip(family), world.a.ip(family));
        check("node to remote Pod, other subnet", world.a.ns, c1.ns, c1.ip(family), world.a.ip(family));
        check("Pod to remote node", a1.ns, world.b.ns, world.b.ip(family), a1.ip(family));
        check("Pod to remote node, other subnet", a1.ns, world.c.ns, world.c.ip(family), a1.ip(family));
        check("Pod to outside", a1.ns, world.outside, world.outside_ip(family), world.a.ip(family));
      }

      world.a.plane.reset();
      {
        In in(world.a.ns);
        world.a.plane =
            datapath::Datapath::open({.pins = world.a.pins, .features = {.attach = attach}, .conntrack_entries = 4096})
                .value();
      }
      Agent again(world, world.a, mode);
      CHECK(again.apply() == "");
      CHECK(again.applier->writes() == 0);
    }
}

TEST_CASE("routes that a link lost come back, and a Node that is gone leaves nothing") {
  World world({});
  Agent a(world, world.a, fabric::Mode::Auto);
  wipe(world);
  CHECK(a.apply() == "");
  const std::string before = routes_of(world.a);
  CHECK(before.find("10.244.2.0/24") != std::string::npos);
  CHECK(before.find("fd00:10:3::/64") != std::string::npos);

  ip(world.a.ns, "link set eth0 down\n");
  a.look();
  (void)a.apply();  // the kernel refuses routes by a link that is down
  ip(world.a.ns, "link set eth0 up\naddr replace " + to_string(world.a.ip6) + "/64 dev eth0 nodad\n");
  a.look();
  CHECK(a.apply() == "");
  CHECK(routes_of(world.a) == before);

  a.model.remove_node("n2");
  a.model.remove_node("n3");
  CHECK(a.apply() == "");
  CHECK(routes_of(world.a).find("10.244.2.0/24") == std::string::npos);
  CHECK(world.a.plane->peers().dump().value().empty());
  for (const auto& [key, value] : world.a.plane->routes().dump().value()) CHECK(value.kind != abi::ROUTE_OVERLAY);
}

}  // namespace causeway::test
