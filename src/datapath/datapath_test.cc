// The pure part: ports for masquerade, rows as text, pairs of conntrack, prefix lengths.
#include <doctest/doctest.h>

#include "datapath/conntrack.h"
#include "datapath/features.h"
#include "datapath/resize.h"
#include "datapath/routes.h"
#include "datapath/rows.h"
#include "kernel/bpf/fake.h"

namespace causeway::datapath {

namespace {

Ip ip(const char* text) { return Ip::parse(text).value(); }
Cidr cidr(const char* text) { return Cidr::parse(text).value(); }

std::string render(const NatPorts& ports) {
  std::string text;
  for (const auto& range : ports.ranges) text += fmt::format("{}-{} ", range.first, range.last);
  return text + (ports.track_node_flows ? "shared" : "own");
}

}  // namespace

TEST_CASE("masquerade takes the ports that neither the node's sockets nor node ports use") {
  CHECK(render(nat_ports({32768, 60999}, {30000, 32767})) == "1024-29999 61000-65535 own");
  CHECK(render(nat_ports({49152, 65535}, {30000, 32767})) == "1024-29999 32768-49151 own");
  // Fewer than 16,384 left: all of them, and the node's own flows are tracked.
  CHECK(render(nat_ports({1024, 65535}, {30000, 32767})) == "1024-65535 shared");
  CHECK(render(nat_ports({10000, 65000}, {30000, 32767})) == "1024-65535 shared");
}

TEST_CASE("addresses of both families survive the form of the maps") {
  for (const char* text : {"10.244.1.2", "255.255.255.255", "fd00:10::2", "::1"})
    CHECK(to_string(from_abi(to_abi(ip(text)))) == text);
  CHECK(route_key(cidr("10.244.1.0/24")).prefixlen == 32 + 96 + 24);
  CHECK(route_key(cidr("fd00:10::/64")).prefixlen == 32 + 64);
  for (const char* text : {"10.244.1.0/24", "0.0.0.0/0", "192.0.2.1/32", "fd00:10::/64", "::/0"})
    CHECK(to_string(prefix_of(route_key(cidr(text)))) == text);
}

TEST_CASE("rows are told in one line") {
  CHECK(render(route_key(cidr("10.244.2.0/24")), {.kind = abi::ROUTE_OVERLAY,
                                                  .mtu = 1450,
                                                  .ifindex = 3,
                                                  .vtep = to_abi(ip("192.0.2.2")),
                                                  .source = to_abi(ip("192.0.2.1")),
                                                  .vni = 1}) ==
        "10.244.2.0/24 -> overlay 192.0.2.2 from 192.0.2.1 dev 3 mtu 1450 vni 1");
  CHECK(render(route_key(cidr("fd00:10:2::/64")),
               {.kind = abi::ROUTE_NATIVE, .ifindex = 3, .next_hop = to_abi(ip("fe80::2"))}) ==
        "fd00:10:2::/64 -> native dev 3 via fe80::2");
  CHECK(render(route_key(cidr("192.0.2.1/32")), {.kind = abi::ROUTE_THIS_NODE}) == "192.0.2.1/32 -> this node");
  CHECK(render(pod_key(ip("10.244.1.2")), {.ifindex = 7, .mac = {2, 0, 0, 0, 0, 1}, .host_mac = {2, 0, 0, 0, 0, 2}}) ==
        "10.244.1.2 -> dev 7 mac 02:00:00:00:00:01 host-mac 02:00:00:00:00:02");
  abi::ct_key key{
      .src = to_abi(ip("10.244.1.2")), .dst = to_abi(ip("203.0.113.2")), .sport = 0x8813, .dport = 0xbb01, .proto = 6};
  abi::ct_value value{.to_src = to_abi(ip("192.0.2.11")),
                      .to_sport = 0x8813,
                      .expires = 160,
                      .flags = abi::CT_F_REWRITE_SRC | abi::CT_F_SEEN_REPLY};
  CHECK(render(key, value, 100) == "tcp 10.244.1.2:5000 > 203.0.113.2:443 from 192.0.2.11:5000 established 60s");
  CHECK(render(key, value, 160) == "tcp 10.244.1.2:5000 > 203.0.113.2:443 from 192.0.2.11:5000 established expired");
}

TEST_CASE("the twin of a row is the reply as the wire carries it, and its twin is the row") {
  abi::ct_key forward{
      .src = to_abi(ip("10.244.1.2")), .dst = to_abi(ip("203.0.113.2")), .sport = 1, .dport = 2, .proto = 17};
  abi::ct_value out{.to_src = to_abi(ip("192.0.2.11")), .to_sport = 9, .flags = abi::CT_F_REWRITE_SRC};
  abi::ct_value back{
      .to_dst = forward.src, .to_dport = forward.sport, .flags = abi::CT_F_REPLY | abi::CT_F_REWRITE_DST};
  auto reply = twin_of(forward, out);
  CHECK(to_string(from_abi(reply.src)) == "203.0.113.2");
  CHECK(to_string(from_abi(reply.dst)) == "192.0.2.11");
  CHECK(reply.sport == 2);
  CHECK(reply.dport == 9);
  CHECK(twin_of(reply, back) == forward);

  // A pair lives while one of its rows does.
  out.expires = 50;
  back.expires = 200;
  bpf::FakeTable<abi::ct_key, abi::ct_value> rows;
  REQUIRE(rows.put({{forward, out}, {reply, back}}));
  CHECK_FALSE(is_over(rows, forward, out, 100).value());
  CHECK_FALSE(is_over(rows, reply, back, 100).value());
  CHECK(is_over(rows, forward, out, 200).value());
  CHECK(is_over(rows, reply, back, 200).value());
  REQUIRE(rows.remove(reply));
  CHECK(is_over(rows, forward, out, 100).value());
}

TEST_CASE("prefix lengths are listed longest first, for each family, and too many are refused") {
  auto lengths =
      lengths_of({route_key(cidr("10.244.1.0/24")), route_key(cidr("192.0.2.1/32")), route_key(cidr("10.244.2.0/24")),
                  route_key(cidr("10.244.0.0/16")), route_key(cidr("fd00:10:1::/64"))})
          .value();
  std::string text;
  for (const auto& mask : lengths.v4)
    if (mask.prefixlen) text += fmt::format("{} {}; ", mask.prefixlen - 32, to_string(from_abi(mask.mask)));
  CHECK(text ==
        "128 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff; 120 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ff00; "
        "112 ffff:ffff:ffff:ffff:ffff:ffff:ffff:0; ");
  CHECK(lengths.v6[0].prefixlen == 32 + 64);
  CHECK(lengths.v6[1].prefixlen == 0);
  std::vector<abi::route_key> many;
  for (int bits = 8; bits <= 32; ++bits) many.push_back(route_key(Cidr(ip("10.0.0.0"), bits)));
  CHECK(lengths_of(many).error().message() ==
        "routes: 25 different prefix lengths of IPv4, the data path asks for at most 16");
}

TEST_CASE("attach modes are parsed from what --attach takes") {
  for (auto attach : {Attach::Auto, Attach::Tcx, Attach::Clsact})
    CHECK(parse_attach(to_string(attach)).value() == attach);
  CHECK(parse_attach("xdp").error().message() == "attach \"xdp\": must be auto, tcx or clsact");
}

TEST_CASE("a delta is applied puts first, and a table without a kernel says what was written") {
  bpf::FakeTable<abi::peer_key, abi::peer_value> table;
  table.rows = {{peer_key(ip("192.0.2.1")), {.node = 1}}, {peer_key(ip("192.0.2.2")), {.node = 2}}};
  decltype(table)::Rows wanted = {{peer_key(ip("192.0.2.2")), {.node = 2}}, {peer_key(ip("192.0.2.3")), {.node = 3}}};
  REQUIRE(table.apply(diff(table.rows, wanted)));
  CHECK(table.rows == wanted);
  CHECK(table.writes == 2);
  table.fail_next = Error(Errc::Exhausted, "full");
  CHECK(table.put(peer_key(ip("192.0.2.4")), {}).error().message() == "full");
}

TEST_CASE("maps of Services double until the rows fit, and never shrink") {
  const Sizes first = sizes_for(32768);
  CHECK(grown(first, ServiceRows{}) == first);
  CHECK(grown(first, ServiceRows{.services = 65536, .slots = 32768, .backends = 65536, .source_ranges = 65536}) ==
        first);
  auto more = grown(first, ServiceRows{.services = 65537, .slots = 300000, .backends = 131073});
  CHECK(more.services == 131072);
  CHECK(more.slots == 524288);
  CHECK(more.backends == 262144);
  CHECK(more.source_ranges == first.source_ranges);
  CHECK(grown(more, ServiceRows{.services = 1}) == more);
  // What programs remember follows the size of conntrack, within bounds.
  CHECK(sizes_for(512).affinity == 1024);
  CHECK(sizes_for(32768).socket_flows == 8192);
  CHECK(sizes_for(524288).affinity == 65536);
}

}  // namespace causeway::datapath
