#include <doctest/doctest.h>

#include "pod/extra/definition.h"
#include "pod/extra/ranges.h"

using namespace causeway;
using namespace causeway::pod;

namespace {

Ip ip(const char* text) { return Ip::parse(text).value(); }

std::string networks(std::string_view text) {
  auto all = parse_networks(text, "shop");
  if (!all) return all.error().message();
  std::string out;
  for (const auto& one : *all) {
    out += fmt::format("{}/{}@{}", one.ns, one.name, one.ifname);
    if (one.mac) out += fmt::format(" {}", *one.mac);
    for (const auto& address : one.ips) out += fmt::format(" {}/{}", address.ip, address.prefix);
    out += "\n";
  }
  return out;
}

std::string defined(std::string_view config, Selection selection = {.ns = "shop", .name = "store", .ifname = "net1"},
                    const std::set<Ip>& taken = {}, const ClusterSpace& cluster = {}) {
  auto extra = parse_definition(config, selection, taken, cluster);
  return extra ? to_string(*extra) : extra.error().message();
}

}  // namespace

TEST_CASE("the annotation is read in both of its forms") {
  CHECK(networks("store") == "shop/store@net1\n");
  CHECK(networks(" store, infra/fast@sriov0 ,store") == "shop/store@net1\ninfra/fast@sriov0\nshop/store@net3\n");
  CHECK(networks(R"([{"name":"store"},{"name":"fast","namespace":"infra","interface":"fast0",
                     "mac":"02:00:00:00:00:01","ips":["192.0.2.7/24","2001:db8::7"]}])") ==
        "shop/store@net1\ninfra/fast@fast0 02:00:00:00:00:01 192.0.2.7/24 2001:db8::7/128\n");
  CHECK(networks("[]") == "");
  CHECK(networks("") == "");
}

TEST_CASE("what the annotation cannot mean is refused by name") {
  CHECK(networks("a,,b") == "annotation k8s.v1.cni.cncf.io/networks: has an empty element");
  CHECK(networks("store@eth0") == "annotation k8s.v1.cni.cncf.io/networks: two interfaces eth0");
  CHECK(networks("a@x,b@x") == "annotation k8s.v1.cni.cncf.io/networks: two interfaces x");
  CHECK(networks("a@net2,b").starts_with("annotation k8s.v1.cni.cncf.io/networks: two interfaces net2"));
  CHECK(networks(R"([{"name":"store","default-route":["192.0.2.1"]}])") ==
        "annotation k8s.v1.cni.cncf.io/networks: key default-route is not supported (name, namespace, interface, ips "
        "and mac are)");
  for (const char* bad :
       {"../x", "a/b/c", "UPPER", "a@b/c", "a;b", "store@", "[1]", "[{\"name\":1}]", "{}", "a@sixteen-letters1",
        "[{\"name\":\"a\",\"ips\":[\"x\"]}]", "[{\"name\":\"a\",\"ips\":[\"10.0.0.1/33\"]}]"})
    CHECK_MESSAGE(!parse_networks(bad, "shop"), bad);
}

TEST_CASE("a definition becomes an interface") {
  CHECK(defined(R"({"cniVersion":"0.3.1","type":"macvlan","master":"eth1","mode":"private","mtu":1400,
                    "ipam":{"type":"host-local","subnet":"192.0.2.0/24","rangeStart":"192.0.2.7",
                            "routes":[{"dst":"198.51.100.0/24","gw":"192.0.2.1"}]}})") ==
        "net1 on shop/store macvlan eth1 private mtu 1400 mac 0a:58:c0:00:02:07 192.0.2.7/24 route 198.51.100.0/24 via "
        "192.0.2.1");
  CHECK(defined(R"({"plugins":[{"type":"host-device","device":"ens5"}]})") == "net1 on shop/store device ens5");
  CHECK(defined(R"({"type":"macvlan","master":"eth1","ipam":{"type":"static","addresses":[{"address":"192.0.2.9/24"},
                    {"address":"2001:db8::9/64"}]}})") ==
        "net1 on shop/store macvlan eth1 bridge mac 0a:58:c0:00:02:09 192.0.2.9/24 2001:db8::9/64");
  Selection asks{
      .ns = "shop", .name = "store", .ifname = "net1", .mac = Mac{{2, 0, 0, 0, 0, 5}}, .ips = {{ip("192.0.2.50"), 24}}};
  CHECK(defined(R"({"type":"macvlan","master":"eth1","ipam":{"type":"host-local","subnet":"192.0.2.0/24"}})", asks) ==
        "net1 on shop/store macvlan eth1 bridge mac 02:00:00:00:00:05 192.0.2.50/24");
}

