// Every way a packet of a Pod can take, for both families, both ways of attaching and each fabric.
#include <doctest/doctest.h>

#include "talk.h"
#include "world.h"

namespace causeway::test {

namespace {

std::vector<Setup> setups() {
  std::vector<Setup> all;
  for (auto attach : kAttaches)
    for (auto fabric : {Fabric::Native, Fabric::Overlay4, Fabric::Overlay6})
      all.push_back({.attach = attach, .fabric = fabric});
  return all;
}

// TCP small and large (segmentation offload), UDP, ping; and the server sees `as`.
std::string all_kinds(const Ns& client, const Ns& server, Ip to, Ip as) {
  std::string failures;
  auto judge = [&](const char* what, const Seen& seen) {
    if (!seen.ok())
      failures += fmt::format("{}: {}; ", what, seen.error);
    else if (seen.client.ip != as)
      failures += fmt::format("{}: seen as {}; ", what, to_string(seen.client.ip));
  };
  judge("tcp", talk_tcp(client, server, to, 8080));
  judge("bulk", talk_tcp(client, server, to, 8080, 3'000'000));
  judge("udp", talk_udp(client, server, to, 8080));
  if (!ping(client, to)) failures += "ping; ";
  return failures;
}

}  // namespace

TEST_CASE("packets find every Pod, every node and the outside, with the right source address") {
  for (const auto& setup : setups()) {
    World world(setup);
    CAPTURE(name_of(setup));
    for (Family family : kFamilies) {
      CAPTURE(to_string(family));
      auto check = [&](const char* path, const Ns& client, const Ns& server, Ip to, Ip as) {
        CAPTURE(path);
        CHECK(all_kinds(client, server, to, as) == "");
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
      check("node to node", world.a.ns, world.b.ns, world.b.ip(family), world.a.ip(family));
      check("node to outside", world.a.ns, world.outside, world.outside_ip(family), world.a.ip(family));
    }
  }
}

TEST_CASE("packets between Pods take the short path, none of them through a node's stack") {
  for (auto attach : kAttaches)
    for (auto fabric : {Fabric::Native, Fabric::Overlay4}) {
      Setup setup{.attach = attach, .fabric = fabric};
      CAPTURE(name_of(setup));
      World world(setup);
      for (Family family : kFamilies) {
        // Forwarding off: what the stack would have carried is lost now.
        for (Node* node : {&world.a, &world.b}) {
          sysctl(node->ns, "ipv4/ip_forward", "0");
          sysctl(node->ns, "ipv6/conf/all/forwarding", "0");
        }
        auto sent = fabric == Fabric::Native ? abi::COUNT_TO_NATIVE : abi::COUNT_TO_OVERLAY;
        auto out = world.a.counted(sent), in = world.b.counted(abi::COUNT_TO_PEER),
             local = world.a.counted(abi::COUNT_TO_PEER);
        CHECK(all_kinds(world.a1().ns, world.b1().ns, world.b1().ip(family), world.a1().ip(family)) == "");
        CHECK(world.a.counted(sent) > out + 10);
        CHECK(world.b.counted(abi::COUNT_TO_PEER) > in + 10);
        auto back = world.a.counted(abi::COUNT_TO_PEER);
        CHECK(back > local + 10);
        CHECK(all_kinds(world.a1().ns, world.a2().ns, world.a2().ip(family), world.a1().ip(family)) == "");
        CHECK(world.a.counted(abi::COUNT_TO_PEER) > back + 20);
      }
    }
}

}  // namespace causeway::test
