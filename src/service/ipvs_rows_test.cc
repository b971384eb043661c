#include <doctest/doctest.h>
#include <netinet/in.h>

#include "kernel/ipvs/fake.h"
#include "kernel/netlink/fake.h"
#include "service/iptables_rules.h"
#include "service/ipvs_kernel.h"

using namespace causeway;
using namespace causeway::service;

namespace {

Ip ip(const char* text) { return Ip::parse(text).value(); }

constexpr Side kBalance{Verdict::Balance, Pool::Cluster, false};
constexpr Side kLocal{Verdict::Balance, Pool::Local, false};
constexpr Side kDrop{Verdict::Drop, Pool::Cluster, false};

struct World {
  Tables t;
  ipvs::FakeIpvs ipvs;
  netlink::FakeRtnetlink net;
  IpvsKernel kernel{{ipvs, net}};
  PortId web{"default", "web", "", Family::V4};

  World() {
    t.node_addresses[ip("127.0.0.1")] = {true};
    t.node_addresses[ip("172.18.0.2")] = {true};
    t.frontends[{ip("10.96.0.10"), 80, Protocol::Tcp}] = {web, Kind::ClusterIp, kBalance, kDrop, {}};
    backends({"10.1.0.5", "10.1.1.7"});
  }
  void backends(std::initializer_list<const char*> ips) {
    auto& port = t.ports[web];
    port.backends.clear();
    for (const char* text : ips)
      port.backends.push_back({.at = {ip(text), 8080},
                               .node = "",
                               .local = text == std::string_view("10.1.0.5"),
                               .cluster_pool = true,
                               .local_pool = text == std::string_view("10.1.0.5")});
  }
  IpvsRows rows(const char* scheduler = "rr") const { return ipvs_rows(t, scheduler); }
  std::string bring(const char* scheduler = "rr") {
    ipvs.log.clear();
    const auto done = kernel.bring(rows(scheduler));
    if (!done) return done.error().message();
    std::string out;
    for (const auto& line : ipvs.log) out += line + "\n";
    for (const auto& [key, error] : done->failures) out += fmt::format("refused {}: {}\n", key, error.message());
    return out;
  }
  ipvs::Destination& destination(const char* text) {
    return ipvs.all.at({ip("10.96.0.10"), 80, IPPROTO_TCP}).destinations.at({ip(text), 8080});
  }
};

}  // namespace

TEST_CASE("a frontend becomes a virtual service with its address made local") {
  World w;
  CHECK(render(w.rows("wrr")) == R"(10.96.0.10:80/tcp wrr
  -> 10.1.0.5:8080 weight 1
  -> 10.1.1.7:8080 weight 1
local 10.96.0.10 from 172.18.0.2
)");
}

TEST_CASE("a Service may name its scheduler, and has affinity by persistence") {
  World w;
  w.t.ports[w.web].scheduler = "mh";
  w.t.ports[w.web].affinity = 300;
  const auto row = w.rows().services.begin()->second;
  CHECK(row.service == ipvs::Service{"mh", 300, ipvs::kOurs | ipvs::kFallback});
}

TEST_CASE("node ports are served on the node's addresses, but never on loopback, and bind nothing") {
  World w;
  w.t.frontends = {{{ip("0.0.0.0"), 30080, Protocol::Tcp}, {w.web, Kind::NodePort, kBalance, kBalance, {}}}};
  CHECK(render(w.rows()) == "172.18.0.2:30080/tcp rr\n  -> 10.1.0.5:8080 weight 1\n  -> 10.1.1.7:8080 weight 1\n");
}

TEST_CASE("where the sides want other endpoints, IPVS has the outside's") {
  World w;
  w.t.frontends = {{{ip("203.0.113.1"), 80, Protocol::Tcp}, {w.web, Kind::LoadBalancer, kBalance, kLocal, {}}}};
  CHECK(render(w.rows()) == "203.0.113.1:80/tcp rr\n  -> 10.1.0.5:8080 weight 1\nlocal 203.0.113.1 from 172.18.0.2\n");
}

