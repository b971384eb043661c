#include "lab/plan.h"

#include <doctest/doctest.h>

using namespace causeway::lab;

namespace {
std::string why(Spec spec) {
  auto made = plan(spec);
  return made ? "" : made.error().message();
}
}  // namespace

TEST_CASE("three nodes stand on two subnets") {
  CHECK(render(*plan({})) ==
        "router: subnet-a (bridge) 172.30.1.1/24\n"
        "router: subnet-b (bridge) 172.30.2.1/24\n"
        "router: control 172.30.0.1/24\n"
        "router: outside 203.0.113.1/24\n"
        "control: eth0 172.30.0.2/24 by control default via 172.30.0.1\n"
        "outside: eth0 203.0.113.2/24 by outside default via 203.0.113.1\n"
        "node-1: eth0 172.30.1.11/24 by subnet-a default via 172.30.1.1\n"
        "node-2: eth0 172.30.1.12/24 by subnet-a default via 172.30.1.1\n"
        "node-3: eth0 172.30.2.13/24 by subnet-b default via 172.30.2.1\n"
        "pods: 10.244.0.0/16\n"
        "services: 10.96.0.0/16\n"
        "dns: 10.96.0.10\n");
}

TEST_CASE("dual stack has both families everywhere, IPv4 first") {
  CHECK(
      render(*plan({.nodes = 1, .ip_family = "dual"})) ==
      "router: subnet-a (bridge) 172.30.1.1/24 fd30:0:0:1::1/64\n"
      "router: subnet-b (bridge) 172.30.2.1/24 fd30:0:0:2::1/64\n"
      "router: control 172.30.0.1/24 fd30::1/64\n"
      "router: outside 203.0.113.1/24 2001:db8:113::1/64\n"
      "control: eth0 172.30.0.2/24 fd30::2/64 by control default via 172.30.0.1 default via fd30::1\n"
      "outside: eth0 203.0.113.2/24 2001:db8:113::2/64 by outside default via 203.0.113.1 default via 2001:db8:113::1\n"
      "node-1: eth0 172.30.1.11/24 fd30:0:0:1::b/64 by subnet-a default via 172.30.1.1 default via fd30:0:0:1::1\n"
      "pods: 10.244.0.0/16\n"
      "pods: fd10:244::/56\n"
      "services: 10.96.0.0/16\n"
      "services: fd10:96::/112\n"
      "dns: 10.96.0.10\n"
      "dns: fd10:96::a\n");
}

TEST_CASE("what cannot be is refused in a sentence that names the option") {
  CHECK(why({.name = "../etc"}) == "--name \"../etc\": use 1 to 20 of a-z, 0-9 and -, with no - at either end");
  CHECK(why({.nodes = 51}) == "--nodes 51: give 1 to 50");
  CHECK(why({.ip_family = "ipv5"}) == "--ip-family ipv5: give ipv4, ipv6 or dual");
  CHECK(why({.pod_cidrs = {"10.96.0.0/12"}}) ==
        "--pod-cidr 10.96.0.0/12 overlaps --service-cidr 10.96.0.0/16: choose ranges that do not share an address");
  CHECK(why({.pod_cidrs = {"172.30.0.0/16"}}) ==
        "--pod-cidr 172.30.0.0/16 overlaps the lab's own network 172.30.0.0/24: choose ranges that do not share an "
        "address");
  CHECK(why({.nodes = 5, .pod_cidrs = {"10.1.0.0/22"}}) ==
        "--pod-cidr 10.1.0.0/22 has 4 blocks of /24, and 5 nodes need one each");
  CHECK(why({.ip_family = "dual", .pod_cidrs = {"10.1.0.0/16"}}) ==
        "--pod-cidr must name one range for each family of --ip-family dual");
}

TEST_CASE("ranges that no Pod or Service can have are refused with what they are for") {
  CHECK(why({.pod_cidrs = {"127.0.0.0/16"}}) ==
        "--pod-cidr 127.0.0.0/16 overlaps 127.0.0.0/8, which is for loopback (RFC 1122): give private addresses, such "
        "as 10.244.0.0/16");
  for (const char* range : {"224.0.0.0/16", "169.254.0.0/16", "0.0.0.0/8", "240.0.0.0/8", "0.0.0.0/0"})
    CHECK(why({.pod_cidrs = {range}}).contains("which is for"));
  CHECK(why({.service_cidrs = {"127.0.0.0/16"}}).starts_with("--service-cidr 127.0.0.0/16 overlaps 127.0.0.0/8"));
  for (const char* range : {"fe80::/56", "ff02::/56", "::/56"})
    CHECK(why({.ip_family = "ipv6", .pod_cidrs = {range}}).contains("which is for"));
}

TEST_CASE("ranges that are too small are refused before anything starts") {
  CHECK(why({.service_cidrs = {"10.96.0.0/32"}}) == "--service-cidr 10.96.0.0/32 is too small: at least 8 addresses");
  CHECK(why({.service_cidrs = {"10.96.0.0/29"}}) ==
        "--service-cidr 10.96.0.0/29 has no tenth address, which is cluster DNS's: give 16 addresses or more, or "
        "--no-dns");
  CHECK(why({.service_cidrs = {"10.96.0.0/29"}, .dns = false}) == "");
  CHECK(why({.service_cidrs = {"10.96.0.0/28"}}) == "");
  CHECK(why({.nodes = 1, .pod_cidrs = {"10.77.0.0/31"}, .node_mask_v4 = 32}) ==
        "--pod-cidr 10.77.0.0/31 is too small to give nodes blocks of it: give a /30 or larger");
  CHECK(why({.nodes = 2, .pod_cidrs = {"10.77.0.0/24"}}) ==
        "--pod-cidr 10.77.0.0/24 has 1 block of /24, and 2 nodes need one each");
}

TEST_CASE("a lab's registration reads back") {
  const Spec spec{.name = "x",
                  .nodes = 2,
                  .ip_family = "dual",
                  .plane = "netfilter",
                  .fabric = "vxlan",
                  .attach = "clsact",
                  .pod_cidrs = {"10.1.0.0/16", "fd01::/56"},
                  .agent_flags = {"--proxy-mode=iptables", "--masquerade-all"},
                  .node_mask_v4 = 26};
  CHECK(*decode_spec(encode(spec)) == spec);
}
