// The doors to rtnetlink and namespaces against the running kernel. Everything happens in namespaces without a name
// that end with the test.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>

#include "async/event.h"
#include "async/scope.h"
#include "kernel/netlink/rtnetlink.h"
#include "kernel/netns/netns.h"

using namespace causeway;
using namespace causeway::netlink;

namespace {

Ip ip(const char* text) { return Ip::parse(text).value(); }
Cidr cidr(const char* text) { return Cidr::parse(text).value(); }
Mac mac(const char* text) { return Mac::parse(text).value(); }

// Two namespaces, "node" and "pod", with a door to each.
struct World {
  Fd node = netns::create().value();
  Fd pod = netns::create().value();
  std::unique_ptr<Rtnetlink> net = open_rtnetlink_in(node.get()).value();
  std::unique_ptr<Rtnetlink> inside = open_rtnetlink_in(pod.get()).value();

  CreateVeth veth(std::string name) {
    return CreateVeth{{.name = std::move(name), .mac = mac("0a:58:a9:fe:01:01"), .mtu = 1450, .group = 77},
                      {.name = "eth0", .mac = mac("0a:58:0a:01:00:05"), .mtu = 1450, .netns_fd = pod.get()}};
  }
};

}  // namespace

TEST_CASE("one message makes a veth with its peer in another namespace") {
  World world;
  REQUIRE(world.net->apply_one(world.veth("cwtest0")).has_value());
  const Link host = world.net->link("cwtest0").value();
  const Link peer = world.inside->link("eth0").value();
  CHECK(to_string(host) ==
        fmt::format("{}: cwtest0 veth peer {} 0a:58:a9:fe:01:01 mtu 1450 down group 77", host.index, peer.index));
  CHECK(host.peer_netns.has_value());
  CHECK(peer.mac == mac("0a:58:0a:01:00:05"));
  CHECK(peer.mtu == 1450);

  const auto again = world.net->apply_one(world.veth("cwtest0"));
  REQUIRE(!again.has_value());
  CHECK(again.error().code() == Errc::AlreadyExists);
  CHECK(again.error().message().find("create veth cwtest0") == 0);
  CHECK(again.error().message().find("File exists") != std::string::npos);
  // The name inside is taken, the one outside is free: nothing is half-made.
  CHECK(world.net->apply_one(world.veth("cwtest1")).error().code() == Errc::AlreadyExists);
  CHECK(world.net->link("cwtest1").error().code() == Errc::NotFound);
}

TEST_CASE("alias, group, up and autoconf change on a link, and links of a group go together") {
  World world;
  REQUIRE(world.net->apply_one(world.veth("cwtest0")).has_value());
  const IfIndex index = world.net->link("cwtest0")->index;
  REQUIRE(
      world.net->apply_one(SetLink{.link = index, .up = true, .group = 99, .alias = "who I am", .ipv6_autoconf = false})
          .has_value());
  REQUIRE(world.inside->apply_one(SetLink{.link = "eth0", .up = true}).has_value());
  const Link link = world.net->link(index).value();
  CHECK(link.up);
  CHECK(link.running);
  CHECK(link.group == 99);
  CHECK(link.alias == "who I am");
  for (const auto& address : world.net->addresses().value()) CHECK(address.link != index);

  std::vector<Change> more;
  for (int i = 0; i < 5; ++i)
    more.push_back(CreateVeth{{.name = fmt::format("x{}", i), .group = 99}, {.name = fmt::format("y{}", i)}});
  REQUIRE(world.net->apply_all(more).has_value());
  REQUIRE(world.net->apply_one(DeleteGroup{99}).has_value());
  CHECK(world.net->links()->size() == 1);  // lo
  CHECK(world.net->apply_one(DeleteGroup{99}).has_value());
  CHECK(world.net->apply_one(DeleteLink{index}).has_value());
}

TEST_CASE("an alias has up to 255 bytes, and none again") {
  World world;
  REQUIRE(world.net->apply_one(world.veth("cwtest0")).has_value());
  const IfIndex index = world.net->link("cwtest0")->index;
  for (const size_t size : {255, 1, 254, 0}) {
    const std::string alias(size, 'a');
    const auto done = world.net->apply_one(SetLink{.link = index, .alias = alias});
    CHECK_MESSAGE(done.has_value(), (done ? "" : done.error().message()));
    CHECK(world.net->link(index)->alias == alias);
  }
}

