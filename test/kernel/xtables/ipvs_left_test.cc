// What a kube-proxy in mode ipvs left, with connections that IPVS carries.
#include <doctest/doctest.h>

#include <thread>

#include "kube_proxy_left.h"
#include "takers.h"

using namespace causeway;
using namespace causeway::test;

namespace {

constexpr uint16_t kPort = 8080, kService = 80, kNodePort = 30080;

// Its connections go on until they end; new ones are ours, and do not go by IPVS any more. `n`: of an address that no
// other case used: IPVS remembers for minutes.
void connections_go_on(Taker taker, Family family, int n) {
  ServiceWorld& w = TakenOver::world_of(taker);
  TakenOver ours(w, taker);
  const Ip vip = w.address(fmt::format(fmt::runtime(family == Family::V4 ? "10.96.0.{}" : "fd00:96::{}"), n).c_str());
  const uint16_t node_port = uint16_t(kNodePort + n);
  LeftByKubeProxy there(w, vip, kService, node_port, {{w.remote().ip(family), kPort}});
  ours.web(vip, kService, node_port, {&w.remote()}, kPort);
  Listeners all({&w.remote().ns}, family, kPort);

  std::vector<Listeners::Reached> open;
  open.push_back(all.connect(w.client().ns, vip, kService));
  open.push_back(all.connect(w.node.ns, vip, kService));
  open.push_back(all.connect(w.outside, w.node.ip(family), node_port));
  for (auto& each : open) REQUIRE(each.who == 0);
  CHECK(open[1].client == w.node.ip(family));
  REQUIRE(there.carried() == 2);
  for (auto& each : open) REQUIRE(carries(each.near, each.far));

  REQUIRE(ours.bring() == "");
  for (auto& each : open) CHECK(carries(each.near, each.far));
  const auto removed = there.take_away();
  // By IPVS for us the virtual servers are ours now, with their connections; only the node's socket needs the address.
  CHECK(removed.connections == (taker == Taker::Ipvs ? 1 : 3));
  for (auto& each : open) CHECK(carries(each.near, each.far));
  if (taker != Taker::Ipvs) {
    CHECK(there.left().contains("device "));
    const auto before = there.carried();
    for (const auto& [from, to, port] :
         {std::tuple(&w.client().ns, vip, kService), std::tuple(&w.node.ns, vip, kService),
          std::tuple(&w.outside, w.node.ip(family), node_port)}) {
      auto fresh = all.connect(*from, to, port);
      CHECK(fresh.who == 0);
      CHECK(carries(fresh.near, fresh.far));
      CHECK(there.carried() == before);
      reset(std::move(fresh.near));
    }
  }
  for (auto& each : open) {
    CHECK(carries(each.near, each.far));
    reset(std::move(each.near));
  }
  CHECK(there.take_away().connections == 0);
  CHECK(there.left() == "");
  CHECK(all.connect(w.client().ns, vip, kService).who == 0);
  CHECK(all.connect(w.node.ns, vip, kService).who == 0);
  CHECK(all.connect(w.outside, w.node.ip(family), node_port).who == 0);
}

void both(Taker taker, int n) {
  for (const Family family : {Family::V4, Family::V6}) {
    INFO("family ", to_string(family));
    connections_go_on(taker, family, n);
  }
}

}  // namespace

TEST_CASE("ipvs left: connections by kube-proxy's IPVS go on beside our nf_tables, and then it goes") {
  both(Taker::Nftables, 61);
}
TEST_CASE("ipvs left: connections by kube-proxy's IPVS go on beside our rules of iptables, and then it goes") {
  both(Taker::Iptables, 62);
}
TEST_CASE("ipvs left: virtual servers of a kube-proxy become ours with their connections") { both(Taker::Ipvs, 63); }

TEST_CASE("ipvs left: of a Service that is gone, the connections end by themselves and the virtual server goes") {
  ServiceWorld& w = TakenOver::world_of(Taker::Nftables);
  TakenOver ours(w, Taker::Nftables);
  const Ip vip = w.address("10.96.0.64");
  LeftByKubeProxy there(w, vip, kService, kNodePort, {{w.remote().ip4, kPort}});
  Listeners all({&w.remote().ns}, Family::V4, kPort);
  auto open = all.connect(w.client().ns, vip, kService);
  REQUIRE(open.who == 0);
  REQUIRE(ours.bring() == "");  // no Service at all
  CHECK(there.take_away().connections == 1);
  CHECK(carries(open.near, open.far));
  CHECK(all.connect(w.client().ns, vip, kService).who == -1);
  reset(std::move(open.near));
  CHECK(there.take_away().connections == 0);
  CHECK(there.left() == "");
}
