#include "service/compile.h"

#include <doctest/doctest.h>

#include <random>

#include "service/desired.h"

using namespace causeway;
using namespace causeway::service;
using cluster::Model;
using cluster::ServiceKey;
using cluster::Source;

static Ip ip(std::string_view text) { return Ip::parse(text).value(); }
static Cidr cidr(std::string_view text) { return Cidr::parse(text).value(); }

// Any model of a handful of objects whose names, addresses and ports collide often.
namespace {
struct Chaos {
  std::mt19937 random;
  Model model;

  explicit Chaos(unsigned seed) : random(seed) {
    facts();
    for (Source source : {Source::Nodes, Source::Services, Source::EndpointSlices}) model.set_synced(source);
  }
  unsigned pick(unsigned n) { return random() % n; }
  bool chance(unsigned of) { return pick(of) == 0; }
  std::string node_name() { return "n" + std::to_string(pick(3)); }
  ServiceKey service_key() { return {"default", "s" + std::to_string(pick(5))}; }
  cluster::SliceKey slice_key() { return {"default", "e" + std::to_string(pick(6))}; }
  Ip address() {
    static const char* const kAddresses[] = {"192.0.2.1", "192.0.2.2", "203.0.113.9", "2001:db8::1", "2001:db8::9"};
    return ip(kAddresses[pick(std::size(kAddresses))]);
  }
  Ip pod_address(Family family) {
    if (chance(15)) return family == Family::V4 ? ip("127.0.0.1") : ip("fe80::1");
    return family == Family::V4 ? Ip::v4(0x0af40001 + pick(4)) : ip("fd00::1").plus(pick(4));
  }
  cluster::Protocol protocol() { return chance(3) ? cluster::Protocol::Udp : cluster::Protocol::Tcp; }

  void facts() {
    cluster::NodeFacts facts{.name = chance(6) ? "n1" : "n0"};
    facts.uplink = {.name = "eth0", .ifindex = IfIndex{2}, .mtu = 1500, .addresses = {{ip("192.0.2.1"), 24}}};
    facts.addresses = {ip("192.0.2.1")};
    if (chance(2)) facts.addresses.push_back(ip("2001:db8::1"));
    model.set_facts(std::move(facts));
  }
  void node() {
    cluster::Node node{.name = node_name(), .created = pick(5)};
    for (unsigned i = pick(3); i > 0; --i) node.addresses.push_back(address());
    if (chance(2)) node.zone = chance(2) ? "a" : "b";
    node.load = static_cast<uint16_t>(pick(3));
    model.put(std::move(node));
  }
  void service() {
    cluster::Service s{.key = service_key(), .created = pick(4)};
    s.type = static_cast<cluster::ServiceType>(pick(4));
    if (chance(10)) s.proxy_name = "other";
    s.internal_local = chance(3);
    s.external_local = chance(2);
    if (!chance(8)) s.cluster_ips.push_back(Ip::v4(0x0a600001 + pick(4)));
    if (chance(3)) s.cluster_ips.push_back(ip("fd96::1").plus(pick(3)));
    if (chance(4)) s.external_ips.push_back(address());
    if (chance(4)) s.load_balancer_ips.push_back(address());
    if (chance(4)) {
      s.restricted = true;
      if (!chance(4)) s.source_ranges.push_back(chance(2) ? cidr("192.0.2.0/24") : cidr("2001:db8::/64"));
      if (chance(6)) s.source_ranges.push_back(cidr("0.0.0.0/0"));
    }
    if (chance(4)) s.health_check_node_port = static_cast<uint16_t>(30000 + pick(3));
    if (chance(3)) s.affinity = 60;
    for (unsigned i = 0, n = 1 + pick(2); i < n; ++i)
      s.ports.push_back({i ? "b" : "a", protocol(), static_cast<uint16_t>(80 + i),
                         static_cast<uint16_t>(chance(2) ? 0 : (chance(10) ? 9 : 30000 + pick(3)))});
    if (chance(4)) s.annotations = {{"service.causeway.io/algorithm", chance(2) ? "least-load" : "nonsense"}};
    if (chance(6)) s.annotations = {{"service.causeway.io/health-check", "tcp"}};
    model.put(std::move(s));
  }
  void slice() {
    cluster::EndpointSlice s{.key = slice_key(), .service = service_key().name};
    s.family = chance(3) ? Family::V6 : Family::V4;
    s.ports.push_back({chance(3) ? "b" : "a", protocol(), static_cast<uint16_t>(8080 + pick(2))});
    for (unsigned i = pick(5); i > 0; --i) {
      cluster::SliceEndpoint e{.ip = pod_address(s.family), .ready = !chance(3), .serving = !chance(3)};
      e.terminating = chance(4);
      e.node = node_name();
      if (chance(2)) {
        cluster::SliceHints hints;
        if (chance(2)) hints.zones.push_back(chance(2) ? "a" : "b");
        if (chance(2)) hints.nodes.push_back(node_name());
        e.hints = std::make_shared<const cluster::SliceHints>(std::move(hints));
      }
      s.endpoints.push_back(std::move(e));
    }
    model.put(std::move(s));
  }
  void attachment() {
    cluster::Attachment a{.key = {"c" + std::to_string(pick(4)), chance(4) ? "net1" : "eth0"}, .pod = {"default", "p"}};
    a.addresses.push_back(Ip::v4(0x0af40001 + pick(4)));
    if (chance(2)) a.addresses.push_back(ip("fd00::1").plus(pick(4)));
    a.netns_cookie = pick(4);
    a.generation = pick(6);
    for (unsigned i = pick(3); i > 0; --i) {
      cluster::HostPort port{
          .protocol = protocol(), .port = static_cast<uint16_t>(30000 + pick(3)), .container_port = 80};
      if (chance(3)) port.host_ip = address();
      a.host_ports.push_back(port);
    }
    model.put(std::move(a));
  }
  void step() {
    switch (pick(16)) {
      case 0: return facts();
      case 1: return node();
      case 2: model.remove_node(node_name()); return;
      case 3: model.remove(service_key()); return;
      case 4: model.remove(slice_key()); return;
      case 5: model.remove(cluster::AttachmentKey{"c" + std::to_string(pick(4)), "eth0"}); return;
      case 6:
      case 7: return attachment();
      case 8: model.put(cluster::ServiceCidr{.name = "kubernetes", .cidrs = {cidr("10.96.0.0/12")}}); return;
      case 9: model.remove_service_cidr("kubernetes"); return;
      case 10:
        model.set_unhealthy(service_key(),
                            chance(2) ? std::set<Endpoint>{} : std::set<Endpoint>{{pod_address(Family::V4), 8080}});
        return;
      case 11:
      case 12:
      case 13: return service();
      default: return slice();
    }
  }
};

size_t rows_of(const Tables& tables) {
  return tables.frontends.size() + tables.ports.size() + tables.addresses.size() + tables.node_addresses.size() +
         tables.health_checks.size() + tables.probes.size() + tables.clients.size() + tables.refused.size();
}
}  // namespace

