// Further interfaces against the kernel: a macvlan, and a device that moves and comes back.
#include <doctest/doctest.h>
#include <fmt/ranges.h>

#include <set>

#include "kernel/netns/netns.h"
#include "pod/extra/apply.h"

using namespace causeway;
using namespace causeway::pod;

namespace {

Ip ip(const char* text) { return Ip::parse(text).value(); }

// A node with the devices ens5 and ens6, and a Pod.
struct World {
  Fd node_ns = netns::create().value();
  Fd pod_ns = netns::create().value();
  std::unique_ptr<netlink::Rtnetlink> node = netlink::open_rtnetlink_in(node_ns.get()).value();
  std::unique_ptr<netlink::Rtnetlink> inside = netlink::open_rtnetlink_in(pod_ns.get()).value();

  World() { REQUIRE(node->apply_one(netlink::CreateVeth{{.name = "ens5"}, {.name = "ens6"}}).has_value()); }

  // On a thread of the node, as a worker of the agent is one.
  Status attach(std::vector<ExtraInterface>& extras) {
    return netns::run_in(node_ns.get(), [&] {
      return attach_extras(*node, [] { return netlink::open_rtnetlink(); }, pod_ns.get(), "id-1", extras);
    });
  }
  Status detach(const std::vector<ExtraInterface>& extras, bool gone = false) {
    return netns::run_in(node_ns.get(), [&] {
      return detach_extras(*node, [] { return netlink::open_rtnetlink(); }, gone ? -1 : pod_ns.get(), "id-1", extras);
    });
  }
  std::string node_links() {
    std::set<std::string> lines;
    for (const auto& link : node->links().value())
      if (link.name != "lo") lines.insert(fmt::format("{} \"{}\"\n", link.name, link.alias));
    return fmt::format("{}", fmt::join(lines, ""));
  }
  std::string pod_links() {
    std::set<std::string> lines;
    for (const auto& link : inside->links().value())
      if (link.name != "lo") lines.insert(fmt::format("{} {} {}\n", link.name, link.kind, link.up ? "up" : "down"));
    return fmt::format("{}", fmt::join(lines, ""));
  }
};

}  // namespace

TEST_CASE(
    "a macvlan and a moved device are in the Pod with their addresses, and the node has its device back after DEL") {
  World world;
  std::vector<ExtraInterface> extras{
      {.network = "shop/a", .ifname = "net1", .device = "ens5", .mtu = 1400, .addresses = {{ip("192.0.2.7"), 24}}},
      {.network = "shop/b",
       .ifname = "net2",
       .kind = ExtraKind::Device,
       .device = "ens6",
       .mac = Mac{{2, 0, 0, 0, 0, 9}},
       .addresses = {{ip("198.51.100.7"), 24}, {ip("2001:db8::7"), 64}},
       .routes = {{Cidr::parse("203.0.113.0/24").value(), ip("198.51.100.1")}}}};
  auto attached = world.attach(extras);
  REQUIRE_MESSAGE(attached.has_value(), (attached ? "" : attached.error().message()));
  CHECK(world.pod_links() == "net1 macvlan up\nnet2 veth up\n");
  CHECK(world.node_links() == "ens5 \"\"\n");
  CHECK(extras[0].mac.has_value());
  CHECK(world.inside->link("net2")->mac == Mac{{2, 0, 0, 0, 0, 9}});
  CHECK(world.inside->routes({.protocol = netlink::kRouteProtocol})->size() == 1);
  const auto door = [] { return netlink::open_rtnetlink(); };
  CHECK(check_extras(door, world.pod_ns.get(), extras).has_value());
  REQUIRE(
      world.inside->apply_one(netlink::DeleteAddress{{world.inside->index_of("net1").value(), ip("192.0.2.7"), 24}}));
  CHECK(check_extras(door, world.pod_ns.get(), extras).error().message() ==
        "net1 of network shop/a has lost its address 192.0.2.7");

  for (int i = 0; i < 2; ++i) CHECK(world.detach(extras).has_value());
  CHECK(world.pod_links() == "");
  CHECK(world.node_links() == "ens5 \"\"\nens6 \"\"\n");
}

