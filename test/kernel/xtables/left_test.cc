// What a kube-proxy in mode ipvs left, on a kernel without IPVS: its device, sets and chains.
#include <doctest/doctest.h>

#include "kube_proxy_left.h"
#include "takers.h"

using namespace causeway;
using namespace causeway::test;

namespace {

constexpr uint16_t kPort = 8080, kService = 80, kNodePort = 30080;

void leftovers_go(Taker taker, Family family) {
  ServiceWorld& w = ServiceWorld::shared(service::XtBackend::Iptables);
  TakenOver ours(w, taker);
  const Ip vip = w.address(family == Family::V4 ? "10.96.0.60" : "fd00:96::60");
  ours.web(vip, kService, kNodePort, {&w.remote()}, kPort);
  LeftByKubeProxy there(w, vip, kService, kNodePort, {});
  REQUIRE(there.left().contains("device "));
  REQUIRE(there.left().contains("chains "));
  REQUIRE(ours.bring() == "");

  // The address is the node's own, so the node asks from there; the endpoint sees the node.
  Listeners all({&w.remote().ns}, family, kPort);
  auto open = all.connect(w.node.ns, vip, kService);
  REQUIRE(open.who == 0);
  CHECK(open.client == w.node.ip(family));
  // Its socket sends from the address, which stays therefore; not all the world's next connection needs it then.
  CHECK(there.take_away().connections == 1);
  CHECK(there.left().contains("device "));
  CHECK(carries(open.near, open.far));
  auto next = all.connect(w.node.ns, vip, kService);
  REQUIRE(next.who == 0);
  CHECK(there.take_away().connections == 1);
  reset(std::move(open.near));
  open.far.reset();
  CHECK(there.take_away().connections == 0);
  CHECK(there.left() == "");
  CHECK(carries(next.near, next.far));
  CHECK(all.connect(w.client().ns, vip, kService).who == 0);
  CHECK(all.connect(w.outside, w.node.ip(family), kNodePort).who == 0);
}

}  // namespace

TEST_CASE("what a kube-proxy in mode ipvs left goes when our rules of iptables serve") {
  for (const Family family : {Family::V4, Family::V6}) {
    INFO("family ", to_string(family));
    leftovers_go(Taker::Iptables, family);
  }
}
TEST_CASE("what a kube-proxy in mode ipvs left goes when our nf_tables serve") {
  for (const Family family : {Family::V4, Family::V6}) {
    INFO("family ", to_string(family));
    leftovers_go(Taker::Nftables, family);
  }
}
