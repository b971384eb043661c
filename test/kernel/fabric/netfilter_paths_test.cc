// The netfilter plane against the real kernel: which way packets go, and that a restart writes nothing.
#include <doctest/doctest.h>

#include "netfilter_world.h"

namespace causeway::test {

namespace {

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

std::string kernel_of(const Node& node) {
  return shell(node.ns,
               "ip -4 route show table all proto 202; ip -6 route show table all proto 202; ip rule; ip -6 rule; "
               "ip -br addr show; ip neigh show nud permanent; for d in 4 6; do bridge fdb show dev causeway.vxlan$d; "
               "done 2>&1; nft list ruleset");
}

void check_paths(World& world) {
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
}

}  // namespace

TEST_CASE("packets go by the compiled tables, and a restarted agent writes nothing") {
  for (auto mode : {fabric::Mode::Auto, fabric::Mode::Vxlan}) {
    CAPTURE(to_string(mode));
    NftCluster nodes({.mode = mode});
    check_paths(nodes.world);

    const std::string before = kernel_of(nodes.world.a);
    NftAgent again(nodes.world, nodes.world.a, {.mode = mode});
    CHECK(again.apply() == "");
    CHECK(again.applier->writes() == 0);
    CHECK(kernel_of(nodes.world.a) == before);
    CHECK(again.applier->tunnels_intact());
  }
}

TEST_CASE("the kernel's default of strict reverse path filtering is in nobody's way") {
  World world({.programs = false});
  for (Node* node : {&world.a, &world.b, &world.c}) {
    sysctl(node->ns, "ipv4/conf/all/rp_filter", "2");  // what set_sysctls makes of 1
    sysctl(node->ns, "ipv4/conf/default/rp_filter", "1");
    sysctl(node->ns, "ipv4/conf/eth0/rp_filter", "2");
  }
  NftAgent a(world, world.a, {}), b(world, world.b, {}), c(world, world.c, {});
  for (NftAgent* agent : {&a, &b, &c}) CHECK(agent->apply() == "");
  check_paths(world);
}

TEST_CASE("what a link lost comes back, and a Node that is gone leaves nothing") {
  NftCluster nodes({.mode = fabric::Mode::Vxlan});
  Node& node = nodes.world.a;
  const std::string before = kernel_of(node);
  CHECK(before.find("10.244.3.0/24") != std::string::npos);

  // Somebody deletes a tunnel, and with it all that hung on it.
  ip(node.ns, "link del causeway.vxlan4\n");
  CHECK_FALSE(nodes.a.applier->tunnels_intact());
  nodes.a.applier->forget();
  CHECK(nodes.a.apply() == "");
  CHECK(nodes.a.applier->tunnels_intact());
  check_paths(nodes.world);

  nodes.a.model.remove_node("n2");
  nodes.a.model.remove_node("n3");
  CHECK(nodes.a.apply() == "");
  const std::string after = kernel_of(node);
  for (const char* gone : {"10.244.2.0", "10.244.3.0", "fd00:10:2:", "fd00:10:3:", "198.51.100.13", "192.0.2.12"}) {
    CAPTURE(gone);
    CHECK(after.find(gone) == std::string::npos);
  }
}

TEST_CASE("a packet to a Pod that is gone is answered, not sent round in circles") {
  NftCluster nodes({});
  for (Family family : kFamilies) {
    const Ip nobody = family == Family::V4 ? Ip::parse("10.244.2.77").value() : Ip::parse("fd00:10:2::77").value();
    Fd client = udp_socket(nodes.world.a1().ns, family == Family::V4 ? Ip() : Ip::parse("::").value(), 0);
    want_errors(client, family);
    REQUIRE(send_udp(client, nobody, 9000, "anybody?"));
    const auto error = receive_error(client);
    REQUIRE(error);
    CHECK(error->from == nodes.world.b.ip(family));
  }
}

}  // namespace causeway::test
