// Real sockets on loopback; the applier is a table that a test writes.
#include <doctest/doctest.h>

#include "async/scope.h"
#include "async/virtual_loop.h"
#include "http/client.h"
#include "service/proxy/check_servers.h"
#include "service/proxy/watched.h"

using namespace causeway;
using namespace causeway::service;
using namespace causeway::service::proxy;

namespace {

cluster::ServiceKey web() { return {"default", "web"}; }

class TableApplier final : public Applier {
 public:
  void changed(const cluster::ChangeSet&, const cluster::Model&) override {}
  Task<Result<std::vector<cluster::Failure>>> apply() override {
    if (broken) co_return fail(Errc::Io, "the kernel says no");
    co_return std::vector<cluster::Failure>{};
  }
  const Desired& desired() const override { return rows; }
  uint64_t writes() const override { return 0; }
  Result<std::vector<std::string>> differences() override { return std::vector<std::string>{}; }

  Desired rows{Options{}};
  bool broken = false;
};

http::Response probe(HealthHandler& handler, std::string path) { return handler.answer({.target = std::move(path)}); }

// What a client at loopback sees; the error's text where nobody answers.
std::string get(Loop& loop, const std::string& url, std::string* weight = nullptr) {
  http::ClientOptions options;
  options.url = url;
  http::Client client(loop, std::move(options));
  auto response = run_until_done(loop, client.send({.target = "/any/path"}));
  if (!response) return "nobody";
  if (weight) *weight = response->headers["X-Load-Balancing-Endpoint-Weight"];
  return fmt::format("{} {}", response->status, response->body);
}

uint16_t free_port(Loop& loop, http::Handler& handler) {
  return http::Server::listen(loop, {}, handler).value()->port();
}

}  // namespace

TEST_CASE("a change that waits longer than twice the sync period makes the proxy unhealthy, until it is applied") {
  VirtualLoop loop;
  State state(Mode::Bpf, loop.wall_now());
  auto healthy = [&] { return state.health(loop.wall_now()).healthy; };
  state.queued({}, loop.wall_now());
  loop.advance(2min);
  CHECK(healthy());  // before the first application
  state.begin();
  state.applied(1ms, true, loop.wall_now());
  loop.advance(1h);
  CHECK(healthy());  // nothing waits
  state.queued({.services = 1}, loop.wall_now());
  loop.advance(30s);
  state.queued({.services = 1}, loop.wall_now());
  loop.advance(29s);
  CHECK(healthy());
  loop.advance(1s);
  CHECK_FALSE(healthy());
  state.begin();
  state.failed();
  CHECK_FALSE(healthy());
  // What came while the rest was applied still waits, but not for long.
  state.begin();
  state.queued({.services = 1}, loop.wall_now());
  state.applied(1ms, false, loop.wall_now());
  CHECK(healthy());
  loop.advance(1min);
  CHECK_FALSE(healthy());
}

TEST_CASE("healthz and livez answer kube-proxy's JSON; only healthz fails when the node leaves") {
  VirtualLoop loop;
  bool eligible = true;
  State state(Mode::Bpf, loop.wall_now());
  HealthHandler handler(loop, state, [&] { return eligible; });
  state.set_families({Family::V4, Family::V6});
  CHECK(probe(handler, "/healthz").body ==
        R"({"lastUpdated":"2023-11-14T22:13:20.000000000Z","currentTime":"2023-11-14T22:13:20.000000000Z",)"
        R"("nodeEligible":true,"healthy":true})");
  state.begin();
  state.applied(1ms, true, loop.wall_now());
  loop.advance(1500ms);
  eligible = false;
  auto answer = probe(handler, "/healthz");
  CHECK(answer.status == 503);
  CHECK(answer.headers["X-Content-Type-Options"] == "nosniff");
  CHECK(answer.body ==
        R"({"lastUpdated":"2023-11-14T22:13:20.000000000Z","currentTime":"2023-11-14T22:13:21.500000000Z",)"
        R"("nodeEligible":false,"healthy":true,"status":{)"
        R"("IPv4":{"lastUpdated":"2023-11-14T22:13:20.000000000Z","healthy":true},)"
        R"("IPv6":{"lastUpdated":"2023-11-14T22:13:20.000000000Z","healthy":true}}})");
  answer = probe(handler, "/livez");
  CHECK(answer.status == 200);
  CHECK(answer.body.starts_with(R"({"lastUpdated":"2023-11-14T22:13:21.500000000Z")"));
  CHECK(answer.body.find("nodeEligible") == std::string::npos);
  CHECK(probe(handler, "/").status == 404);
}

