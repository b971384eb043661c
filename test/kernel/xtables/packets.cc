#include "packets.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <set>

namespace causeway::test {

using namespace service;

namespace {

constexpr uint16_t kPort = 8080, kService = 80, kNodePort = 30080;
constexpr Side kBalance{Verdict::Balance, Pool::Cluster, false};
constexpr Side kMasquerade{Verdict::Balance, Pool::Cluster, true};
constexpr Side kLocal{Verdict::Balance, Pool::Local, false};
constexpr Side kDrop{Verdict::Drop, Pool::Cluster, false};
constexpr Side kReject{Verdict::Reject, Pool::Cluster, false};

// A Service with a ClusterIP and a node port, served by Pods; as the compiler would say it. Its tables take the place
// of those of the check before.
struct Web {
  ServiceWorld& w;
  Family family;
  PortId id;
  Ip vip, lb;
  FrontendKey cluster_ip, node_port;
  Tables& tables;

  Web(XtBackend backend, Family f, Protocol protocol = Protocol::Tcp)
      : w(ServiceWorld::shared(backend)), family(f), tables(w.tables) {
    id = {"default", "web", "", f};
    const bool v4 = f == Family::V4;
    vip = w.address(v4 ? "10.96.0.10" : "fd00:96::10");
    lb = w.address(v4 ? "203.0.113.9" : "2001:db8:f::9");
    cluster_ip = {vip, kService, protocol};
    node_port = {w.address(v4 ? "0.0.0.0" : "::"), kNodePort, protocol};
    w.reset();
    w.serve(id, {&local(), &remote()}, kPort, protocol);
    tables.frontends[cluster_ip] = {id, Kind::ClusterIp, kBalance, kDrop, {}};
    tables.addresses[vip] = {"default", "web"};
  }
  Pod& local() { return w.local(); }
  Pod& client() { return w.client(); }
  Pod& remote() { return w.remote(); }
  Node& node() { return w.node; }
  Ip node_ip() const { return w.node.ip(family); }
  Listeners listeners() { return {{&local().ns, &remote().ns}, family, kPort}; }
  // Those that answered some connections; each try has its chance, so that 40 miss one of two once in 10^12.
  std::set<int> reached(Listeners& all, const Ns& from, Ip to, uint16_t port, size_t wanted,
                        std::set<Ip>* clients = nullptr) {
    std::set<int> who;
    for (int i = 0; i < 40 && who.size() < wanted; ++i) {
      const auto one = all.connect(from, to, port);
      who.insert(one.who);
      if (clients) clients->insert(one.client);
      if (one.who < 0) break;
      CHECK(carries(one.near, one.far));
    }
    return who;
  }
};

}  // namespace

void cluster_ip_reaches_every_endpoint(XtBackend backend, Family family) {
  Web w(backend, family);
  REQUIRE(!w.w.bring().starts_with("error"));
  CHECK(w.w.differences() == "");
  auto all = w.listeners();
  std::set<Ip> clients;
  CHECK(w.reached(all, w.client().ns, w.vip, kService, 2, &clients) == std::set{0, 1});
  CHECK(clients == std::set{w.client().ip(family)});
  clients.clear();
  CHECK(w.reached(all, w.node().ns, w.vip, kService, 2, &clients) == std::set{0, 1});
  CHECK(clients == std::set{w.node_ip()});
}

void cluster_ip_is_closed_to_the_outside(XtBackend backend, Family family) {
  Web w(backend, family);
  REQUIRE(!w.w.bring().starts_with("error"));
  auto all = w.listeners();
  CHECK(all.connect(w.w.outside, w.vip, kService).who == -1);
}

void node_port_is_open_to_all(XtBackend backend, Family family) {
  Web w(backend, family);
  w.tables.frontends[w.node_port] = {w.id, Kind::NodePort, kBalance, kMasquerade, {}};
  REQUIRE(!w.w.bring().starts_with("error"));
  auto all = w.listeners();
  std::set<Ip> clients;
  CHECK(w.reached(all, w.w.outside, w.node_ip(), kNodePort, 2, &clients) == std::set{0, 1});
  CHECK(clients == std::set{w.node_ip()});
  CHECK(w.reached(all, w.client().ns, w.node_ip(), kNodePort, 2) == std::set{0, 1});
  CHECK(w.reached(all, w.node().ns, w.node_ip(), kNodePort, 2) == std::set{0, 1});
  if (family == Family::V4)
    CHECK(w.reached(all, w.node().ns, w.w.address("127.0.0.1"), kNodePort, 2) == std::set{0, 1});
  else
    CHECK(all.connect(w.node().ns, w.w.address("::1"), kNodePort).error == ECONNREFUSED);
}

void node_port_of_policy_local_keeps_the_client(XtBackend backend, Family family) {
  Web w(backend, family);
  w.tables.frontends[w.node_port] = {w.id, Kind::NodePort, kBalance, kLocal, {}};
  REQUIRE(!w.w.bring().starts_with("error"));
  auto all = w.listeners();
  for (int i = 0; i < 8; ++i) {
    const auto one = all.connect(w.w.outside, w.node_ip(), kNodePort);
    CHECK(one.who == 0);
    CHECK(one.client == w.w.world.b.ip(family));
  }
  // From inside the policy does not count: the short way to any endpoint.
  CHECK(w.reached(all, w.client().ns, w.node_ip(), kNodePort, 2) == std::set{0, 1});
  CHECK(w.reached(all, w.node().ns, w.node_ip(), kNodePort, 2) == std::set{0, 1});
}

void a_pod_reaches_itself(XtBackend backend, Family family) {
  Web w(backend, family);
  w.w.serve(w.id, {&w.local()}, kPort);
  REQUIRE(!w.w.bring().starts_with("error"));
  auto all = w.listeners();
  const auto one = all.connect(w.local().ns, w.vip, kService);
  CHECK(one.who == 0);
  CHECK(one.client == w.node_ip());
  CHECK(carries(one.near, one.far));
}

void what_has_no_endpoint_is_refused(XtBackend backend, Family family) {
  Web w(backend, family);
  w.tables.ports[w.id].backends.clear();
  w.tables.frontends[w.cluster_ip] = {w.id, Kind::ClusterIp, kReject, kDrop, {}};
  w.tables.frontends[w.node_port] = {w.id, Kind::NodePort, kReject, kReject, {}};
  REQUIRE(!w.w.bring().starts_with("error"));
  auto all = w.listeners();
  for (const Ns* from : {&w.client().ns, &w.node().ns}) {
    CHECK(all.connect(*from, w.vip, kService).error == ECONNREFUSED);
    CHECK(all.connect(*from, w.vip, kService + 1).error == ECONNREFUSED);  // a port that it has not
    CHECK(all.connect(*from, w.node_ip(), kNodePort).error == ECONNREFUSED);
  }
  CHECK(all.connect(w.w.outside, w.node_ip(), kNodePort).error == ECONNREFUSED);
  // And with an endpoint it is served at once.
  w.w.serve(w.id, {&w.local()}, kPort);
  w.tables.frontends[w.cluster_ip] = {w.id, Kind::ClusterIp, kBalance, kDrop, {}};
  REQUIRE(!w.w.bring().starts_with("error"));
  CHECK(all.connect(w.client().ns, w.vip, kService).who == 0);
  CHECK(all.connect(w.client().ns, w.vip, kService + 1).error == ECONNREFUSED);
}

void source_ranges_hold(XtBackend backend, Family family) {
  Web w(backend, family);
  auto& frontend = w.tables.frontends[{w.lb, kService, Protocol::Tcp}];
  frontend = {w.id, Kind::LoadBalancer, kBalance, kMasquerade, {host_cidr(w.w.world.b.ip(family))}};
  REQUIRE(!w.w.bring().starts_with("error"));
  auto all = w.listeners();
  CHECK(w.reached(all, w.w.outside, w.lb, kService, 2) == std::set{0, 1});
  CHECK(all.connect(w.client().ns, w.lb, kService).who == -1);
  frontend.sources = {host_cidr(w.client().ip(family))};
  REQUIRE(!w.w.bring().starts_with("error"));
  CHECK(w.reached(all, w.client().ns, w.lb, kService, 2) == std::set{0, 1});
  CHECK(all.connect(w.w.outside, w.lb, kService).who == -1);
}

void affinity_holds(XtBackend backend, Family family) {
  Web w(backend, family);
  w.tables.ports[w.id].affinity = 10800;
  REQUIRE(!w.w.bring().starts_with("error"));
  auto all = w.listeners();
  const int who = all.connect(w.client().ns, w.vip, kService).who;
  REQUIRE(who >= 0);
  for (int i = 0; i < 12; ++i) CHECK(all.connect(w.client().ns, w.vip, kService).who == who);
  // The endpoint goes: the client moves, and stays where it is then.
  w.w.serve(w.id, {who == 0 ? &w.remote() : &w.local()}, kPort).affinity = 10800;
  REQUIRE(!w.w.bring().starts_with("error"));
  CHECK(all.connect(w.client().ns, w.vip, kService).who == 1 - who);
  w.w.serve(w.id, {&w.local(), &w.remote()}, kPort).affinity = 10800;
  REQUIRE(!w.w.bring().starts_with("error"));
  for (int i = 0; i < 12; ++i) CHECK(all.connect(w.client().ns, w.vip, kService).who == 1 - who);
}

void udp_is_balanced(XtBackend backend, Family family) {
  Web w(backend, family, Protocol::Udp);
  w.tables.frontends[w.node_port] = {w.id, Kind::NodePort, kBalance, kMasquerade, {}};
  REQUIRE(!w.w.bring().starts_with("error"));
  const Ip any = family == Family::V4 ? Ip() : Ip::parse("::").value();
  const Fd here = udp_socket(w.local().ns, any, kPort), there = udp_socket(w.remote().ns, any, kPort);
  for (const auto& [from, to, port] :
       {std::tuple(&w.client().ns, w.vip, kService), std::tuple(&w.w.outside, w.node_ip(), kNodePort)}) {
    std::set<int> who;
    for (int i = 0; i < 40 && who.size() < 2; ++i) {
      const Fd socket = udp_socket(*from, any, 0);  // a port of its own: a flow of its own
      REQUIRE(send_udp(socket, to, port, "hello"));
      for (const auto& [index, server] : {std::pair(0, &here), std::pair(1, &there)}) {
        const auto got = receive_udp(*server, std::chrono::milliseconds(index ? 2000 : 200));
        if (!got) continue;
        who.insert(index);
        REQUIRE(send_udp(*server, got->from.ip, got->from.port, "back"));
        const auto answer = receive_udp(socket);
        REQUIRE(answer);
        CHECK(answer->from == Endpoint{to, port});
        break;
      }
    }
    CHECK(who == std::set{0, 1});
  }
}

void a_connection_outlives_its_endpoint(XtBackend backend, Family family) {
  Web w(backend, family);
  w.w.serve(w.id, {&w.local()}, kPort);
  REQUIRE(!w.w.bring().starts_with("error"));
  auto all = w.listeners();
  auto old = all.connect(w.client().ns, w.vip, kService);
  REQUIRE(old.who == 0);
  w.w.serve(w.id, {&w.remote()}, kPort);
  REQUIRE(!w.w.bring().starts_with("error"));
  CHECK(carries(old.near, old.far));
  for (int i = 0; i < 5; ++i) CHECK(all.connect(w.client().ns, w.vip, kService).who == 1);
  CHECK(carries(old.near, old.far));
}

void a_second_life_writes_nothing(XtBackend backend) {
  Web w(backend, Family::V4);
  w.tables.ports[w.id].affinity = 60;
  w.tables.frontends[w.node_port] = {w.id, Kind::NodePort, kBalance, kMasquerade, {}};
  w.tables.frontends[{w.lb, kService, Protocol::Tcp}] = {
      w.id, Kind::LoadBalancer, kBalance, kLocal, {Cidr::parse("0.0.0.0/0").value()}};
  REQUIRE(!w.w.bring().starts_with("error"));
  CHECK(w.w.differences() == "");
  w.w.rules->forget();
  if (w.w.virtual_services) w.w.virtual_services->forget();
  CHECK(w.w.bring() == "0");
  // What somebody took away comes back.
  shell(w.node().ns, "iptables -t nat -F CAUSEWAY-INSIDE; iptables -D FORWARD 1");
  CHECK(w.w.differences().contains("chain CAUSEWAY-INSIDE is another"));
  CHECK(w.w.differences().contains("FORWARD does not lead to CAUSEWAY-FORWARD"));
  w.w.rules->forget();
  CHECK(w.w.bring() == "1");  // and the jump, which is no chain
  CHECK(w.w.differences() == "");
  // Nothing is left when nothing is wanted.
  In in(w.node().ns);
  CHECK(run_until_done(w.w.loop, w.w.rules->bring(XtRules())).has_value());
  CHECK_FALSE(shell(w.node().ns, "iptables-save; ip6tables-save").contains("CAUSEWAY"));
  CHECK(w.w.sets->observe("causeway-")->empty());
}

}  // namespace causeway::test
