#include <doctest/doctest.h>

#include "async/scope.h"
#include "async/virtual_loop.h"
#include "kernel/ipset/fake.h"
#include "kernel/xtables/fake.h"
#include "service/iptables_kernel.h"

using namespace causeway;
using namespace causeway::service;

namespace {

Ip ip(const char* text) { return Ip::parse(text).value(); }
Cidr cidr(const char* text) { return Cidr::parse(text).value(); }
Endpoint at(const char* text, uint16_t port) { return {ip(text), port}; }

constexpr Side kBalance{Verdict::Balance, Pool::Cluster, false};
constexpr Side kMasquerade{Verdict::Balance, Pool::Cluster, true};
constexpr Side kLocal{Verdict::Balance, Pool::Local, false};
constexpr Side kDrop{Verdict::Drop, Pool::Cluster, false};
constexpr Side kReject{Verdict::Reject, Pool::Cluster, false};

Tables web() {
  Tables t;
  const PortId id{"default", "web", "http", Family::V4};
  t.ports[id] = {
      .backends = {{.at = at("10.1.0.5", 8080), .node = "", .local = true, .cluster_pool = true, .local_pool = true},
                   {.at = at("10.1.1.7", 8080), .node = "", .local = false, .cluster_pool = true}}};
  t.frontends[{ip("10.96.0.10"), 80, Protocol::Tcp}] = {id, Kind::ClusterIp, kBalance, kDrop, {}};
  t.frontends[{ip("0.0.0.0"), 30080, Protocol::Tcp}] = {id, Kind::NodePort, kMasquerade, kLocal, {}};
  t.addresses[ip("10.96.0.10")] = {"default", "web"};
  t.ranges[cidr("10.96.0.0/12")];
  t.node_addresses[ip("172.18.0.2")] = {true};
  t.node_addresses[ip("127.0.0.1")] = {true};
  t.node_addresses[ip("192.0.2.9")] = {false};
  return t;
}

std::string lines_with(const std::string& text, std::string_view part) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    if (const std::string line = text.substr(at, end - at); line.contains(part)) out += line + "\n";
    at = end + 1;
  }
  return out;
}
std::string chain(const XtRules& rules, std::string name, Family family = Family::V4, std::string table = "nat") {
  std::string out;
  for (const auto& rule : rules.tables.at({family, table}).chains.at(name)) out += rule + "\n";
  return out;
}
std::string target(const std::string& line) { return line.substr(line.rfind("-j ") + 3, 22); }

struct World {
  VirtualLoop loop;
  WorkerPool workers{loop, 0};
  ipset::FakeIpSets sets;
  xtables::FakeXtables xtables;
  XtKernel kernel{{sets, xtables, workers}};

  Result<uint64_t> bring(const XtRules& rules) { return run_until_done(loop, kernel.bring(rules)); }
};

}  // namespace

TEST_CASE("sets say what is served, to whom, and how") {
  const std::string text = render(iptables_rules(web(), XtBackend::Iptables));
  CHECK(text.substr(0, text.find("*filter")) == R"(set causeway-addresses4 hash:ip
  10.96.0.10
set causeway-backends4 hash:ip,port
  10.1.0.5,tcp:8080
  10.1.1.7,tcp:8080
set causeway-drop-outside4 hash:ip,port
  10.96.0.10,tcp:80
set causeway-hairpin4 hash:ip,port,ip
  10.1.0.5,tcp:8080,10.1.0.5
set causeway-inside4 hash:ip,port
  10.96.0.10,tcp:80
  127.0.0.1,tcp:30080
  172.18.0.2,tcp:30080
set causeway-masq-inside4 hash:ip,port
  127.0.0.1,tcp:30080
  172.18.0.2,tcp:30080
set causeway-nodes4 hash:ip
  127.0.0.1
  172.18.0.2
set causeway-outside4 hash:ip,port
  127.0.0.1,tcp:30080
  172.18.0.2,tcp:30080
set causeway-ranges4 hash:net
  10.96.0.0/12
)");
}

