#include <doctest/doctest.h>

#include "async/scope.h"
#include "service/apply_bpf.h"
#include "service/bpf_maps_world.h"

using namespace causeway;
using namespace causeway::service;

TEST_CASE("a Service reaches the maps: rows, slots, backends, its address") {
  Kernel kernel;
  Agent agent(kernel);
  Tables tables = web_tables({backend("10.1.0.1"), backend("10.1.0.2")});
  tables.ranges[cidr("10.96.0.0/12")] = {};
  tables.node_addresses[ip("192.0.2.1")] = {.node_ports = true};
  tables.clients[77] = {.v4 = ip("10.1.0.9")};
  agent.desired.replace(web, tables);
  CHECK(agent.apply() == "");
  CHECK(render(kernel) ==
        "0.0.0.0:30080/tcp: kind 2 flags 0 affinity 0 in: 10.1.0.1:80x1 10.1.0.2:80x1 out:masquerade 10.1.0.1:80x1 "
        "10.1.0.2:80x1\n"
        "10.96.0.1:80/tcp: kind 1 flags 0 affinity 0 in: 10.1.0.1:80x1 10.1.0.2:80x1 out:drop\n");
  CHECK(kernel.services.rows.at(encode_address(ip("10.96.0.1"))) == address_row());
  CHECK(kernel.ranges.rows.size() == 1);
  CHECK(kernel.node_addresses.rows.at(datapath::to_abi(ip("192.0.2.1"))) == abi::NODE_ADDRESS_NODE_PORTS);
  CHECK(kernel.clients.rows.at(77).addr4 == datapath::to_abi(ip("10.1.0.9")));
  CHECK(agent.differences() == "");
  CHECK(agent.maps.name_of(1) == "default/web:http -> 10.1.0.1:80");
}

TEST_CASE("a restarted agent finds its numbers and writes nothing") {
  Kernel kernel;
  Backend draining = backend("10.1.0.3");
  draining.cluster_pool = false;
  Tables tables = web_tables({backend("10.1.0.1"), backend("10.1.0.2", 3), draining});
  tables.ports[web_port].affinity = 10800;
  tables.frontends[{ip("0.0.0.0"), 30080}].sources = {cidr("192.0.2.0/24")};
  {
    Agent first(kernel);
    first.desired.replace(web, tables);
    CHECK(first.apply() == "");
    first.loop.advance(BpfMaps::kRest);
  }
  const size_t writes = kernel.writes();
  Agent second(kernel);
  CHECK(second.apply(false) == "");  // knows nothing yet
  second.desired.replace(web, tables);
  CHECK(second.apply(false) == "");
  CHECK(second.apply() == "");
  second.maps.forget();
  CHECK(second.apply() == "");
  second.loop.advance(1s);
  CHECK(kernel.writes() == writes);
  CHECK(second.maps.writes() == 0);
  CHECK(second.differences() == "");
}

TEST_CASE("nothing of a Service is written or removed before all is known") {
  Kernel kernel;
  {
    Agent first(kernel);
    first.desired.replace(web, web_tables({backend("10.1.0.1")}));
    first.apply();
  }
  const std::string before = render(kernel);
  Agent second(kernel);
  second.desired.replace(web, web_tables({}));  // its EndpointSlices are not here yet
  CHECK(second.apply(false) == "");
  CHECK(render(kernel) == before);
  CHECK(second.apply(true) == "");
  CHECK(render(kernel) != before);
  CHECK(kernel.serving() == 0);
}

TEST_CASE("a host port is written before the API server answers, and keeps off the numbers in use") {
  Kernel kernel;
  {
    Agent first(kernel);
    first.desired.replace(web, web_tables({backend("10.1.0.1")}));
    first.apply();
  }
  const std::string before = render(kernel);
  Agent second(kernel);
  const PortId port{"default", "pod", "hostPort 8080/tcp", Family::V4, true};
  Tables tables;
  tables.frontends[{ip("0.0.0.0"), 8080}] = {
      .port = port, .kind = Kind::HostPort, .inside = kCluster, .outside = kCluster};
  tables.ports[port] = {.backends = {backend("10.1.0.7")}};
  second.desired.replace(cluster::AttachmentKey{"c1", "eth0"}, tables);
  CHECK(second.apply(false) == "");
  CHECK(render(kernel) ==
        "0.0.0.0:8080/tcp: kind 5 flags 0 affinity 0 in: 10.1.0.7:80x1 out: 10.1.0.7:80x1\n" + before);
}

