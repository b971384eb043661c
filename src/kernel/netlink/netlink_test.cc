#include <doctest/doctest.h>

#include "kernel/netlink/encode.h"
#include "kernel/netlink/fake.h"

using namespace causeway;
using namespace causeway::netlink;

static Ip ip(const char* text) { return Ip::parse(text).value(); }
static Cidr cidr(const char* text) { return Cidr::parse(text).value(); }
static Mac mac(const char* text) { return Mac::parse(text).value(); }
static const nlmsghdr* as_message(const std::string& bytes) { return reinterpret_cast<const nlmsghdr*>(bytes.data()); }

TEST_CASE("what is encoded decodes to the same value") {
  const Route route{.destination = cidr("fd00:1::/64"),
                    .gateway = ip("fd00::2"),
                    .link = IfIndex{7},
                    .onlink = true,
                    .mtu = 1450,
                    .table = 1000,
                    .priority = 5,
                    .source = ip("fd00::1")};
  const auto encoded = encode(PutRoute{route}, 9).value();
  CHECK(as_message(encoded)->nlmsg_seq == 9);
  CHECK(decode_route(as_message(encoded)) == route);

  const Address address{.link = IfIndex{3}, .ip = ip("10.1.0.5"), .prefix = 32};
  CHECK(decode_address(as_message(encode(PutAddress{address}, 1).value())) == address);
  const Neighbour neighbour{.link = IfIndex{3}, .ip = ip("fe80::1"), .mac = mac("0a:58:a9:fe:01:01")};
  CHECK(decode_neighbour(as_message(encode(PutNeighbour{neighbour}, 1).value())) == neighbour);
}

TEST_CASE("changes are printed in the words of ip") {
  CHECK(to_string(Change(PutRoute{Route{.destination = cidr("10.1.1.0/24"),
                                        .gateway = ip("172.18.0.3"),
                                        .link = IfIndex{2},
                                        .onlink = true,
                                        .mtu = 1450}})) ==
        "put route 10.1.1.0/24 via 172.18.0.3 dev 2 onlink mtu 1450 proto 202");
  CHECK(to_string(Change(PutRoute{Route{.destination = cidr("10.1.0.0/16"), .type = RouteType::Blackhole}})) ==
        "put route blackhole 10.1.0.0/16 proto 202");
  CHECK(to_string(Change(SetLink{.link = "eth0", .up = true, .mtu = 1400, .alias = "x"})) ==
        "set link eth0 up mtu 1400 alias \"x\"");
  CHECK(to_string(Change(CreateMacvlan{{.name = "net1"}, IfIndex{3}, MacvlanMode::Vepa})) ==
        "create macvlan net1 on 3 mode vepa");
  CHECK(to_string(Change(CreateVeth{{.name = "cw1", .mtu = 1450}, {.name = "eth0", .netns_fd = 5}})) ==
        "create veth cw1 mtu 1450 peer eth0 in another namespace");
}

TEST_CASE("what the kernel could misread is refused before it is sent") {
  CHECK(encode(DeleteGroup{0}, 1).error().message() == "delete link group 0: it holds every ordinary link");
  CHECK(encode(DeleteLink{IfIndex{0}}, 1).error().message() == "link index 0 names no link");
  CHECK(encode(CreateBridge{.name = "a-name-of-16-byt"}, 1).error().message() ==
        "link name \"a-name-of-16-byt\": must have 1..15 bytes");
  CHECK(encode(SetLink{.link = IfIndex{2}, .alias = std::string(256, 'a')}, 1).error().message() ==
        "alias of link 2: 256 bytes, the kernel takes 255");
  CHECK(encode(PutRoute{Route{.destination = cidr("10.0.0.0/8"), .gateway = ip("::1")}}, 1).error().message() ==
        "route 10.0.0.0/8 via ::1 proto 202: gateway and destination are of different families");
}