TEST_CASE("a packet finds its endpoint by chance, each side in its own pool") {
  const auto rules = iptables_rules(web(), XtBackend::Iptables);
  const std::string inside = chain(rules, "CAUSEWAY-INSIDE-TREE");
  const std::string service = lines_with(inside, "10.96.0.10");
  CHECK(service.starts_with(
      "-d 10.96.0.10/32 -p tcp -m comment --comment \"default/web:http ClusterIP\" -m tcp --dport 80 -j CAUSEWAY-"));
  CHECK(
      chain(rules, target(service)) ==
      "-p tcp -m comment --comment \"default/web:http\" -m statistic --mode random --probability 0.5000000000 -j DNAT "
      "--to-destination 10.1.0.5:8080\n"
      "-p tcp -m comment --comment \"default/web:http\" -j DNAT --to-destination 10.1.1.7:8080\n");
  CHECK(lines_with(inside, "causeway-nodes4 dst").starts_with("-m set --match-set causeway-nodes4 dst -j CAUSEWAY-"));
  // The outside has only the node port, and only the endpoint of this node.
  const std::string outside = chain(rules, "CAUSEWAY-OUTSIDE-TREE");
  CHECK_FALSE(outside.contains("10.96.0.10"));
  const std::string tcp = chain(rules, target(outside));
  const std::string port = chain(rules, target(tcp));
  CHECK(port.contains("--dport 30080"));
  CHECK(chain(rules, target(port)) ==
        "-p tcp -m comment --comment \"default/web:http\" -j DNAT --to-destination 10.1.0.5:8080\n");
}

TEST_CASE("weights are shares of what is left") {
  auto tables = web();
  auto& backends = tables.ports.begin()->second.backends;
  backends[0].weight = 3;
  const auto rules = iptables_rules(tables, XtBackend::Iptables);
  const auto service = lines_with(chain(rules, "CAUSEWAY-INSIDE-TREE"), "10.96.0.10");
  CHECK(chain(rules, target(service)).contains("--probability 0.7500000000 -j DNAT --to-destination 10.1.0.5:8080"));
}

TEST_CASE("a client with affinity comes back while the set remembers it") {
  auto tables = web();
  tables.ports.begin()->second.affinity = 10800;
  const auto rules = iptables_rules(tables, XtBackend::Iptables);
  const auto service = lines_with(chain(rules, "CAUSEWAY-INSIDE-TREE"), "10.96.0.10");
  const auto pool = chain(rules, target(service));
  const auto first = pool.substr(0, pool.find('\n'));
  CHECK(first.starts_with("-m set --match-set causeway-clients4-"));
  const std::string set = first.substr(19, 31);
  CHECK(rules.sets.at(set.substr(0, set.find(' '))).set == ipset::Set{ipset::Type::Ip, Family::V4, 10800});
  const auto endpoint = chain(rules, target(first));
  CHECK(endpoint.contains(" src --exist --timeout 10800\n"));
  CHECK(endpoint.contains("-j DNAT --to-destination 10.1.0.5:8080\n"));
  CHECK(lines_with(pool, "statistic").contains("--probability 0.5000000000 -j CAUSEWAY-"));
}

TEST_CASE("source ranges close the frontend to everybody else; /0 opens it to all") {
  auto tables = web();
  const FrontendKey lb{ip("203.0.113.1"), 80, Protocol::Tcp};
  tables.frontends[lb] = {
      tables.ports.begin()->first, Kind::LoadBalancer, kBalance, kBalance, {cidr("198.51.100.0/24")}};
  auto text = render(iptables_rules(tables, XtBackend::Iptables));
  CHECK(text.contains("set causeway-guarded4 hash:ip,port\n  203.0.113.1,tcp:80\n"));
  CHECK(text.contains("set causeway-sources4 hash:ip,port,net\n  203.0.113.1,tcp:80,198.51.100.0/24\n"));
  CHECK(
      text.contains("-A CAUSEWAY-OUTSIDE -m set --match-set causeway-guarded4 dst,dst -m set ! --match-set "
                    "causeway-sources4 dst,dst,src -j RETURN\n"));
  CHECK(
      text.contains("-A CAUSEWAY-REFUSE-OUTSIDE -m set --match-set causeway-guarded4 dst,dst -m set ! --match-set "
                    "causeway-sources4 dst,dst,src -j DROP\n"));
  tables.frontends[lb].sources = {cidr("0.0.0.0/0")};
  text = render(iptables_rules(tables, XtBackend::Iptables));
  CHECK(text.contains("  203.0.113.1,tcp:80,0.0.0.0/1\n  203.0.113.1,tcp:80,128.0.0.0/1\n"));
}

TEST_CASE("what has no endpoint is refused or dropped, for the side that has none") {
  auto tables = web();
  auto& frontend = tables.frontends[{ip("10.96.0.10"), 80, Protocol::Tcp}];
  frontend.inside = kReject;
  const auto text = render(iptables_rules(tables, XtBackend::Iptables));
  CHECK(text.contains("set causeway-reject-inside4 hash:ip,port\n  10.96.0.10,tcp:80\n"));
  CHECK_FALSE(lines_with(text, "-TREE").contains("10.96.0.10"));
}