TEST_CASE("a health check answers any path: 200 with local endpoints, 503 without or while the proxy is unhealthy") {
  auto loop = make_loop();
  State state(Mode::Bpf, loop->wall_now(), 0s);
  TableApplier applier;
  CheckHandler anybody(*loop, state);
  const uint16_t port = free_port(*loop, anybody);
  CheckServers servers(*loop, state, {.node_ports_on_primary = false}, [](auto&&...) { FAIL("cannot listen"); });
  auto check = [&](uint32_t endpoints) {
    Tables tables;
    tables.health_checks[port] = {web(), endpoints};
    applier.rows.replace(web(), std::move(tables));
    servers.sync(applier.rows);
  };
  check(2);
  std::string weight;
  for (const char* host : {"127.0.0.1", "[::1]"}) {
    CHECK(get(*loop, fmt::format("http://{}:{}", host, port), &weight) ==
          "200 {\n\t\"service\": {\n\t\t\"namespace\": \"default\",\n\t\t\"name\": \"web\"\n\t},\n"
          "\t\"localEndpoints\": 2,\n\t\"serviceProxyHealthy\": true\n}");
    CHECK(weight == "2");
  }
  check(0);
  CHECK(get(*loop, fmt::format("http://127.0.0.1:{}", port), &weight).starts_with("503 "));
  CHECK(weight == "0");
  check(1);
  state.applied(1ms, true, loop->wall_now());
  state.queued({}, loop->wall_now());
  CHECK(get(*loop, fmt::format("http://127.0.0.1:{}", port)).ends_with("\"serviceProxyHealthy\": false\n}"));
  applier.rows.replace(web(), {});
  servers.sync(applier.rows);
  CHECK(get(*loop, fmt::format("http://127.0.0.1:{}", port)) == "nobody");
}

TEST_CASE("a health check listens on the addresses that serve node ports, on loopback only where that is named") {
  auto loop = make_loop();
  State state(Mode::Bpf, loop->wall_now());
  CheckHandler anybody(*loop, state);
  const uint16_t port = free_port(*loop, anybody);
  Tables tables;
  tables.health_checks[port] = {web(), 1};
  tables.node_addresses[*Ip::parse("127.0.0.1")] = {.node_ports = true};
  tables.node_addresses[*Ip::parse("127.0.0.2")] = {.node_ports = true};
  Desired rows{Options{}};
  rows.replace(web(), std::move(tables));
  CheckServers primary(*loop, state, {}, [](auto&&...) {});
  primary.sync(rows);
  CHECK(primary.render() == fmt::format("{} default/web 1 local endpoints on \n", port));
  CheckServers named(*loop, state, {.node_port_addresses = {*Cidr::parse("127.0.0.2/32")}}, [](auto&&...) {});
  named.sync(rows);
  CHECK(get(*loop, fmt::format("http://127.0.0.2:{}", port)).starts_with("200 "));
  CHECK(get(*loop, fmt::format("http://127.0.0.1:{}", port)) == "nobody");
}

TEST_CASE("a port that is taken is told once, and served as soon as it is free") {
  auto loop = make_loop();
  State state(Mode::Bpf, loop->wall_now());
  CheckHandler handler(*loop, state);
  auto other = http::Server::listen(*loop, {}, handler).value();
  const uint16_t port = other->port();
  int told = 0;
  Listening listening(*loop, {*Ip::parse("127.0.0.1"), port}, handler, [&](const Error&) { ++told; }, 1ms);
  auto wait = [&](auto condition) {
    for (int i = 0; i < 5000 && !condition(); ++i) CHECK(run_until_done(*loop, loop->sleep(1ms)));
    return condition();
  };
  CHECK_FALSE(listening.trouble().empty());
  CHECK(run_until_done(*loop, loop->sleep(10ms)));
  CHECK(told == 1);
  other.reset();
  CHECK(wait([&] { return listening.port() == port; }));
  CHECK(listening.trouble().empty());
}