TEST_CASE("one endpoint of many that comes, goes or changes is a handful of writes") {
  Kernel kernel;
  Agent agent(kernel);
  std::vector<Backend> backends;
  for (uint32_t i = 0; i < 5000; ++i) backends.push_back({.at = {Ip::v4(0x0a010000 + i), 80}, .cluster_pool = true});
  agent.desired.replace(web, web_tables(backends));
  CHECK(agent.apply() == "");
  auto cost = [&] {
    const size_t before = kernel.writes();
    agent.desired.replace(web, web_tables(backends));
    CHECK(agent.apply() == "");
    agent.loop.advance(1s);
    CHECK(agent.differences() == "");
    return kernel.writes() - before;
  };
  backends.push_back(backend("10.9.9.9"));
  CHECK(cost() == 4);  // backend, slot, two rows
  backends[7] = backend("10.9.9.8");
  CHECK(cost() == 3);  // backend, slot, the old backend
  backends.erase(backends.begin() + 9);
  CHECK(cost() == 5);  // slot, two rows, the old backend, the last slot
  backends[3].load = 500;
  CHECK(cost() == 1);
}

TEST_CASE("a number is given again only with another generation, and only after a rest") {
  Kernel kernel;
  Agent agent(kernel);
  agent.desired.replace(web, web_tables({backend("10.1.0.1")}));
  agent.apply();
  CHECK(kernel.backends.rows.at(1).generation == 1);
  agent.desired.replace(web, web_tables({backend("10.1.0.2")}));
  agent.apply();
  CHECK(kernel.backends.rows.at(1).state == abi::BACKEND_GONE);
  CHECK(kernel.backends.rows.at(1).generation == 2);
  agent.desired.replace(web, web_tables({backend("10.1.0.3")}));
  agent.apply();
  CHECK(kernel.backends.rows.at(3).state == abi::BACKEND_IN_CLUSTER);  // 1 rests
  agent.loop.advance(BpfMaps::kRest);
  agent.desired.replace(web, web_tables({backend("10.1.0.3"), backend("10.1.0.4")}));
  agent.apply();
  CHECK(kernel.serving() == 2);
  CHECK(kernel.backends.rows.size() == 3);
}

TEST_CASE("a Service for which there is no room is named, the others are served") {
  Kernel kernel;
  Agent agent(kernel);
  kernel.slots.room = 4;
  agent.desired.replace(web, web_tables({backend("10.1.0.1"), backend("10.1.0.2", 3)}));
  CHECK(agent.apply() == "");
  const std::string before = render(kernel);
  Tables other = web_tables({backend("10.1.0.8")});
  const PortId port{"default", "other", "http"};
  Tables second;
  second.frontends[{ip("10.96.0.2"), 80}] = {.port = port, .inside = kCluster, .outside = kCluster};
  second.ports[port] = {.backends = {backend("10.1.0.8"), backend("10.1.0.9", 3)}};
  agent.desired.replace(cluster::ServiceKey{"default", "other"}, second);
  CHECK(agent.apply() == "service default/other: slot of default/other:http: map full\n");
  CHECK(kernel.asked.slots == 8);
  CHECK(render(kernel) == before);
  kernel.slots.room = 100;
  CHECK(agent.apply() == "");
  CHECK(agent.differences() == "");
  CHECK(kernel.serving() == 4);
}