TEST_CASE("the number of rules that are always passed does not depend on how many Services there are") {
  auto tables = web();
  const auto few = iptables_rules(tables, XtBackend::Iptables);
  const PortId id = tables.ports.begin()->first;
  for (uint64_t i = 0; i < 5000; ++i) {
    tables.frontends[{ip("10.97.0.0").plus(i * 13), 80, Protocol::Tcp}] = {id, Kind::ClusterIp, kBalance, kDrop, {}};
    if (i < 1000)
      tables.frontends[{ip("0.0.0.0"), uint16_t(31000 + i), Protocol::Tcp}] = {
          id, Kind::NodePort, kBalance, kBalance, {}};
  }
  const auto many = iptables_rules(tables, XtBackend::Iptables);
  CHECK(chain(few, "CAUSEWAY-INSIDE") == chain(many, "CAUSEWAY-INSIDE"));
  CHECK(few.tables.at({Family::V4, "filter"}) == many.tables.at({Family::V4, "filter"}));
  // And no chain but one of endpoints is longer than a fork: 16 branches, and what stands beside them.
  for (const auto& [name, body] : many.tables.at({Family::V4, "nat"}).chains) CHECK_MESSAGE(body.size() <= 18, name);
}

TEST_CASE("both families are served by the same rules") {
  Tables t;
  const PortId id{"default", "web", "", Family::V6};
  t.ports[id] = {.protocol = Protocol::Udp,
                 .backends = {{.at = at("fd00:1::5", 53), .node = "", .cluster_pool = true}}};
  t.frontends[{ip("fd00::a"), 53, Protocol::Udp}] = {id, Kind::ClusterIp, kBalance, kDrop, {}};
  t.node_addresses[ip("::1")] = {true};
  const auto rules = iptables_rules(t, XtBackend::Iptables);
  const auto service = chain(rules, "CAUSEWAY-INSIDE-TREE", Family::V6);
  CHECK(service.starts_with("-d fd00::a/128 -p udp "));
  CHECK(chain(rules, target(service), Family::V6).ends_with("-j DNAT --to-destination [fd00:1::5]:53\n"));
}

TEST_CASE("IPVS gets what it can do; rules keep the side that wants other endpoints, and localhost") {
  const auto rules = iptables_rules(web(), XtBackend::Ipvs);
  const std::string text = render(rules);
  CHECK(text.contains("set causeway-rules-inside4 hash:ip,port\n  127.0.0.1,tcp:30080\n  172.18.0.2,tcp:30080\n"));
  CHECK(lines_with(text, "CAUSEWAY-INSIDE-TREE -d").contains("172.18.0.2/32"));
  CHECK_FALSE(lines_with(text, "CAUSEWAY-INSIDE-TREE -d").contains("10.96.0.10"));
  CHECK_FALSE(lines_with(text, "CAUSEWAY-OUTSIDE-TREE -d").contains("172.18.0.2/32"));
}

TEST_CASE("a change writes only the chains that it changes; no change writes nothing") {
  World w;
  auto tables = web();
  REQUIRE(w.bring(iptables_rules(tables, XtBackend::Iptables)));
  CHECK(w.kernel.differences(iptables_rules(tables, XtBackend::Iptables)).value().empty());
  CHECK(w.xtables.tables[{Family::V4, "nat"}].chains["OUTPUT"] ==
        xtables::Rules{"-m comment --comment \"Services of Causeway\" -j CAUSEWAY-INSIDE"});
  w.xtables.log.clear();
  w.sets.log.clear();
  CHECK(w.bring(iptables_rules(tables, XtBackend::Iptables)).value() == 0);
  w.kernel.forget();  // as after a restart
  CHECK(w.bring(iptables_rules(tables, XtBackend::Iptables)).value() == 0);
  CHECK(w.xtables.log.empty());

  tables.ports.begin()->second.backends.pop_back();
  CHECK(w.bring(iptables_rules(tables, XtBackend::Iptables)).value() == 2);  // one chain, one element of `backends`
  REQUIRE(w.xtables.log.size() == 1);
  CHECK_FALSE(w.xtables.log[0].contains("TREE"));
  CHECK(w.sets.log == std::vector<std::string>{"delete 1 elements of set causeway-backends4"});
}

