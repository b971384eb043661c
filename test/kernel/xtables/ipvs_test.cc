#include <doctest/doctest.h>

#include <set>
#include <thread>

#include "packets.h"

using namespace causeway;
using namespace causeway::service;
using namespace causeway::test;

namespace {

constexpr auto kBackend = XtBackend::Ipvs;
constexpr Side kBalance{Verdict::Balance, Pool::Cluster, false};
constexpr Side kDrop{Verdict::Drop, Pool::Cluster, false};

template <class F>
void both(F check) {
  for (const Family family : {Family::V4, Family::V6}) {
    INFO("family ", to_string(family));
    check(kBackend, family);
  }
}

struct Web {
  ServiceWorld& w = ServiceWorld::shared(kBackend);
  PortId id{"default", "web", "", Family::V4};
  Ip vip;
  Listeners all{{&w.local().ns, &w.remote().ns}, Family::V4, 8080};
  Tables& tables = w.tables;

  // `address`: one that no other case used, where connections are counted: IPVS remembers those that ended for minutes.
  explicit Web(const char* address = "10.96.0.10") : vip(w.address(address)) {
    w.reset();
    w.serve(id, {&w.local(), &w.remote()}, 8080);
    tables.frontends[{vip, 80, Protocol::Tcp}] = {id, Kind::ClusterIp, kBalance, kDrop, {}};
    tables.addresses[vip] = {"default", "web"};
  }
  // Who answered `count` connections, one behind the other.
  std::vector<int> answers(int count) {
    std::vector<int> out;
    for (int i = 0; i < count; ++i) out.push_back(all.connect(w.client().ns, vip, 80).who);
    return out;
  }
  ipvs::Held held() { return w.ipvs->observe().value().at({vip, 80, uint8_t(Protocol::Tcp)}); }
};

}  // namespace

TEST_CASE("ipvs: a ClusterIP reaches every endpoint, from Pods and from the node") {
  both(cluster_ip_reaches_every_endpoint);
}
TEST_CASE("ipvs: a ClusterIP is closed to the outside") { both(cluster_ip_is_closed_to_the_outside); }
TEST_CASE("ipvs: a node port is open to all, localhost too") { both(node_port_is_open_to_all); }
TEST_CASE("ipvs: policy Local keeps the client's address and the endpoints of this node") {
  both(node_port_of_policy_local_keeps_the_client);
}
TEST_CASE("ipvs: a Pod reaches itself by its Service") { both(a_pod_reaches_itself); }
TEST_CASE("ipvs: what has no endpoint is refused at once") { both(what_has_no_endpoint_is_refused); }
TEST_CASE("ipvs: source ranges hold on both sides") { both(source_ranges_hold); }
TEST_CASE("ipvs: a client stays with its endpoint") { both(affinity_holds); }
TEST_CASE("ipvs: UDP is balanced") { both(udp_is_balanced); }
TEST_CASE("ipvs: a connection outlives its endpoint's place in the Service") {
  both(a_connection_outlives_its_endpoint);
}
TEST_CASE("ipvs: a second life writes nothing, damage is repaired, and all of it can go") {
  a_second_life_writes_nothing(kBackend);
}

TEST_CASE("ipvs: every scheduler is taken, changed while it runs, and balances") {
  Web w;
  for (const char* scheduler : {"rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "dh", "sed", "nq", "mh"}) {
    INFO(std::string(scheduler));
    w.w.scheduler = scheduler;
    REQUIRE(!w.w.bring().starts_with("error"));
    CHECK(w.held().service.scheduler == scheduler);
    for (const int who : w.answers(4)) CHECK(who >= 0);
  }
  // Another one for this Service alone, by its own word.
  w.tables.ports[w.id].scheduler = "lc";
  REQUIRE(!w.w.bring().starts_with("error"));
  CHECK(w.held().service.scheduler == "lc");
  w.tables.ports[w.id].scheduler = "nosuch";
  CHECK(w.w.bring().contains("this kernel has no IPVS scheduler nosuch: load its module ip_vs_nosuch"));
}

TEST_CASE("ipvs: schedulers do what their names say") {
  Web w;
  REQUIRE(!w.w.bring().starts_with("error"));
  auto turns = w.answers(4);
  CHECK(turns[0] != turns[1]);
  CHECK(turns[0] == turns[2]);
  CHECK(turns[1] == turns[3]);

  w.w.scheduler = "wrr";
  w.tables.ports[w.id].backends[0].weight = 3;
  REQUIRE(!w.w.bring().starts_with("error"));
  const auto weighted = w.answers(8);
  CHECK(std::ranges::count(weighted, 0) == 6);

  for (const char* scheduler : {"sh", "dh", "mh"}) {
    w.w.scheduler = scheduler;
    REQUIRE(!w.w.bring().starts_with("error"));
    const auto same = w.answers(6);
    CHECK_MESSAGE(std::set(same.begin(), same.end()).size() == 1, scheduler);
  }

  // The busy one gets no more.
  w.w.scheduler = "lc";
  w.tables.ports[w.id].backends[0].weight = 1;
  w.w.serve(w.id, {&w.w.local()}, 8080);
  REQUIRE(!w.w.bring().starts_with("error"));
  std::vector<Listeners::Reached> open;
  for (int i = 0; i < 3; ++i) open.push_back(w.all.connect(w.w.client().ns, w.vip, 80));
  w.w.serve(w.id, {&w.w.local(), &w.w.remote()}, 8080);
  REQUIRE(!w.w.bring().starts_with("error"));
  for (int i = 0; i < 2; ++i) {
    open.push_back(w.all.connect(w.w.client().ns, w.vip, 80));
    CHECK(open.back().who == 1);
  }
}

TEST_CASE("ipvs: an endpoint that leaves finishes what it has, then it goes") {
  Web w("10.96.0.77");
  w.w.serve(w.id, {&w.w.local()}, 8080);
  REQUIRE(!w.w.bring().starts_with("error"));
  auto old = w.all.connect(w.w.client().ns, w.vip, 80);
  REQUIRE(old.who == 0);
  w.w.serve(w.id, {&w.w.remote()}, 8080);
  REQUIRE(!w.w.bring().starts_with("error"));
  const Endpoint left{w.w.local().ip4, 8080};
  CHECK(w.held().destinations.at(left).weight == 0);
  CHECK(w.held().destinations.at(left).active == 1);
  CHECK(w.w.virtual_services->drain().value() == 1);
  CHECK(carries(old.near, old.far));
  for (const int who : w.answers(4)) CHECK(who == 1);
  CHECK(w.w.differences() == "");
  // One that was reset, for ten seconds more.
  reset(std::move(old.near));
  for (int i = 0; i < 60 && w.w.virtual_services->drain().value() > 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  CHECK_FALSE(w.held().destinations.contains(left));
}