TEST_CASE("incremental compilation of Services arrives at the full one, and no row has two owners") {
  for (unsigned seed = 1; seed <= 150; ++seed) {
    CAPTURE(seed);
    Chaos chaos(seed);
    const Options options{.node_ports_on_primary = seed % 2 == 0,
                          .node_port_addresses = {cidr("192.0.2.0/24")},
                          .external_ips = seed % 5 != 0,
                          .masquerade_all = seed % 7 == 0,
                          .host_ports = seed % 3 != 0,
                          .service_cidrs = {cidr("fd96::/112")}};
    Desired desired(options);
    for (int round = 0; round < 40; ++round) {
      for (unsigned n = 1 + chaos.pick(3); n > 0; --n) chaos.step();
      desired.update(chaos.model.take_changes(), chaos.model);
      const Tables full = compile(chaos.model, options);
      REQUIRE(render(desired.tables()) == render(full));
      REQUIRE(desired.tables() == full);
      size_t rows = 0;
      for (const Key& key : all_keys(chaos.model)) rows += rows_of(compile_one(key, chaos.model, options));
      REQUIRE(rows == rows_of(full));
      for (const auto& [key, frontend] : full.frontends) REQUIRE(full.ports.contains(frontend.port));
    }
  }
}

TEST_CASE("one endpoint of thousands of Services touches its own Service only") {
  Model model;
  for (uint32_t i = 0; i < 2000; ++i) {
    cluster::Service s{.key = {"default", "s" + std::to_string(i)}};
    s.cluster_ips = {Ip::v4(0x0a600000 + i)};
    s.ports = {{"http", cluster::Protocol::Tcp, 80}};
    model.put(std::move(s));
  }
  model.take_changes();
  model.put(cluster::EndpointSlice{.key = {"default", "s7-x"}, .service = "s7"});
  CHECK(keys(model.take_changes(), model) == std::set<Key>{ServiceKey{"default", "s7"}});
}

TEST_CASE("no row of a Service is compiled before all is known that it is made of") {
  Model model;
  cluster::Service s{.key = {"default", "web"}};
  s.cluster_ips = {ip("10.96.0.1")};
  s.ports = {{"http", cluster::Protocol::Tcp, 80}};
  model.put(s);
  model.put(cluster::Attachment{.key = {"c1", "eth0"}, .addresses = {ip("10.244.0.5")}, .netns_cookie = 7});
  Desired desired({});
  model.set_synced(Source::Services);
  model.set_synced(Source::Nodes);
  desired.update(model.take_changes(), model);
  CHECK_FALSE(desired.complete());
  CHECK(desired.frontends.rows().empty());
  CHECK(desired.clients.rows().size() == 1);
  model.set_synced(Source::EndpointSlices);
  desired.update(model.take_changes(), model);
  CHECK(desired.complete());
  CHECK(desired.frontends.rows().size() == 1);
  CHECK_FALSE(desired.ranges_complete());
  model.set_synced(Source::ServiceCidrs);
  desired.update(model.take_changes(), model);
  CHECK(desired.ranges_complete());
}