TEST_CASE("what others took away comes back, what they have stays") {
  World w;
  const auto rules = iptables_rules(web(), XtBackend::Iptables);
  const auto nat = [&]() -> xtables::Table& { return w.xtables.tables[{Family::V4, "nat"}]; };
  nat().chains["KUBE-SERVICES"] = {"-j RETURN"};
  nat().chains["PREROUTING"] = {"-j KUBE-SERVICES"};
  REQUIRE(w.bring(rules));
  nat().chains["PREROUTING"].erase(nat().chains["PREROUTING"].begin());  // our jump
  nat().chains["CAUSEWAY-MASQUERADE"].pop_back();
  w.sets.all["causeway-inside4"].elements.clear();
  const auto lines = w.kernel.differences(rules).value();
  CHECK(lines == std::vector<std::string>{"set causeway-inside4 lacks 10.96.0.10,tcp:80",
                                          "set causeway-inside4 lacks 127.0.0.1,tcp:30080",
                                          "set causeway-inside4 lacks 172.18.0.2,tcp:30080",
                                          "IPv4 nat: chain CAUSEWAY-MASQUERADE is another",
                                          "IPv4 nat: PREROUTING does not lead to CAUSEWAY-PREROUTING"});
  w.kernel.forget();
  REQUIRE(w.bring(rules));
  CHECK(w.kernel.differences(rules).value().empty());
  CHECK(nat().chains["KUBE-SERVICES"] == xtables::Rules{"-j RETURN"});
  CHECK(nat().chains["PREROUTING"].back() == "-j KUBE-SERVICES");
}

TEST_CASE("an audit while iptables works waits for its end, and then the kernel is looked at") {
  World w;
  auto tables = web();
  const auto bring_and_forget = [&]() -> Task<Result<uint64_t>> {
    w.loop.post([&] { w.kernel.forget(); });  // runs at the first wait for a worker
    co_return co_await w.kernel.bring(iptables_rules(tables, XtBackend::Iptables));
  };
  REQUIRE(w.bring(iptables_rules(tables, XtBackend::Iptables)));
  for (int turn = 0; turn < 2; ++turn) {
    tables.ports.begin()->second.backends.pop_back();
    const size_t saves = w.xtables.saves;
    REQUIRE(run_until_done(w.loop, bring_and_forget()));
    CHECK(w.xtables.saves == saves + (turn ? 6 : 0));  // each of the six tables, for the audit before
  }
  CHECK(w.kernel.differences(iptables_rules(tables, XtBackend::Iptables)).value().empty());
}

TEST_CASE("a set that may not lose anything yet only grows, and loses it later") {
  World w;
  auto tables = web();
  REQUIRE(w.bring(iptables_rules(tables, XtBackend::Iptables)));
  w.kernel.forget();  // as after a restart that knows another range first
  tables.ranges.clear();
  tables.ranges[cidr("10.112.0.0/16")];
  const auto rules = iptables_rules(tables, XtBackend::Iptables);
  const auto held = [&] { return w.sets.all["causeway-ranges4"].elements; };
  REQUIRE(run_until_done(w.loop, w.kernel.bring(rules, range_sets())));
  CHECK(held() == ipset::Elements{{cidr("10.96.0.0/12")}, {cidr("10.112.0.0/16")}});
  REQUIRE(w.bring(rules));
  CHECK(held() == ipset::Elements{{cidr("10.112.0.0/16")}});
}

TEST_CASE("whether somebody changed our rules is seen without writing") {
  World w;
  const auto intact = [&] { return run_until_done(w.loop, w.kernel.intact()).value(); };
  CHECK(intact());  // nothing is held yet
  REQUIRE(w.bring(iptables_rules(web(), XtBackend::Iptables)));
  CHECK(intact());
  w.xtables.tables[{Family::V4, "nat"}].chains["KUBE-SERVICES"] = {"-j RETURN"};  // others' business
  CHECK(intact());
  const auto before = w.xtables.tables;
  w.xtables.tables[{Family::V6, "filter"}].chains["INPUT"].clear();
  CHECK_FALSE(intact());
  w.xtables.tables = before;
  w.xtables.tables[{Family::V4, "nat"}].chains.erase("CAUSEWAY-MASQUERADE");
  CHECK_FALSE(intact());
  w.xtables.tables = before;
  CHECK(remove_all(w.sets, w.xtables).has_value());
  CHECK_FALSE(intact());
  CHECK(w.sets.all.empty());
}

TEST_CASE("nothing of ours is left when nothing is wanted") {
  World w;
  const auto before = w.xtables.tables;
  auto tables = web();
  tables.ports.begin()->second.affinity = 60;
  REQUIRE(w.bring(iptables_rules(tables, XtBackend::Ipvs)));
  REQUIRE(w.bring(XtRules()));
  CHECK(w.sets.all.empty());
  for (const auto& [key, table] : before) CHECK(w.xtables.tables[key] == table);
}