TEST_CASE("a Service whose endpoints are those that it began with has no rows of slots") {
  Kernel kernel;
  Agent agent(kernel);
  std::vector<Backend> backends = {backend("10.1.0.1"), backend("10.1.0.2"), backend("10.1.0.3"), backend("10.1.0.4")};
  const auto apply = [&] {
    agent.desired.replace(web, web_tables(backends));
    CHECK(agent.apply() == "");
    agent.loop.advance(1s);
    CHECK(agent.differences() == "");
    return render(kernel);
  };
  CHECK(apply().find("in: 10.1.0.1:80x1 10.1.0.2:80x1 10.1.0.3:80x1 10.1.0.4:80x1 out") != std::string::npos);
  CHECK(kernel.slots.rows.empty());
  CHECK(kernel.asked.slots == 0);

  Agent second(kernel);  // a restart finds them
  second.desired.replace(web, web_tables(backends));
  CHECK(second.apply() == "");
  CHECK(second.maps.writes() == 0);

  backends.pop_back();  // who goes from the end leaves the others as they are
  CHECK(apply().find("in: 10.1.0.1:80x1 10.1.0.2:80x1 10.1.0.3:80x1 out") != std::string::npos);
  CHECK(kernel.slots.rows.empty());
  backends[1] = backend("10.1.0.9");
  CHECK(apply().find("in: 10.1.0.1:80x1 10.1.0.3:80x1 10.1.0.9:80x1 out") != std::string::npos);
  CHECK(kernel.slots.rows.size() == 3);
  agent.desired.replace(web, web_tables({}));
  CHECK(agent.apply() == "");
  agent.loop.advance(1s);
  CHECK(kernel.slots.rows.empty());
  CHECK(agent.differences() == "");
}

TEST_CASE("rows that are there already need no more room when the maps are looked at again") {
  Kernel kernel;
  Agent agent(kernel);
  agent.desired.replace(web, web_tables({backend("10.1.0.1"), backend("10.1.0.2", 3)}));
  CHECK(agent.apply() == "");
  CHECK(kernel.asked.services == 3);  // two frontends, one address
  agent.maps.forget();
  CHECK(agent.apply() == "");
  CHECK(kernel.asked.services == 3);
  CHECK(kernel.asked.slots == 4);
  Agent second(kernel);  // a Service that went and one that came while nobody looked: both at once
  Tables other;
  other.frontends[{ip("10.96.0.2"), 80}] = {.port = {"default", "other", "http"}};
  other.ports[{"default", "other", "http"}] = {};
  second.desired.replace(cluster::ServiceKey{"default", "other"}, other);
  CHECK(second.apply() == "");
  CHECK(kernel.asked.services == 4);
  CHECK(kernel.services.rows.size() == 1);
}

TEST_CASE("programs that still read the former maps are a failure, until they read the present ones") {
  Kernel kernel;
  Agent agent(kernel);
  kernel.no_room = Error(Errc::Io, "replace program from_pod");
  agent.desired.replace(web, web_tables({backend("10.1.0.1")}));
  CHECK(agent.apply() == "");  // all that was asked for fitted
  kernel.programs_behind = true;
  CHECK(agent.apply() == "self: replace program from_pod\n");
  CHECK(agent.apply() == "self: replace program from_pod\n");
  kernel.no_room.reset();
  kernel.programs_behind = false;
  CHECK(agent.apply() == "");
  CHECK(agent.differences() == "");
}

TEST_CASE("socket hooks are looked at with the maps, not with every change") {
  Kernel kernel;
  Agent agent(kernel);
  CHECK(agent.apply() == "");
  agent.desired.replace(web, web_tables({backend("10.1.0.1")}));
  CHECK(agent.apply() == "");
  CHECK(kernel.repairs == 1);
  agent.maps.forget();
  CHECK(agent.apply() == "");
  CHECK(kernel.repairs == 2);
}

TEST_CASE("a range of a former life stays until the ServiceCIDRs are known") {
  Kernel kernel;
  {
    Agent first(kernel);
    Tables tables = web_tables({backend("10.1.0.1")});
    tables.ranges[cidr("10.96.0.0/12")] = {};
    tables.ranges[cidr("10.200.0.0/16")] = {};
    first.desired.replace(web, tables);
    CHECK(first.apply() == "");
  }
  CHECK(kernel.ranges.rows.size() == 2);
  Agent second(kernel);
  Tables tables = web_tables({backend("10.1.0.1")});
  second.desired.replace(web, tables);
  CHECK(second.apply(true, false) == "");
  CHECK(kernel.ranges.rows.size() == 2);
  tables.ranges[cidr("10.96.0.0/12")] = {};
  second.desired.replace(web, tables);
  CHECK(second.apply() == "");
  CHECK(kernel.ranges.rows.size() == 1);
  CHECK(kernel.ranges.rows.contains(encode(cidr("10.96.0.0/12"))));
}