TEST_CASE("addresses, routes and neighbours are put, read back and deleted") {
  World world;
  REQUIRE(world.net->apply_one(world.veth("cwtest0")).has_value());
  const IfIndex eth0 = world.inside->link("eth0")->index;
  REQUIRE(world.net->apply_one(SetLink{.link = "cwtest0", .up = true}).has_value());
  REQUIRE(world.inside->apply_one(SetLink{.link = eth0, .ipv6_autoconf = false}).has_value());
  REQUIRE(world.inside->apply_one(SetLink{.link = eth0, .up = true}).has_value());

  const Address v4{.link = eth0, .ip = ip("10.1.0.5"), .prefix = 32};
  const Address v6{.link = eth0, .ip = ip("fd00:1::5"), .prefix = 128};
  const Route default4{
      .destination = cidr("0.0.0.0/0"), .gateway = ip("169.254.1.1"), .link = eth0, .onlink = true, .mtu = 1400};
  const Route default6{.destination = cidr("::/0"),
                       .gateway = ip("fe80::1"),
                       .link = eth0,
                       .onlink = true,
                       .mtu = 1400,
                       .source = ip("fd00:1::5")};
  const Route hole{.destination = cidr("10.9.0.0/16"), .type = RouteType::Blackhole, .table = 1234, .priority = 7};
  const Route hole6{.destination = cidr("fd00:9::/64"), .type = RouteType::Unreachable};
  const Neighbour gateway4{.link = eth0, .ip = ip("169.254.1.1"), .mac = mac("0a:58:a9:fe:01:01")};
  const Neighbour gateway6{.link = eth0, .ip = ip("fe80::1"), .mac = mac("0a:58:a9:fe:01:01")};
  const std::vector<Change> changes{PutAddress{v4},         PutAddress{v6},     PutNeighbour{gateway4},
                                    PutNeighbour{gateway6}, PutRoute{default4}, PutRoute{default6},
                                    PutRoute{hole},         PutRoute{hole6}};
  for (int round = 0; round < 2; ++round) {  // what may be repeated is repeated
    const auto done = world.inside->apply_all(changes);
    CHECK_MESSAGE(done.has_value(), (done ? "" : done.error().message()));
  }

  std::string seen;
  for (const auto& address : world.inside->addresses().value())
    if (address.link == eth0) seen += to_string(address) + "\n";
  for (const auto& route : world.inside->routes({.protocol = kRouteProtocol}).value()) seen += to_string(route) + "\n";
  for (const auto& route : world.inside->routes({.table = 1234}).value()) seen += to_string(route) + "\n";
  for (const auto& neighbour : world.inside->neighbours().value()) seen += to_string(neighbour) + "\n";
  const std::string dev = to_string(eth0);
  CHECK(seen == "address 10.1.0.5/32 dev " + dev + "\n" + "address fd00:1::5/128 dev " + dev + " nodad\n" +
                    "route 0.0.0.0/0 via 169.254.1.1 dev " + dev + " onlink mtu 1400 proto 202\n" +
                    "route unreachable fd00:9::/64 proto 202\n" + "route ::/0 via fe80::1 dev " + dev +
                    " onlink src fd00:1::5 mtu 1400 proto 202\n" +
                    "route blackhole 10.9.0.0/16 metric 7 table 1234 proto 202\n" +
                    "neighbour 169.254.1.1 lladdr 0a:58:a9:fe:01:01 dev " + dev + "\n" +
                    "neighbour fe80::1 lladdr 0a:58:a9:fe:01:01 dev " + dev + "\n");

  CHECK(world.inside->route_to(ip("8.8.8.8"))->gateway == ip("169.254.1.1"));
  CHECK(world.inside->route_to(ip("8.8.8.8"))->source == ip("10.1.0.5"));
  CHECK(world.inside->route_to(ip("2001:db8::1"))->source == ip("fd00:1::5"));
  CHECK(world.net->route_to(ip("8.8.8.8")).error().code() == Errc::Unavailable);

  const std::vector<Change> undo{DeleteRoute{default4},
                                 DeleteRoute{default6},
                                 DeleteRoute{hole},
                                 DeleteRoute{hole6},
                                 DeleteNeighbour{eth0, gateway4.ip},
                                 DeleteNeighbour{eth0, gateway6.ip},
                                 DeleteAddress{v4},
                                 DeleteAddress{v6}};
  for (int round = 0; round < 2; ++round) {
    const auto done = world.inside->apply_all(undo);
    CHECK_MESSAGE(done.has_value(), (done ? "" : done.error().message()));
  }
  CHECK(world.inside->routes({.table = 0, .protocol = kRouteProtocol})->empty());
  CHECK(world.inside->neighbours()->empty());
}