TEST_CASE("what we do not have is refused with its name, and nothing is left out in silence") {
  const std::string head = "NetworkAttachmentDefinition shop/store: ";
  CHECK(defined(R"({"type":"ipvlan","master":"eth1"})") ==
        head + "type \"ipvlan\" is not supported: macvlan and host-device are");
  CHECK(defined(R"({"type":"macvlan","linkInContainer":true})") ==
        head + "macvlan: key linkInContainer is not supported: true");
  CHECK(defined(R"({"type":"macvlan","ipam":{"type":"whereabouts"}})") ==
        head + "ipam type \"whereabouts\" is not supported: static and host-local are");
  CHECK(defined(R"({"plugins":[{"type":"macvlan"},{"type":"tuning"}]})") ==
        head + "spec.config lists several plugins; one is supported");
  CHECK(defined(R"({"type":"macvlan","ipam":{"type":"static","routes":[{"dst":"0.0.0.0/0"}]}})") ==
        head + "ipam.routes: 0.0.0.0/0 would lead all traffic past the cluster's own network");
  CHECK(defined(R"({"type":"host-device","pciBusID":"0000:00:1f.6"})") ==
        head + "host-device: key pciBusID is not supported: \"0000:00:1f.6\"");
  CHECK(defined("{").starts_with(head + "spec.config is no JSON object"));
  CHECK(defined(R"({"type":"host-device"})") == head + "host-device names no device");
  CHECK(defined(R"({"type":"macvlan","mode":"l2"})").starts_with(head + "mode \"l2\" must be"));
  CHECK(
      defined(
          R"({"type":"macvlan","ipam":{"type":"host-local","ranges":[[{"subnet":"192.0.2.0/24","rangeEnd":"192.0.3.1"}]]}})") ==
      head + "ipam.ranges: rangeEnd 192.0.3.1 is outside of 192.0.2.0/24");
}

TEST_CASE("a network that overlaps the cluster's own is refused by its key, and by what it overlaps") {
  const auto overlaps = [](const char* own) {
    return [own](const Cidr& prefix) {
      return prefix.overlaps(Cidr::parse(own).value()) ? fmt::format("{}, the cluster's", own) : "";
    };
  };
  const ClusterSpace cluster{.by_route = overlaps("10.244.0.0/16"), .by_subnet = [&](const Cidr& prefix) {
                               // One Node stands in the subnet itself.
                               if (prefix == Cidr::parse("192.0.2.2/32").value())
                                 return std::string("192.0.2.2, an address of Node n2");
                               return overlaps("10.244.0.0/16")(prefix);
                             }};
  const std::string head = "NetworkAttachmentDefinition shop/store: ";
  const std::string past = " would lead traffic past the cluster's own network: it overlaps ";
  const auto said = [&](const char* ipam, std::vector<ExtraAddress> ips = {}) {
    const Selection selection{.ns = "shop", .name = "store", .ifname = "net1", .ips = std::move(ips)};
    return defined(fmt::format(R"({{"type":"macvlan","master":"eth1","ipam":{}}})", ipam), selection, {}, cluster);
  };
  CHECK(said(R"({"type":"static","routes":[{"dst":"0.0.0.0/1"},{"dst":"128.0.0.0/1"}]})") ==
        head + "ipam.routes: 0.0.0.0/1" + past + "10.244.0.0/16, the cluster's");
  CHECK(said(R"({"type":"host-local","subnet":"10.244.0.0/16"})") ==
        head + "ipam subnet: 10.244.0.0/16" + past + "10.244.0.0/16, the cluster's");
  CHECK(said(R"({"type":"host-local","ranges":[[{"subnet":"192.0.2.0/24"},{"subnet":"10.244.3.0/24"}]]})") ==
        head + "ipam subnet: 10.244.3.0/24" + past + "10.244.0.0/16, the cluster's");
  CHECK(said(R"({"type":"static","addresses":[{"address":"10.244.1.5/32"}]})") ==
        head + "ipam.addresses: 10.244.1.5/32" + past + "10.244.0.0/16, the cluster's");
  CHECK(said(R"({"type":"static","addresses":[{"address":"10.1.0.5/8"}]})") ==
        head + "ipam.addresses: 10.0.0.0/8" + past + "10.244.0.0/16, the cluster's");
  CHECK(said(R"({"type":"static"})", {{ip("10.244.1.5"), 24}}) ==
        head + "ips: 10.244.1.5/32" + past + "10.244.0.0/16, the cluster's");
  CHECK(said(R"({"type":"static","addresses":[{"address":"198.51.100.5/0"}]})") ==
        head + "ipam.addresses: 0.0.0.0/0 would lead all traffic past the cluster's own network");
  CHECK(said(R"({"type":"static","addresses":[{"address":"192.0.2.2/24"}]})") ==
        head + "ipam.addresses: 192.0.2.2/32" + past + "192.0.2.2, an address of Node n2");
  // Never given out, though its subnet is fine.
  CHECK(said(R"({"type":"host-local","subnet":"192.0.2.0/24"})") ==
        "net1 on shop/store macvlan eth1 bridge mac 0a:58:c0:00:02:03 192.0.2.3/24");
}