TEST_CASE("the applier is timed: what failed stays queued, what was applied is counted by kube-proxy's names") {
  VirtualLoop loop;
  State state(Mode::Nftables, loop.wall_now());
  TableApplier applier;
  int applied = 0;
  Watched watched(loop, applier, state, [&] { ++applied; });
  cluster::Model model;
  cluster::Node node{.name = "n1", .addresses = {*Ip::parse("10.0.0.1")}};
  model.set_facts({.name = "n1"});
  model.put(node);
  watched.changed(model.take_changes(), model);
  CHECK(run_until_done(loop, watched.apply()));
  state.queued({.services = 2, .endpoints = 3, .triggers = {{Family::V4, loop.wall_now()}}}, loop.wall_now());
  applier.broken = true;
  loop.advance(3s);
  CHECK_FALSE(run_until_done(loop, watched.apply()));
  auto value = [&](const std::string& name) {
    for (const Metric& metric : state.metrics(applier.rows))
      if (metric.name == "kubeproxy_" + name)
        return metric.samples.empty()        ? -1.0
               : metric.samples[0].histogram ? metric.samples[0].histogram->sum()
                                             : metric.samples[0].value;
    return -2.0;
  };
  CHECK(value("sync_proxy_rules_service_changes_pending") == 2);
  CHECK(value("sync_proxy_rules_nftables_sync_failures_total") == 1);
  CHECK(value("network_programming_duration_seconds") == -1);
  applier.broken = false;
  CHECK(run_until_done(loop, watched.apply()));
  CHECK(applied == 2);
  CHECK(value("sync_proxy_rules_service_changes_pending") == 0);
  CHECK(value("sync_proxy_rules_service_changes_total") == 2);
  CHECK(value("sync_proxy_rules_endpoint_changes_total") == 3);
  CHECK(value("network_programming_duration_seconds") == 3);
}

TEST_CASE("a change of slices tells when it was caused; one of Pods alone does not concern Services") {
  cluster::Model model;
  model.put(cluster::Pod{.key = {"default", "p"}});
  CHECK_FALSE(change_of(model.take_changes(), model));
  model.put(cluster::EndpointSlice{
      .key = {"default", "web-1"}, .service = "web", .family = Family::V6, .triggered = 1'700'000'000'000'000'000});
  model.put(cluster::Service{.key = web()});
  const auto change = change_of(model.take_changes(), model);
  REQUIRE(change);
  CHECK(change->services == 1);
  CHECK(change->endpoints == 1);
  CHECK(change->triggers == std::vector<std::pair<Family, WallTime>>{{Family::V6, WallTime(1'700'000'000s)}});
}

TEST_CASE("Services that only endpoints of this node may answer are counted while there is none") {
  State state(Mode::Bpf, {});
  state.set_families({Family::V4});
  Desired rows{Options{}};
  Tables tables;
  const Ip vip = *Ip::parse("10.96.0.1");
  for (const char* port : {"a", "b"})
    tables.frontends[{vip, static_cast<uint16_t>(port[0]), Protocol::Tcp}] = {
        .port = {"default", "web", port}, .kind = Kind::ClusterIp, .inside = {.verdict = Verdict::Drop}};
  tables.frontends[{Ip(), 30000, Protocol::Tcp}] = {
      .port = {"default", "web", "a"}, .kind = Kind::NodePort, .outside = {.verdict = Verdict::Drop}};
  rows.replace(web(), std::move(tables));
  for (const Metric& metric : state.metrics(rows))
    if (metric.name == "kubeproxy_sync_proxy_rules_no_local_endpoints_total") {
      REQUIRE(metric.samples.size() == 2);
      CHECK(metric.samples[0].labels.at("traffic_policy") == "internal");
      CHECK(metric.samples[0].value == 2);
      CHECK(metric.samples[1].value == 1);
    }
}