TEST_CASE("a batch larger than the socket's buffers is applied whole, and errors keep their place") {
  World world;
  REQUIRE(world.net->apply_one(world.veth("cwtest0")).has_value());
  const IfIndex index = world.net->link("cwtest0")->index;
  REQUIRE(world.net->apply_one(SetLink{.link = index, .up = true}).has_value());
  std::vector<Change> changes;
  for (uint32_t i = 0; i < 5000; ++i)
    changes.push_back(
        PutRoute{{.destination = Cidr(Ip::v4(0x0a000000 + (i << 8)), 24), .link = i == 4321 ? IfIndex{9999} : index}});
  const auto statuses = world.net->apply(changes);
  for (size_t i = 0; i < statuses.size(); ++i) CHECK(statuses[i].has_value() == (i != 4321));
  CHECK(world.net->routes({.protocol = kRouteProtocol})->size() == 4999);
}

TEST_CASE("a watch wakes on a change, once for many") {
  World world;
  const auto outcome = netns::call_in(world.node.get(), [&]() -> Status {
    auto loop = make_loop();
    auto watch = TRY(open_watch(*loop, {Watched::Links}));
    for (int i = 0; i < 20; ++i)
      TRY(world.net->apply_one(CreateVeth{{.name = fmt::format("a{}", i)}, {.name = fmt::format("b{}", i)}}));
    return run_until_done(*loop, watch->changed());
  });
  CHECK(outcome.has_value());
}

TEST_CASE("a watch sleeps over what happens to links of the groups that it leaves out") {
  World world;
  constexpr uint32_t kOurs = 77;
  const auto make = [&](uint32_t group) -> Status {
    TRY(world.net->apply_one(CreateVeth{{.name = "a", .group = group}, {.name = "b", .group = group}}));
    TRY(world.net->apply_one(SetLink{.link = "a", .up = true}));
    TRY(world.net->apply_one(SetLink{.link = "a", .group = group + 1}));
    return world.net->apply_one(DeleteLink{"a"});
  };
  const auto outcome = netns::call_in(world.node.get(), [&]() -> Status {
    auto loop = make_loop();
    auto watch = TRY(open_watch(*loop, {Watched::Links}, {kOurs, kOurs + 1}));
    OneShot<Status> woke(*loop);
    const auto wait = [&]() -> Task<Status> {
      woke.set(co_await watch->changed());
      co_return ok();
    };
    const auto story = [&]() -> Task<Status> {
      CO_TRY(make(kOurs));
      CO_TRY(co_await loop->sleep(50ms));
      CHECK_FALSE(woke.is_set());
      CO_TRY(make(kOurs + 1));  // ends in a group that is not left out
      co_return CO_TRY(co_await woke.get());
    };
    Scope scope(*loop);
    scope.spawn("wait", wait());
    return run_until_done(*loop, story());
  });
  CHECK(outcome.has_value());
}