TEST_CASE("the tables reach the kernel, and reach it once") {
  World w;
  CHECK(w.bring() == R"(add 10.96.0.10:80/tcp rr
add 10.1.0.5:8080 to 10.96.0.10:80/tcp with weight 1
add 10.1.1.7:8080 to 10.96.0.10:80/tcp with weight 1
)");
  CHECK(w.net.render().contains("10.96.0.10"));
  CHECK(w.bring().empty());
  w.kernel.forget();  // as after a restart
  CHECK(w.bring().empty());
  CHECK(w.kernel.differences(w.rows()).value().empty());
  CHECK(w.bring("lc") == "set 10.96.0.10:80/tcp lc\n");
  w.ipvs.all.clear();
  CHECK(w.kernel.differences(w.rows("lc"))->size() == 3);
  w.t.frontends.clear();
  w.kernel.forget();
  CHECK(w.bring().empty());
  CHECK_FALSE(w.net.render().contains("10.96.0.10"));
}

TEST_CASE("an endpoint that leaves gets nothing new, and goes with its last connection") {
  World w;
  w.bring();
  w.destination("10.1.1.7").active = 1;
  w.backends({"10.1.0.5"});
  CHECK(w.bring() == "set 10.1.1.7:8080 of 10.96.0.10:80/tcp to weight 0\n");
  CHECK(w.kernel.draining());
  CHECK(w.kernel.drain().value() == 1);
  CHECK(w.bring().empty());
  w.kernel.forget();  // a restart waits on
  CHECK(w.bring().empty());
  CHECK(w.kernel.drain().value() == 1);
  CHECK(w.kernel.differences(w.rows())->empty());
  w.destination("10.1.1.7").active = 0;
  CHECK(w.kernel.drain().value() == 0);
  CHECK(w.ipvs.all.begin()->second.destinations.size() == 1);
}

TEST_CASE("an endpoint that comes back while it drains is served again") {
  World w;
  w.bring();
  w.destination("10.1.1.7").inactive = 5;
  w.backends({"10.1.0.5"});
  w.bring();
  w.backends({"10.1.0.5", "10.1.1.7"});
  CHECK(w.bring() == "set 10.1.1.7:8080 of 10.96.0.10:80/tcp to weight 1\n");
  CHECK_FALSE(w.kernel.draining());
  CHECK(w.destination("10.1.1.7").weight == 1);
}

TEST_CASE("UDP waits for nobody") {
  World w;
  w.t.ports[w.web].protocol = Protocol::Udp;
  w.t.frontends = {{{ip("10.96.0.10"), 53, Protocol::Udp}, {w.web, Kind::ClusterIp, kBalance, kDrop, {}}}};
  w.bring();
  w.backends({"10.1.0.5"});
  CHECK(w.bring() == "delete 10.1.1.7:8080 from 10.96.0.10:53/udp\n");
}

TEST_CASE("others' virtual services stay; one that stands in our place is taken over") {
  World w;
  const ipvs::ServiceKey theirs{ip("192.0.2.1"), 80, IPPROTO_TCP}, same{ip("10.96.0.10"), 80, IPPROTO_TCP};
  w.ipvs.all[theirs].service = {"wlc", 0, 0};
  w.ipvs.all[same].service = {"rr", 0, 0};
  CHECK(w.bring().starts_with("set 10.96.0.10:80/tcp rr\n"));
  w.t.frontends.clear();
  CHECK(w.bring() == "delete 10.96.0.10:80/tcp\n");
  CHECK(w.ipvs.all.size() == 1);
  CHECK(w.ipvs.all.contains(theirs));
}

TEST_CASE("a scheduler that the kernel lacks keeps only its own Service out") {
  World w;
  const PortId other{"default", "other", "", Family::V4};
  w.t.ports[other] = {.scheduler = "ovf", .backends = w.t.ports[w.web].backends};
  w.t.frontends[{ip("10.96.0.11"), 80, Protocol::Tcp}] = {other, Kind::ClusterIp, kBalance, kDrop, {}};
  const auto text = w.bring();
  CHECK(text.contains("refused 10.96.0.11:80/tcp: add 10.96.0.11:80/tcp ovf"));
  CHECK(w.ipvs.all.size() == 1);
  w.ipvs.schedulers.insert("ovf");
  CHECK(w.bring().contains("add 10.96.0.11:80/tcp ovf"));
  CHECK(w.ipvs.all.size() == 2);
}