TEST_CASE(
    "a backend that a former agent left and that cannot be ended is named, keeps its number, and is tried again") {
  Kernel kernel;
  {
    Agent first(kernel);
    first.desired.replace(web, web_tables({backend("10.1.0.1")}));
    CHECK(first.apply() == "");
  }
  Agent second(kernel);
  const auto writable = std::exchange(kernel.backends.before, []() -> Status { return fail(Errc::Io, "no"); });
  CHECK(second.apply() == "self: backend that nobody has any more: no\n");
  CHECK(kernel.serving() == 1);
  second.loop.advance(1s);
  kernel.backends.before = writable;
  second.desired.replace(web, web_tables({backend("10.1.0.2")}));
  CHECK(second.apply() == "");
  CHECK(kernel.serving() == 1);
  CHECK(kernel.backends.rows.at(1).state == abi::BACKEND_GONE);
  CHECK(kernel.backends.rows.at(2).state == abi::BACKEND_IN_CLUSTER);
  CHECK(second.differences() == "");
}

TEST_CASE("what somebody else did to the maps is named, then repaired") {
  Kernel kernel;
  Agent agent(kernel);
  agent.desired.replace(web, web_tables({backend("10.1.0.1"), backend("10.1.0.2", 2)}));
  agent.apply();
  const std::string before = render(kernel);
  kernel.services.rows.erase(encode(FrontendKey{ip("10.96.0.1"), 80}));
  kernel.slots.rows.clear();
  kernel.backends.rows.at(1).state = abi::BACKEND_GONE;
  CHECK(agent.differences() ==
        "row 10.96.0.1:80/tcp: missing\n"
        "slot 0 of default/web:http, epoch 1: missing\n"
        "slot 1 of default/web:http, epoch 1: missing\n"
        "slot 2 of default/web:http, epoch 1: missing\n"
        "backend 1 of default/web:http, 10.1.0.1:80: missing\n");
  agent.maps.forget();
  CHECK(agent.apply() == "");
  CHECK(render(kernel) == before);
  agent.loop.advance(1s);
  CHECK(agent.differences() == "");
}

TEST_CASE("counts of connections are corrected for those who balance by them") {
  Kernel kernel;
  Agent agent(kernel);
  Tables tables = web_tables({backend("10.1.0.1"), backend("10.1.0.2")});
  tables.ports[web_port].algorithm = Algorithm::LeastConnections;
  agent.desired.replace(web, tables);
  agent.apply();
  kernel.connections.rows[2] = 9;
  CHECK(agent.maps.count_connections({{1, 4}}));
  CHECK(kernel.connections.rows == std::map<uint32_t, uint32_t>{{1, 4}, {2, 0}});
  CHECK(kernel.services.rows.at(encode(FrontendKey{ip("10.96.0.1"), 80})).flags == abi::SERVICE_F_PER_PACKET);
}

namespace {

std::string not_intact(const BpfMaps& maps) {
  static constexpr std::string_view kNames[] = {"small", "services", "slots", "backends", "sources"};
  std::string out;
  for (const auto part : BpfMaps::kParts)
    if (!maps.intact(part).value()) out += fmt::format("{} ", kNames[static_cast<size_t>(part)]);
  return out;
}

Task<void> apply_once(BpfApplier& applier, std::optional<std::vector<cluster::Failure>>& failures) {
  auto done = co_await applier.apply();
  if (done) failures = std::move(*done);
}

}  // namespace