TEST_CASE("namespaces are told apart, pinned, and refused when they are none") {
  Fd first = netns::create().value();
  Fd second = netns::create().value();
  CHECK(netns::id_of(first.get()).value() != netns::id_of(second.get()).value());
  CHECK(netns::cookie_of(first.get()).value() != netns::cookie_of(second.get()).value());
  const std::string path = fmt::format("/run/cwnetnstest.{}/a/b", ::getpid());
  REQUIRE(netns::pin(first.get(), path).has_value());
  CHECK(netns::pin(first.get(), path).error().code() == Errc::AlreadyExists);
  CHECK(netns::id_of(netns::open(path)->get()).value() == netns::id_of(first.get()).value());
  CHECK(netns::unpin(path).has_value());
  CHECK(netns::unpin(path).has_value());
  CHECK(netns::open(path).error().code() == Errc::NotFound);
  CHECK(netns::open("/etc/hostname").error().message() == "/etc/hostname is no network namespace");
  CHECK(netns::open("/proc/self/ns/mnt").error().message() == "/proc/self/ns/mnt is no network namespace");
  ::rmdir(fmt::format("/run/cwnetnstest.{}/a", ::getpid()).c_str());
  ::rmdir(fmt::format("/run/cwnetnstest.{}", ::getpid()).c_str());
}

TEST_CASE("sysctls inside a namespace are its own") {
  World world;
  const auto set = netns::run_in(world.pod.get(), [] { return netns::write_sysctl("ipv4/ip_forward", "1"); });
  CHECK(set.has_value());
  const auto read = [](const Fd& ns) {
    return netns::call_in(ns.get(), [] { return netns::read_sysctl("ipv4/ip_forward"); }).value();
  };
  CHECK(read(world.pod) == "1");
  CHECK(read(world.node) == "0");
}

TEST_CASE("a VXLAN device of either outer family, and who is behind which MAC") {
  World world;
  for (const char* local : {"192.0.2.1", "2001:db8::1"}) {
    CAPTURE(local);
    const Vxlan vxlan{.vni = 7, .port = 4790, .local = ip(local)};
    REQUIRE(world.net
                ->apply_one(CreateVxlan{
                    .name = "causeway.vxlan4", .vxlan = vxlan, .mac = mac("02:00:00:00:00:01"), .mtu = 1430})
                .has_value());
    const Link link = world.net->link("causeway.vxlan4").value();
    CHECK(link.vxlan == vxlan);
    CHECK(link.kind == "vxlan");
    CHECK(link.mtu == 1430);
    CHECK(link.mac == mac("02:00:00:00:00:01"));
    REQUIRE(world.net->apply_one(SetLink{.link = link.index, .up = true}).has_value());

    const bool v4 = vxlan.local.is_v4();
    Forwarding entry{link.index, mac("02:00:00:00:00:02"), ip(v4 ? "192.0.2.2" : "2001:db8::2")};
    REQUIRE(world.net->apply_one(PutForwarding{entry}).has_value());
    CHECK(world.net->forwarding(link.index).value() == std::vector{entry});
    entry.vtep = ip(v4 ? "192.0.2.3" : "2001:db8::3");
    REQUIRE(world.net->apply_one(PutForwarding{entry}).has_value());  // moves, does not double
    CHECK(world.net->forwarding(link.index).value() == std::vector{entry});
    CHECK(world.net->forwarding(IfIndex{1}).value().empty());
    CHECK(world.net->apply_one(DeleteForwarding{entry}).has_value());
    CHECK(world.net->apply_one(DeleteForwarding{entry}).has_value());
    CHECK(world.net->forwarding(link.index).value().empty());
    REQUIRE(world.net->apply_one(DeleteLink{link.index}).has_value());
  }
  const auto refused = world.net->apply_one(CreateVxlan{.name = "x", .vxlan = {.vni = 1u << 24, .local = ip("::1")}});
  CHECK(refused.error().code() == Errc::Invalid);
}

TEST_CASE("rules by source, of ours only, however often they are put") {
  World world;
  for (const char* from : {"10.244.1.0/24", "fd00:10:1::/64"}) {
    const Rule rule{.from = cidr(from), .table = 51776, .priority = 20200};
    REQUIRE(world.net->apply_one(PutRule{rule}).has_value());
    REQUIRE(world.net->apply_one(PutRule{rule}).has_value());
  }
  REQUIRE(world.net->apply_one(PutRule{{.from = cidr("10.9.0.0/16"), .table = 99, .priority = 7, .protocol = 4}})
              .has_value());
  CHECK(world.net->rules(0).value().size() == 3);
  const auto ours = world.net->rules(kRouteProtocol).value();
  REQUIRE(ours.size() == 2);
  CHECK(to_string(ours[0]) == "rule 20200: from 10.244.1.0/24 lookup 51776 proto 202");
  CHECK(to_string(ours[1]) == "rule 20200: from fd00:10:1::/64 lookup 51776 proto 202");
  for (const Rule& rule : ours) {
    CHECK(world.net->apply_one(DeleteRule{rule}).has_value());
    CHECK(world.net->apply_one(DeleteRule{rule}).has_value());
  }
  CHECK(world.net->rules(0).value().size() == 1);
}