TEST_CASE("addresses out of ranges: never the network's, the gateway's or another Pod's") {
  const auto text = [](const std::vector<Range>& ranges, const std::set<Ip>& taken) {
    auto found = choose(ranges, [&](const Ip& ip) { return taken.contains(ip); });
    return found ? fmt::format("{}/{}", found->ip, found->prefix) : found.error().message();
  };
  const Range small{.subnet = Cidr::parse("192.0.2.0/29").value()};
  CHECK(text({small}, {}) == "192.0.2.2/29");
  CHECK(text({small}, {ip("192.0.2.2"), ip("192.0.2.3")}) == "192.0.2.4/29");
  std::set<Ip> all;
  for (int i = 2; i < 7; ++i) all.insert(Ip::v4(0xc0000200u + uint32_t(i)));
  CHECK(text({small}, all) == "no address of 192.0.2.0/29 is free: 5 are held by Pods of this node");
  const Range more{
      .subnet = Cidr::parse("2001:db8::/64").value(), .start = ip("2001:db8::5"), .gateway = ip("2001:db8::5")};
  CHECK(text({small, more}, all) == "2001:db8::6/64");
  CHECK(
      text({{.subnet = Cidr::parse("255.255.255.252/30").value()}}, {ip("255.255.255.254")}).starts_with("no address"));
}

TEST_CASE("what the journal keeps is enough to give everything back") {
  ExtraInterface extra{.network = "shop/store",
                       .ifname = "net1",
                       .kind = ExtraKind::Device,
                       .device = "ens5",
                       .addresses = {{ip("192.0.2.7"), 24}, {ip("2001:db8::7"), 64}}};
  CHECK(to_word(extra) == "device;net1;shop/store;ens5;192.0.2.7/24+2001:db8::7/64");
  CHECK(parse_extra(to_word(extra)).value() == extra);
  for (const char* word : {"", "device;net1;shop/store", "vlan;net1;a/b;c;", "device;net1;a/b;;", "device;;a/b;c;",
                           "device;a;b;c;192.0.2.7", "device;a;b;c;1/2/3"})
    CHECK(!parse_extra(word));
  const ExtraInterface uplinks{.network = "shop/store", .ifname = "net1"};
  CHECK(parse_extra(to_word(uplinks)).value() == uplinks);
  CHECK(parse_moved_alias(moved_alias("id-1", "ens5"))->device == "ens5");
  CHECK(!parse_moved_alias("causeway id-1 ens5"));
  CHECK(status_text({{.network = "causeway", .ifname = "eth0", .ips = {ip("10.1.0.5")}, .main = true},
                     {.network = "shop/store", .ifname = "net1", .mac = Mac{{2, 0, 0, 0, 0, 5}}}}) ==
        R"([{"name":"causeway","interface":"eth0","ips":["10.1.0.5"],"default":true,"dns":{}},)"
        R"({"name":"shop/store","interface":"net1","mac":"02:00:00:00:00:05","dns":{}}])");
}