TEST_CASE("a Service that its label leaves to others is not balanced, though DNS has it in the model") {
  Chaos chaos(1);
  cluster::Service service{.key = {"default", "s0"}};
  service.cluster_ips.push_back(ip("10.96.0.9"));
  service.ports.push_back({"http", cluster::Protocol::Tcp, 80});
  chaos.model.put(service);
  CHECK(compile(chaos.model, {}).addresses.contains(ip("10.96.0.9")));
  service.left_to_others = true;
  chaos.model.put(service);
  CHECK_FALSE(compile(chaos.model, {}).addresses.contains(ip("10.96.0.9")));
}

TEST_CASE("an EndpointSlice that its label leaves to others has no endpoint, though DNS has it in the model") {
  Model model;
  for (Source source : {Source::Nodes, Source::Services, Source::EndpointSlices}) model.set_synced(source);
  cluster::Service web{.key = {"default", "web"}};
  web.cluster_ips = {ip("10.96.0.9")};
  web.ports = {{"http", cluster::Protocol::Tcp, 80}};
  model.put(web);
  cluster::EndpointSlice slice{.key = {"default", "web-1"}, .service = "web", .ports = {{"http", Protocol::Tcp, 8080}}};
  slice.endpoints = {{.ip = ip("10.1.0.5"), .ready = true, .serving = true}};
  model.put(slice);
  CHECK(render(compile(model, {})).find("10.1.0.5:8080") != std::string::npos);
  slice.left_to_others = true;
  model.put(slice);
  CHECK(render(compile(model, {})).find("10.1.0.5:8080") == std::string::npos);
  CHECK(compile(model, {}).addresses.contains(ip("10.96.0.9")));
}

TEST_CASE("port 53 of an alias is the ClusterIP's, to this node and its Pods alone, and its other ports are refused") {
  Model model;
  for (Source source : {Source::Nodes, Source::Services, Source::EndpointSlices}) model.set_synced(source);
  cluster::Service dns{.key = {"kube-system", "kube-dns"}};
  dns.cluster_ips = {ip("10.96.0.10"), ip("fd00:96::a")};
  dns.ports = {{"dns", cluster::Protocol::Udp, 53}, {"metrics", cluster::Protocol::Tcp, 9153}};
  model.put(dns);
  const Options options{.aliases = {{ip("169.254.20.10"), ip("10.96.0.10"), 53}}};
  const Tables tables = compile(model, options);
  const FrontendKey alias{ip("169.254.20.10"), 53, cluster::Protocol::Udp};
  CHECK(tables.frontends.at(alias) == tables.frontends.at({ip("10.96.0.10"), 53, cluster::Protocol::Udp}));
  CHECK(tables.frontends.at(alias).outside.verdict == Verdict::Drop);
  CHECK(tables.frontends.size() == 5);
  CHECK(tables.addresses.at(ip("169.254.20.10")) == dns.key);
}

TEST_CASE("where the node answers before Services, its own address is the last of the endpoints, wherever hints lead") {
  Model model;
  model.set_facts({.name = "n0"});
  model.put(cluster::Node{.name = "n0", .addresses = {ip("192.0.2.1")}});
  for (Source source : {Source::Nodes, Source::Services, Source::EndpointSlices}) model.set_synced(source);
  cluster::Service dns{.key = {"kube-system", "kube-dns"}};
  dns.cluster_ips = {ip("10.96.0.10")};
  dns.ports = {{"dns", cluster::Protocol::Udp, 53}};
  model.put(dns);
  const Options options{.own_first = {{ip("10.96.0.10"), 53}}};
  const auto slice = [&](const char* name, const char* address, bool ready) {
    cluster::EndpointSlice out{.key = {"kube-system", name}, .service = "kube-dns"};
    out.ports = {{"dns", cluster::Protocol::Udp, 53}};
    auto hints = std::make_shared<cluster::SliceHints>();
    hints->nodes = {Name(name)};
    out.endpoints = {{.ip = ip(address), .ready = ready, .serving = ready, .node = name, .hints = hints}};
    model.put(out);
  };
  const auto pool = [&](const Options& by) {
    std::string out;
    const Tables tables = compile(model, by);
    for (const Backend& backend : tables.ports.at({"kube-system", "kube-dns", "dns", Family::V4}).backends)
      if (backend.cluster_pool) out += to_string(backend.at) + " ";
    return out;
  };
  slice("n0", "192.0.2.1", true);
  CHECK(pool(options) == "192.0.2.1:53 ");
  slice("n1", "192.0.2.2", true);
  slice("n2", "192.0.2.3", true);
  CHECK(pool({}) == "192.0.2.1:53 ");
  CHECK(pool(options) == "192.0.2.2:53 192.0.2.3:53 ");
  slice("n1", "192.0.2.2", false);
  slice("n2", "192.0.2.3", false);
  CHECK(pool(options) == "192.0.2.1:53 ");
}
