#include "control/node_cidrs.h"

#include <doctest/doctest.h>

using namespace causeway;
using namespace causeway::control;

static std::string text(const std::vector<Cidr>& cidrs) {
  std::string out;
  for (const auto& cidr : cidrs) out += (out.empty() ? "" : " ") + to_string(cidr);
  return out;
}
static std::string refusal(const NodeIpamOptions& options) { return NodeCidrs::make(options).error().message(); }

TEST_CASE("nodes get one block of each family, next-fit, and freed blocks come last") {
  auto ipam = NodeCidrs::make({.cluster_cidr = "10.244.0.0/22,fd00:10::/62"}).value();
  CHECK(text(*ipam.assign("a")) == "10.244.0.0/24 fd00:10::/64");
  CHECK(text(*ipam.assign("b")) == "10.244.1.0/24 fd00:10:0:1::/64");
  CHECK(text(*ipam.assign("a")) == "10.244.0.0/24 fd00:10::/64");
  ipam.release("a");
  CHECK(text(*ipam.assign("c")) == "10.244.2.0/24 fd00:10:0:2::/64");
  CHECK(text(*ipam.assign("d")) == "10.244.3.0/24 fd00:10:0:3::/64");
  CHECK(text(*ipam.assign("e")) == "10.244.0.0/24 fd00:10::/64");
  CHECK(ipam.assign("f").error().message() ==
        "all 4 Pod CIDRs of 10.244.0.0/22 are taken; enlarge --cluster-cidr or delete nodes");
}

TEST_CASE("an allocation that fails in the second family takes nothing of the first") {
  auto ipam = NodeCidrs::make({.cluster_cidr = "10.244.0.0/16,fd00::/64"}).value();
  CHECK(ipam.assign("a"));
  CHECK(!ipam.assign("b"));
  CHECK(ipam.sets()[0].used() == 1);
}

TEST_CASE("the Service range is never given to a node") {
  auto ipam = NodeCidrs::make({.cluster_cidr = "10.0.0.0/22", .service_cluster_ip_range = "10.0.0.0/23"}).value();
  CHECK(text(*ipam.assign("a")) == "10.0.2.0/24");
}

TEST_CASE("nodes keep what they have after a restart") {
  auto ipam = NodeCidrs::make({.cluster_cidr = "10.244.0.0/16"}).value();
  CHECK(ipam.adopt("a", {*Cidr::parse("10.244.0.0/24")}));
  CHECK(text(*ipam.assign("b")) == "10.244.1.0/24");
  CHECK(ipam.adopt("c", {*Cidr::parse("192.168.0.0/24")}).error().message() ==
        "node c: podCIDR 192.168.0.0/24 is outside of the cluster CIDRs; delete and register the node again");
  CHECK(ipam.adopt("d", {*Cidr::parse("10.244.1.0/24")}).error().message() ==
        "node d: podCIDR 10.244.1.0/24 overlaps 10.244.1.0/24 of node b; delete and register the node again");
  ipam.release("b");
  CHECK(ipam.sets()[0].used() == 2);  // d still holds it
  ipam.release("d");
  CHECK(ipam.sets()[0].used() == 1);
}

TEST_CASE("flags that cannot be are refused by name") {
  CHECK(refusal({.cluster_cidr = ""}) == "--allocate-node-cidrs needs --cluster-cidr; give one CIDR for each family");
  CHECK(refusal({.cluster_cidr = "10.0.0.0/8,10.0.0.0/16"}) ==
        "--cluster-cidr: 10.0.0.0/8 and 10.0.0.0/16 are of one family; two CIDRs must be IPv4 and IPv6");
  CHECK(refusal({.cluster_cidr = "10.0.0.0/8,fd00::/48", .node_cidr_mask_size = 24}) ==
        "--node-cidr-mask-size is ambiguous with two cluster CIDRs; give --node-cidr-mask-size-ipv4 and -ipv6");
  CHECK(refusal({.cluster_cidr = "10.0.0.0/16", .node_cidr_mask_size_ipv6 = 64}) ==
        "--node-cidr-mask-size-ipv6: --cluster-cidr has no IPv6 CIDR");
  CHECK(refusal({.cluster_cidr = "10.0.0.0/25"}) ==
        "cluster CIDR 10.0.0.0/25: a node mask of /24 does not fit in it; give one from /25 to /32");
  CHECK(refusal({.cluster_cidr = "fd00::/40"}) ==
        "cluster CIDR fd00::/40: a node mask of /64 is more than 16 bits longer; give at most /56");
  CHECK(refusal({.cluster_cidr = "10.0.0.0/16", .cidr_allocator_type = "CloudAllocator"}) ==
        "--cidr-allocator-type CloudAllocator: only RangeAllocator is possible; the others need a cloud provider");
  CHECK(refusal({.cluster_cidr = "10.0.0.0/24", .service_cluster_ip_range = "10.0.0.0/16"}) ==
        "--service-cluster-ip-range covers all of --cluster-cidr 10.0.0.0/24; the two must not overlap");
}