TEST_CASE("an audit finds what somebody else changed, in the map where it is, and nothing else") {
  Kernel kernel;
  Agent agent(kernel);
  CHECK_FALSE(agent.maps.settled());
  Tables tables = web_tables({backend("10.1.0.1"), backend("10.1.0.2")});
  tables.ranges[cidr("10.96.0.0/12")] = {};
  tables.node_addresses[ip("192.0.2.1")] = {.node_ports = true};
  tables.clients[77] = {.v4 = ip("10.1.0.9")};
  tables.frontends[{ip("0.0.0.0"), 30080}].sources = {cidr("192.0.2.0/24")};
  agent.desired.replace(web, tables);
  CHECK(agent.apply() == "");
  CHECK(agent.maps.settled());
  CHECK(not_intact(agent.maps) == "");
  agent.desired.replace(web, web_tables({backend("10.1.0.3")}));
  CHECK_FALSE(agent.maps.settled());
  agent.desired.replace(web, tables);
  tables.ports[web_port].backends = {backend("10.1.0.4"), backend("10.1.0.5", 3)};
  agent.desired.replace(web, tables);
  CHECK(agent.apply() == "");
  CHECK(not_intact(agent.maps) == "");  // slots of before, which rest
  agent.loop.advance(1s);
  CHECK(not_intact(agent.maps) == "");

  const auto without = [&](auto& rows) {
    const auto first = *rows.begin();
    rows.erase(rows.begin());
    const std::string found = not_intact(agent.maps);
    rows.insert(first);
    return found;
  };
  CHECK(without(kernel.services.rows) == "services ");
  CHECK(without(kernel.slots.rows) == "slots ");
  CHECK(without(kernel.backends.rows) == "backends ");
  CHECK(without(kernel.sources.rows) == "sources ");
  CHECK(without(kernel.ranges.rows) == "small ");
  CHECK(without(kernel.node_addresses.rows) == "small ");
  CHECK(without(kernel.clients.rows) == "small ");
  const auto changed = [&](auto& value, auto other) {
    const auto before = std::exchange(value, other);
    const std::string found = not_intact(agent.maps);
    value = before;
    return found;
  };
  CHECK(changed(kernel.services.rows.begin()->second.flags, 7u) == "services ");
  CHECK(changed(kernel.slots.rows.begin()->second, 99u) == "slots ");
  CHECK(changed(kernel.backends.rows.begin()->second.generation, 99u) == "backends ");
  CHECK(changed(kernel.node_addresses.rows.begin()->second, 0u) == "small ");
  kernel.slots.rows[{.pool = 4711, .epoch = 1, .index = 0}] = 1;
  CHECK(not_intact(agent.maps) == "slots ");
}

TEST_CASE("an audit writes nothing where all is well, and brings back what somebody took away") {
  Kernel kernel;
  VirtualLoop loop;
  cluster::Model model;
  size_t repairs = 0;
  BpfApplier applier({},
                     {loop, kernel.services, kernel.slots, kernel.backends, kernel.connections, kernel.node_addresses,
                      kernel.ranges, kernel.sources, kernel.clients, [](const MapRoom&) { return ok(); }, nullptr,
                      [&repairs]() -> Status {
                        ++repairs;
                        return ok();
                      }});
  Scope scope(loop);
  const auto apply = [&] {
    std::optional<std::vector<cluster::Failure>> failures;
    scope.spawn("apply", apply_once(applier, failures));
    loop.advance(1s);
    return failures ? failures->size() : 99;
  };
  for (auto source : {cluster::Source::Nodes, cluster::Source::Services, cluster::Source::EndpointSlices,
                      cluster::Source::Attachments, cluster::Source::ServiceCidrs})
    model.set_synced(source);
  cluster::Service service{.key = {"default", "web"}, .cluster_ips = {ip("10.96.0.1")}};
  service.ports = {{.port = 80}};
  model.put(std::move(service));
  cluster::EndpointSlice slice{.key = {"default", "web-1"}, .service = "web"};
  slice.ports = {{.port = 8080}};
  slice.endpoints = {{.ip = ip("10.1.0.1"), .ready = true, .serving = true},
                     {.ip = ip("10.1.0.2"), .ready = true, .serving = true, .weight = 2}};
  model.put(std::move(slice));
  applier.changed(model.take_changes(), model);
  CHECK(apply() == 0);
  const uint64_t writes = applier.writes();
  const auto slots = kernel.slots.rows;
  REQUIRE(slots.size() == 3);
  applier.forget();
  CHECK(apply() == 0);
  CHECK(applier.writes() == writes);
  CHECK(repairs == 2);  // with the first look, and with the audit
  kernel.slots.rows.clear();
  CHECK(apply() == 0);  // nobody asked
  CHECK(kernel.slots.rows.empty());
  applier.forget();
  CHECK(apply() == 0);
  CHECK(kernel.slots.rows.size() == 3);
  CHECK(applier.differences().value().empty());
}
