#include "service/apply_nft.h"

#include <doctest/doctest.h>

#include <random>

#include "async/scope.h"
#include "async/virtual_loop.h"
#include "kernel/conntrack/fake.h"
#include "kernel/nftables/diff.h"
#include "kernel/nftables/fake.h"

namespace causeway::service {

namespace {

Ip ip(std::string_view text) { return Ip::parse(text).value(); }

struct Bench {
  nftables::FakeNftables nft;
  conntrack::FakeConntrack conntrack;
  std::vector<std::string> sysctls;
  VirtualLoop loop;
  NftApplier applier;

  Bench()
      : applier({}, {nft, conntrack, [this](const std::string& name, const std::string& value) {
                       sysctls.push_back(name + "=" + value);
                       return ok();
                     }}) {
    applier.set_complete();
  }
  std::string apply(const Tables& tables) {
    applier.rows().replace(SelfKey{}, tables);
    return apply();
  }
  std::string apply() {
    auto failures = run_until_done(loop, applier.apply());
    if (!failures) return failures.error().message();
    std::string out;
    for (const auto& failure : *failures) out += failure.object + ": " + failure.error.message() + "\n";
    return out;
  }
};

PortId id(const std::string& name, Family family = Family::V4) { return {"shop", name, "", family}; }

Backend at(const Ip& ip, uint16_t port, bool local = false) {
  return {.at = {ip, port}, .local = local, .cluster_pool = true, .local_pool = local};
}

void serve(Tables& tables, const std::string& name, const Ip& vip, std::vector<Backend> backends,
           Protocol protocol = Protocol::Tcp, uint32_t affinity = 0) {
  const Side inside{backends.empty() ? Verdict::Reject : Verdict::Balance};
  tables.ports[id(name, vip.family())] = {.protocol = protocol, .affinity = affinity, .backends = std::move(backends)};
  tables.frontends[{vip, 80, protocol}] = {
      .port = id(name, vip.family()), .inside = inside, .outside = {Verdict::Drop}};
  tables.addresses[vip] = {"shop", name};
}

// Anything that a compiler may give.
Tables anything(std::mt19937& random) {
  auto below = [&](unsigned n) { return random() % n; };
  Tables tables;
  tables.node_addresses[ip("192.0.2.1")] = {.node_ports = below(2) == 0};
  if (below(2)) tables.node_addresses[ip("10.1.0.3")] = {.node_ports = true};
  for (const char* range : {"10.96.0.0/16", "10.96.1.0/24", "fd00:96::/112"})
    if (below(3)) tables.ranges[Cidr::parse(range).value()] = {};
  for (int n = 0; n < 6; ++n) {
    if (below(4) == 0) continue;
    const Family family = below(2) ? Family::V4 : Family::V6;
    const auto protocol = below(2) ? Protocol::Tcp : Protocol::Udp;
    const PortId port = id("web-" + std::to_string(n), family);
    Port& row = tables.ports[port];
    row = {.protocol = protocol, .affinity = below(3) ? 0 : uint32_t(60 + 60 * below(2))};
    for (unsigned i = 0; i < below(5); ++i) {
      const std::string pod = family == Family::V4 ? "10.1.0." : "fd00:1::";
      Backend backend = at(ip(pod + std::to_string(1 + i)), uint16_t(8080 + below(2)), below(2));
      backend.cluster_pool = below(4) != 0;
      backend.weight = uint16_t(1 + below(3));
      row.backends.push_back(backend);
    }
    const auto side = [&] { return Side{Verdict(below(3)), below(2) ? Pool::Cluster : Pool::Local, below(2) == 0}; };
    const std::string vip = family == Family::V4 ? "10.96.0." : "fd00:96::";
    tables.frontends[{ip(vip + std::to_string(n + 1)), 80, protocol}] = {port, Kind::ClusterIp, side(), side(), {}};
    tables.addresses[ip(vip + std::to_string(n + 1))] = {"shop", port.name};
    if (below(2))
      tables.frontends[{family == Family::V4 ? Ip() : ip("::"), uint16_t(30000 + n), protocol}] = {
          port, Kind::NodePort, side(), side(), {}};
    if (below(2)) {
      Frontend lb{port, Kind::LoadBalancer, side(), side(), {}};
      for (const char* source : {"10.0.0.0/8", "10.1.0.0/16", "192.0.2.0/24", "fd00::/8"})
        if (below(2)) lb.sources.push_back(Cidr::parse(source).value());
      tables.frontends[{ip(family == Family::V4 ? "198.18.0.1" : "2001:db8::1"), uint16_t(80 + n), protocol}] = lb;
    }
  }
  return tables;
}

}  // namespace

TEST_CASE("a Service is elements of maps: one key, its endpoints by number") {
  Bench bench;
  Tables tables;
  serve(tables, "web", ip("10.96.0.1"), {at(ip("10.1.0.5"), 8080, true), at(ip("10.2.0.6"), 8080)});
  REQUIRE(bench.apply(tables) == "");
  bench.nft.log.clear();
  serve(tables, "dns", ip("10.96.0.10"), {at(ip("10.1.0.7"), 53)}, Protocol::Udp);
  REQUIRE(bench.apply(tables) == "");
  CHECK(bench.nft.log ==
        std::vector<std::string>{
            "add chain inet causeway services-4-cluster-1",
            "add rule inet causeway services-4-cluster-1 dnat ip to ip daddr . meta l4proto . th dport . numgen random "
            "mod 1 map @services-cluster4",
            "add rule inet causeway services-4-cluster-1 dnat ip to meta l4proto . th dport . numgen random mod 1 map "
            "@services-port-cluster4",
            "add rule inet causeway services-4-cluster-1 counter drop",
            "add element inet causeway services-addresses4 { 10.96.0.10 }",
            "add element inet causeway services-cluster4 { 10.96.0.10 . udp . 80 . 0x00000000 : 10.1.0.7 . 53 }",
            "add element inet causeway services-inside4 { 10.96.0.10 . udp . 80 comment \"shop/dns\" : goto "
            "services-4-cluster-1 }",
        });
  bench.nft.log.clear();
  serve(tables, "web", ip("10.96.0.1"), {at(ip("10.1.0.5"), 8080, true), at(ip("10.2.0.7"), 8080)});
  REQUIRE(bench.apply(tables) == "");
  CHECK(bench.nft.log ==
        std::vector<std::string>{
            "delete element inet causeway services-cluster4 { 10.96.0.1 . tcp . 80 . 0x00000001 : 10.2.0.6 . 8080 }",
            "add element inet causeway services-cluster4 { 10.96.0.1 . tcp . 80 . 0x00000001 : 10.2.0.7 . 8080 }"});
}

TEST_CASE("whatever changes, in whatever order: what is written piece by piece is what would be written at once") {
  for (unsigned seed = 0; seed < 60; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    Bench bench;
    for (int step = 0; step < 8; ++step) {
      CAPTURE(step);
      const Tables tables = anything(random);
      REQUIRE(bench.apply(tables) == "");
      REQUIRE(bench.applier.differences().value() == std::vector<std::string>{});
      // A restarted agent finds what it would write.
      NftApplier again({}, {bench.nft, bench.conntrack, [](auto&, auto&) { return ok(); }});
      again.set_complete();
      again.rows().replace(SelfKey{}, tables);
      const auto done = run_until_done(bench.loop, again.apply());
      REQUIRE(done.has_value());
      REQUIRE(again.writes() == 0);
    }
  }
}

TEST_CASE("nothing is touched before all Services are known") {
  Bench bench;
  Tables tables;
  serve(tables, "web", ip("10.96.0.1"), {at(ip("10.1.0.5"), 8080)});
  REQUIRE(bench.apply(tables) == "");
  const size_t before = bench.nft.transactions;
  NftApplier fresh({}, {bench.nft, bench.conntrack, [](auto&, auto&) { return ok(); }});
  REQUIRE(run_until_done(bench.loop, fresh.apply()).has_value());
  CHECK(bench.nft.transactions == before);
}

TEST_CASE("a transaction that fails is an error, and the next try looks at the kernel again") {
  Bench bench;
  Tables tables;
  serve(tables, "web", ip("10.96.0.1"), {at(ip("10.1.0.5"), 8080)});
  REQUIRE(bench.apply(tables) == "");
  bench.nft.fault = [](const nftables::Transaction&) { return fail(Errc::Io, "no memory"); };
  serve(tables, "web", ip("10.96.0.1"), {at(ip("10.1.0.6"), 8080)});
  CHECK(bench.apply(tables) == "table inet causeway: no memory");
  bench.nft.fault = {};
  CHECK(bench.apply() == "");
  CHECK(bench.applier.differences().value().empty());
  const size_t listed = bench.nft.observations;
  bench.applier.forget();
  CHECK(bench.apply() == "");
  CHECK(bench.nft.observations == listed);  // nobody else wrote anything: nothing is listed
  bench.nft.flush();
  bench.applier.forget();
  CHECK(bench.apply() == "");
  CHECK(bench.applier.differences().value().empty());
}

TEST_CASE("tracked connections: ended where the endpoint is gone or never was, and one list for all of a batch") {
  Bench bench;
  Tables tables;
  const Ip vip = ip("10.96.0.10"), client = ip("10.1.0.9"), one = ip("10.1.0.5"), two = ip("10.1.0.6");
  auto flow = [&](uint8_t protocol, Ip to, Ip answers, uint16_t port = 80) {
    return conntrack::Flow{.protocol = protocol,
                           .original = {{client, 4711}, {to, port}},
                           .reply = {{answers, answers == to ? port : uint16_t{53}}, {client, 4711}}};
  };
  constexpr uint8_t udp = uint8_t(Protocol::Udp), tcp = uint8_t(Protocol::Tcp);
  serve(tables, "dns", vip, {at(one, 53), at(two, 53)}, Protocol::Udp);
  serve(tables, "web", vip, {at(one, 53)}, Protocol::Tcp);
  REQUIRE(bench.apply(tables) == "");
  const auto stays = flow(udp, vip, two), goes = flow(udp, vip, one), other = flow(udp, ip("192.0.2.9"), one),
             open = flow(tcp, vip, ip("10.1.0.7"));
  bench.conntrack.all = {stays, goes, other, open};
  bench.conntrack.listings = 0;
  serve(tables, "dns", vip, {at(two, 53)}, Protocol::Udp);
  REQUIRE(bench.apply(tables) == "");
  CHECK(bench.conntrack.all == std::set{stays, other, open});
  CHECK(bench.conntrack.listings == 1);
  // A change of TCP alone lists nothing.
  serve(tables, "web", vip, {at(two, 53)}, Protocol::Tcp);
  REQUIRE(bench.apply(tables) == "");
  CHECK(bench.conntrack.listings == 1);
  // Without an endpoint; then without the Service.
  serve(tables, "dns", vip, {}, Protocol::Udp);
  REQUIRE(bench.apply(tables) == "");
  CHECK(bench.conntrack.all == std::set{other, open});
  serve(tables, "dns", vip, {at(two, 53)}, Protocol::Udp);
  bench.conntrack.all = {flow(udp, vip, vip)};  // tracked when nobody served
  REQUIRE(bench.apply(tables) == "");
  CHECK(bench.conntrack.all.empty());
  bench.conntrack.all = {stays, open};
  tables.frontends.erase({vip, 80, Protocol::Udp});
  REQUIRE(bench.apply(tables) == "");
  CHECK(bench.conntrack.all == std::set{open});
  // Of many ports at once: one list of all.
  bench.conntrack.listings = 0;
  for (int n = 20; n < 60; ++n) {
    serve(tables, "udp-" + std::to_string(n), ip("10.96.0." + std::to_string(n)), {at(one, 53)}, Protocol::Udp);
    auto frontend = tables.frontends.extract({ip("10.96.0." + std::to_string(n)), 80, Protocol::Udp});
    frontend.key().port = uint16_t(n);
    tables.frontends.insert(std::move(frontend));
  }
  REQUIRE(bench.apply(tables) == "");
  CHECK(bench.conntrack.listings == 1);
}

TEST_CASE("node ports on 127.0.0.1 switch its routing on, once; not where they are not wanted") {
  Bench bench;
  Tables tables;
  REQUIRE(bench.apply(tables) == "");
  CHECK(bench.sysctls.empty());
  tables.node_addresses[ip("127.0.0.1")] = {.node_ports = true};
  REQUIRE(bench.apply(tables) == "");
  REQUIRE(bench.apply(tables) == "");
  CHECK(bench.sysctls == std::vector<std::string>{"ipv4/conf/all/route_localnet=1"});
}

TEST_CASE("weights become slots, each endpoint at least one and not more than a pool may have") {
  Port port{.backends = {at(ip("10.1.0.1"), 80), at(ip("10.1.0.2"), 80), at(ip("10.1.0.3"), 80)}};
  CHECK(nft::slots_of(port, Pool::Cluster).size() == 3);
  for (Backend& backend : port.backends) backend.weight = 100;
  CHECK(nft::slots_of(port, Pool::Cluster).size() == 3);
  port.backends[0].weight = 300;
  CHECK(nft::slots_of(port, Pool::Cluster).size() == 5);
  port.backends[0].weight = 65535;
  port.backends[1].weight = 1;
  const auto slots = nft::slots_of(port, Pool::Cluster);
  CHECK(slots.size() <= nft::kMaxWeighted + 3);
  CHECK(std::ranges::count(slots, Endpoint{ip("10.1.0.2"), 80}) == 1);
  CHECK(nft::slots_of(port, Pool::Local).empty());
}

}  // namespace causeway::service