TEST_CASE("a route's locked MTU comes back as it was put") {
  World world;
  REQUIRE(world.net->apply_one(CreateBridge{.name = "br"}).has_value());
  const IfIndex link = world.net->link("br")->index;
  REQUIRE(world.net->apply_one(SetLink{.link = link, .up = true}).has_value());
  for (const char* to : {"10.244.2.0/24", "fd00:10:2::/64"}) {
    const Route route{.destination = cidr(to), .link = link, .mtu = 1430, .mtu_locked = true, .table = 51776};
    REQUIRE(world.net->apply_one(PutRoute{route}).has_value());
    const auto found = world.net->routes({.table = 51776}).value();
    REQUIRE(found.size() == 1);
    CHECK(found[0] == route);
    REQUIRE(world.net->apply_one(DeleteRoute{route}).has_value());
  }
}

TEST_CASE("a token bucket is put, read back, changed in place and removed") {
  World world;
  REQUIRE(world.net->apply_one(world.veth("cwtest0")).has_value());
  const IfIndex link = world.net->link("cwtest0")->index;
  CHECK(world.net->index_of("cwtest0").value() == link);
  CHECK(world.net->index_of("eth0").error().code() == Errc::NotFound);
  CHECK(world.inside->index_of("eth0").value() == world.inside->link("eth0")->index);
  CHECK(world.net->token_bucket(link).value() == std::nullopt);
  CHECK(world.net->apply_one(DeleteTokenBucket{link}).has_value());
  for (const uint64_t rate : {125'000ull, 1'250'000'000ull, 12'500'000'000ull}) {
    const TokenBucket wanted{.rate = rate, .burst = 65536, .limit = 100'000};
    CHECK(world.net->apply_one(PutTokenBucket{link, wanted}).has_value());
    const auto found = world.net->token_bucket(link).value();
    REQUIRE(found.has_value());
    CHECK(found->rate == rate);
    CHECK(found->limit == wanted.limit);
    CHECK(found->burst + double(rate) * 64e-9 + 1 >= wanted.burst);
    CHECK(found->burst <= wanted.burst + double(rate) * 64e-9 + 1);
  }
  for (int i = 0; i < 2; ++i) CHECK(world.net->apply_one(DeleteTokenBucket{link}).has_value());
  CHECK(world.net->token_bucket(link).value() == std::nullopt);
}

TEST_CASE("a macvlan is made in the Pod on a device of the node, and a device moves there and back with its name") {
  World world;
  REQUIRE(world.net->apply_one(CreateVeth{{.name = "uplink"}, {.name = "wire"}}).has_value());
  const IfIndex parent = world.net->link("uplink")->index;
  const CreateMacvlan create{
      {.name = "net1", .mac = mac("0a:58:00:00:00:09"), .mtu = 1400, .netns_fd = world.pod.get()},
      parent,
      MacvlanMode::Bridge};
  REQUIRE(world.net->apply_one(create).has_value());
  const Link made = world.inside->link("net1").value();
  CHECK(made.kind == "macvlan");
  CHECK(made.mtu == 1400);
  CHECK(made.mac == mac("0a:58:00:00:00:09"));
  CHECK(world.net->apply_one(create).error().code() == Errc::AlreadyExists);

  const SetLink there{
      .link = world.net->link("wire")->index, .alias = "was wire", .rename = "net2", .netns_fd = world.pod.get()};
  REQUIRE(world.net->apply_one(there).has_value());
  CHECK(world.net->link("wire").error().code() == Errc::NotFound);
  CHECK(world.inside->link("net2")->alias == "was wire");
  const SetLink back{.link = world.inside->link("net2")->index, .rename = "wire", .netns_fd = world.node.get()};
  REQUIRE(world.inside->apply_one(back).has_value());
  CHECK(world.net->link("wire")->alias == "was wire");
}