TEST_CASE("shaping without a rate, a burst or a limit is refused, and what the kernel tells of one is read") {
  CHECK(encode(PutTokenBucket{.link = IfIndex{2}, .bucket = {.rate = 1000, .limit = 5}}, 1).error().message() ==
        "put qdisc dev 2 tbf rate 1000bps burst 0b limit 5b: link, rate, burst and limit must not be 0");
  CHECK(encode(DeleteTokenBucket{}, 1).error().message() == "delete qdisc dev 0 tbf: names no link");
  // A request has the layout of what comes back, but for the burst, which is a time there.
  auto bytes = encode(PutTokenBucket{.link = IfIndex{2}, .bucket = {.rate = 5'000'000'000, .burst = 1, .limit = 7}}, 1);
  auto* header = reinterpret_cast<nlmsghdr*>(bytes->data());
  CHECK(decode_token_bucket(header) == TokenBucket{.rate = 5'000'000'000, .burst = 0, .limit = 7});
  for (uint32_t length = sizeof(nlmsghdr); length < bytes->size(); ++length) {
    header->nlmsg_len = length;
    (void)decode_token_bucket(header);  // the sanitizer is the judge
  }
}

TEST_CASE("a truncated message decodes to nothing") {
  auto bytes = encode(PutRoute{Route{.destination = cidr("10.0.0.0/8"), .link = IfIndex{2}}}, 1).value();
  auto* header = reinterpret_cast<nlmsghdr*>(bytes.data());
  for (uint32_t length = sizeof(nlmsghdr); length < bytes.size(); ++length) {
    header->nlmsg_len = length;
    (void)decode_route(header);  // the sanitizer is the judge
  }
  header->nlmsg_len = sizeof(nlmsghdr) + 4;
  CHECK(!decode_route(header));
}

TEST_CASE("the fake namespace behaves as the kernel does") {
  FakeRtnetlink net;
  const std::vector<Change> changes{
      CreateBridge{.name = "br0"},
      CreateVeth{{.name = "a"}, {.name = "b"}},
      SetLink{.link = "a", .up = true, .master = IfIndex{2}},
      CreateVeth{{.name = "a"}, {.name = "c"}},
      PutAddress{{.link = IfIndex{3}, .ip = ip("10.0.0.1"), .prefix = 24}},
      PutRoute{{.destination = cidr("10.1.0.0/24"), .gateway = ip("10.0.0.2"), .link = IfIndex{3}}},
      PutRoute{{.destination = cidr("10.1.0.0/24"), .gateway = ip("10.0.0.3"), .link = IfIndex{3}}},
      PutNeighbour{{.link = IfIndex{9}, .ip = ip("10.0.0.2"), .mac = mac("0a:58:00:00:00:01")}},
      DeleteLink{"absent"},
  };
  std::string errors;
  for (auto& status : net.apply(changes))
    if (!status) errors += status.error().message() + "\n";
  CHECK(errors ==
        "create veth a peer c: File exists\n"
        "put neighbour 10.0.0.2 lladdr 0a:58:00:00:00:01 dev 9: No such device\n");
  CHECK(net.render() ==
        "1: lo 00:00:00:00:00:00 mtu 65536 up\n"
        "2: br0 bridge 00:00:00:00:00:00 mtu 1500 down\n"
        "3: a veth peer 4 00:00:00:00:00:00 mtu 1500 up master 2\n"
        "4: b veth peer 3 00:00:00:00:00:00 mtu 1500 down\n"
        "address 10.0.0.1/24 dev 3\n"
        "route 10.1.0.0/24 via 10.0.0.3 dev 3 proto 202\n");
  CHECK(net.route_to(ip("10.1.0.9"))->gateway == ip("10.0.0.3"));
  CHECK(net.apply_one(DeleteLink{IfIndex{4}}).has_value());
  CHECK(net.links()->size() == 2);
  CHECK(net.routes({})->empty());
}

TEST_CASE("a fault makes one change fail and leaves the rest") {
  FakeRtnetlink net;
  net.fault = [](const Change& change) -> Status {
    if (std::holds_alternative<CreateBridge>(change)) return fail(Errc::Io, "out of memory");
    return ok();
  };
  CHECK(net.apply_one(CreateBridge{.name = "br0"}).error().message() == "out of memory");
  CHECK(net.apply_one(CreateVeth{{.name = "a"}, {.name = "b"}}).has_value());
  CHECK(net.log == std::vector<std::string>{"create veth a peer b"});
}