TEST_CASE("one that cannot be made takes the others back, and names what is missing") {
  World world;
  std::vector<ExtraInterface> extras{
      {.network = "shop/b", .ifname = "net1", .kind = ExtraKind::Device, .device = "ens6"},
      {.network = "shop/c", .ifname = "net2", .kind = ExtraKind::Device, .device = "ens9"}};
  const auto refused = world.attach(extras);
  CHECK(refused.error().message().starts_with("net2 of network shop/c: device ens9"));
  CHECK(refused.error().code() == Errc::NotFound);
  CHECK(world.node_links() == "ens5 \"\"\nens6 \"\"\n");
  std::vector<ExtraInterface> again{
      {.network = "shop/b", .ifname = "net1", .kind = ExtraKind::Device, .device = "ens6"},
      {.network = "shop/c", .ifname = "net1", .device = "ens5"}};
  CHECK(world.attach(again).error().code() == Errc::AlreadyExists);
  CHECK(world.node_links() == "ens5 \"\"\nens6 \"\"\n");
}

TEST_CASE("what the node or another Pod lives by is neither moved nor listened to") {
  World world;
  const auto ens5 = world.node->index_of("ens5").value();
  const auto refused = [&](ExtraInterface extra) {
    extra.network = "shop/a", extra.ifname = "net1", extra.device = extra.device.empty() ? "ens5" : extra.device;
    std::vector<ExtraInterface> extras{extra};
    const auto attached = world.attach(extras);
    if (attached) {
      CHECK(world.detach(extras).has_value());
      return std::string("made");
    }
    CHECK(attached.error().code() == Errc::Denied);
    return attached.error().message();
  };
  const ExtraInterface device{.kind = ExtraKind::Device}, bridge, whole{.mode = netlink::MacvlanMode::Passthru};
  CHECK(refused(whole) == "made");
  // An uplink without an address of its own.
  REQUIRE(world.node->apply_one(netlink::SetLink{.link = ens5, .up = true}).has_value());
  REQUIRE(world.node->apply_one(netlink::SetLink{.link = "ens6", .up = true}).has_value());
  REQUIRE(world.node->apply_one(netlink::PutRoute{{.destination = Cidr::parse("203.0.113.0/24").value(), .link = ens5}})
              .has_value());
  CHECK(refused(device).ends_with(
      "device ens5 is not one that a Pod may take: the node has its route to 203.0.113.0/24 there"));
  REQUIRE(world.node->apply_one(netlink::PutAddress{{.link = ens5, .ip = ip("192.0.2.1"), .prefix = 24}}).has_value());
  CHECK(refused(device).ends_with("a Pod may take: the node has its address 192.0.2.1 there"));
  CHECK(
      refused(whole).ends_with("master ens5 is not one that a Pod may share: the node has its address 192.0.2.1 there, "
                               "and passthru takes all of it"));
  CHECK(refused(bridge) == "made");
  REQUIRE(world.node->apply_one(netlink::SetLink{.link = "ens6", .group = netlink::kPodGroup}).has_value());
  CHECK(refused({.device = "ens6"}).ends_with("master ens6 is not one that a Pod may share: it is another Pod's"));
  CHECK(refused({.kind = ExtraKind::Device, .device = "ens6"}).ends_with("a Pod may take: it is another Pod's"));
  CHECK(refused({.kind = ExtraKind::Device, .device = "lo"}).ends_with("a Pod may take: it is the loopback"));
}

TEST_CASE("a device that the kernel put back when the Pod's namespace died gets its old name") {
  World world;
  std::vector<ExtraInterface> extras{
      {.network = "shop/b", .ifname = "net1", .kind = ExtraKind::Device, .device = "ens6"}};
  REQUIRE(world.attach(extras).has_value());
  // As default_device_exit_net() does with hardware: the name that it had in the Pod, its alias kept.
  const netlink::SetLink back{.link = world.inside->index_of("net1").value(), .netns_fd = world.node_ns.get()};
  REQUIRE(world.inside->apply_one(back).has_value());
  CHECK(world.node_links() == "ens5 \"\"\nnet1 \"causeway-moved id-1 ens6\"\n");
  CHECK(world.detach(extras, true).has_value());
  CHECK(world.node_links() == "ens5 \"\"\nens6 \"\"\n");
}
