#include "dns/compile.h"

#include <doctest/doctest.h>

#include <random>

#include "cluster/model/project.h"
#include "dns/names_world.h"
#include "kube/api/codec.h"

using namespace causeway;
using namespace causeway::dns;
using cluster::Model;
using cluster::Source;

namespace {

void sync(Model& model) {
  for (const Source source : {Source::Services, Source::EndpointSlices, Source::Namespaces, Source::Pods})
    model.set_synced(source);
}

// Brings the tables to the model by what changed, as the agent does.
void follow(World& world, Model& model) {
  const auto changes = model.take_changes();
  for (const Key& key : keys(changes, model, true)) {
    if (const auto facts = compile_one(key, model))
      world.put(*facts);
    else
      world.gone(key);
  }
}

Facts facts_of(const Model& model, const Key& key) {
  const auto facts = compile_one(key, model);
  REQUIRE(facts);
  const std::string block = encode(*facts);
  const auto entry = Entry::parse({reinterpret_cast<const uint8_t*>(block.data()), block.size()});
  REQUIRE(entry);
  return entry->decode();
}

template <class T>
void put(Model& model, const std::string& json) {
  model.put(cluster::project(kube::decode<T>(json).value()));
}

}  // namespace

TEST_CASE("objects of the API become names") {
  Model model;
  World world;
  put<kube::Service>(model,
                     R"({"metadata":{"namespace":"shop","name":"db"},"spec":{"clusterIP":"None","clusterIPs":["None"],
    "ports":[{"name":"sql","port":5432}]}})");
  put<kube::EndpointSlice>(model, R"({"metadata":{"namespace":"shop","name":"db-1","labels":{
    "kubernetes.io/service-name":"db","service.kubernetes.io/headless":""}},"addressType":"IPv4",
    "ports":[{"name":"sql","protocol":"TCP","port":5432}],"endpoints":[
    {"addresses":["10.1.0.6"],"hostname":"db-0"},
    {"addresses":["10.1.0.7"],"conditions":{"ready":false,"serving":true,"terminating":true}},
    {"addresses":["10.1.0.8"],"conditions":{"ready":true}}]})");
  // Slices overlap while endpoints move; one without endpoints has none (kubernetes PR 136111).
  put<kube::EndpointSlice>(model, R"({"metadata":{"namespace":"shop","name":"db-2","labels":{
    "kubernetes.io/service-name":"db"}},"addressType":"IPv4","ports":[{"name":"sql","protocol":"TCP","port":5432}],
    "endpoints":[{"addresses":["10.1.0.6"],"hostname":"db-0"}]})");
  put<kube::EndpointSlice>(model, R"({"metadata":{"namespace":"shop","name":"db-3","labels":{
    "kubernetes.io/service-name":"db"}},"addressType":"IPv4","ports":null,"endpoints":null})");
  put<kube::Service>(model, R"({"metadata":{"namespace":"shop","name":"out"},"spec":{"type":"ExternalName",
    "externalName":"example.com"}})");
  put<kube::Service>(model, R"({"metadata":{"namespace":"shop","name":"web"},"spec":{"clusterIP":"10.96.0.1",
    "clusterIPs":["10.96.0.1","fd00::1"],"ports":[{"port":80}]}})");
  put<kube::Service>(model, R"({"metadata":{"namespace":"shop","name":"new"},"spec":{"ports":[{"port":80}]}})");
  model.put(cluster::Namespace{.name = "shop", .labels = {{"team", "a"}}});
  follow(world, model);
  CHECK(world.data("db.shop.svc.cluster.local") == "10.1.0.6  10.1.0.8");
  CHECK(world.data("db-0.db.shop.svc.cluster.local") == "10.1.0.6");
  CHECK(world.data("_sql._tcp.db.shop.svc.cluster.local", Type::SRV) ==
        "0 50 5432 db-0.db.shop.svc.cluster.local.  0 50 5432 10-1-0-8.db.shop.svc.cluster.local.");
  CHECK(world.data("out.shop.svc.cluster.local", Type::CNAME) == "example.com.");
  CHECK(world.data("web.shop.svc.cluster.local", Type::AAAA) == "fd00::1");
  CHECK(world.verdict("new.shop.svc.cluster.local") == "NXDOMAIN");  // it has no address yet
  CHECK(world.verdict("shop.svc.cluster.local") == "NODATA");
}

TEST_CASE("what publishes unready addresses has them, as they come ready; a name that nobody may have is left out") {
  Model model;
  World world;
  put<kube::Service>(model, R"({"metadata":{"namespace":"shop","name":"db"},"spec":{"clusterIP":"None",
    "publishNotReadyAddresses":true}})");
  put<kube::EndpointSlice>(model, R"({"metadata":{"namespace":"shop","name":"db-1","labels":{
    "kubernetes.io/service-name":"db"}},"addressType":"IPv4","endpoints":[
    {"addresses":["10.1.0.6"],"hostname":"a.b","conditions":{"ready":true,"serving":false,"terminating":true}}]})");
  follow(world, model);
  CHECK(world.data("db.shop.svc.cluster.local") == "10.1.0.6");
  CHECK(world.data("6.0.1.10.in-addr.arpa", Type::PTR) == "a\\.b.db.shop.svc.cluster.local.");
}

TEST_CASE("names are complete once Services, EndpointSlices and Namespaces are, and Pods where they are asked for") {
  Model model;
  for (const Source source : {Source::Services, Source::EndpointSlices, Source::Namespaces}) {
    CHECK(!complete(model, false));
    model.set_synced(source);
  }
  CHECK(complete(model, false));
  CHECK(!complete(model, true));
  model.set_synced(Source::Pods);
  CHECK(complete(model, true));
}

TEST_CASE("a slice that goes to another Service changes both") {
  Model model;
  cluster::EndpointSlice slice{.key = {"d", "s"}, .service = "a", .endpoints = {{.ip = ip("10.1.0.1"), .ready = true}}};
  for (const char* name : {"a", "b"}) model.put(cluster::Service{.key = {"d", name}, .headless = true});
  model.put(slice);
  World world;
  follow(world, model);
  CHECK(world.data("a.d.svc.cluster.local") == "10.1.0.1");
  slice.service = "b";
  model.put(slice);
  follow(world, model);
  CHECK(world.verdict("a.d.svc.cluster.local") == "NXDOMAIN");
  CHECK(world.data("b.d.svc.cluster.local") == "10.1.0.1");
  CHECK(world.data("1.0.1.10.in-addr.arpa", Type::PTR) == "10-1-0-1.b.d.svc.cluster.local.");
}

TEST_CASE("any sequence of changes gives the tables of a fresh compile") {
  for (unsigned seed = 0; seed < 30; ++seed) {
    std::mt19937 random(seed);
    const auto pick = [&](unsigned n) { return random() % n; };
    Model model;
    sync(model);
    World world;
    for (int step = 0; step < 200; ++step) {
      const cluster::ServiceKey key{"n" + std::to_string(pick(2)), "s" + std::to_string(pick(4))};
      const cluster::SliceKey slice_key{key.ns, "e" + std::to_string(pick(6))};
      switch (pick(8)) {
        case 0:
        case 1: {
          cluster::Service service{.key = key, .headless = pick(2) == 0};
          if (!service.headless) service.cluster_ips.push_back(Ip::v4(0x0a600001 + pick(4)));
          for (unsigned i = pick(3); i > 0; --i)
            service.ports.push_back({i == 1 ? "a" : "b", kTcp, static_cast<uint16_t>(80 + pick(2))});
          model.put(std::move(service));
          break;
        }
        case 2:
        case 3:
        case 4: {
          cluster::EndpointSlice slice{.key = slice_key, .service = key.name};
          if (pick(2)) slice.ports.push_back({pick(2) ? "a" : "b", kTcp, 8080});
          for (unsigned i = pick(5); i > 0; --i)
            slice.endpoints.push_back({.ip = Ip::v4(0x0a010001 + pick(6)),
                                       .ready = pick(3) > 0,
                                       .hostname = pick(3) ? Name() : Name("h" + std::to_string(pick(3)))});
          model.put(std::move(slice));
          break;
        }
        case 5: model.remove(key); break;
        case 6: model.remove(slice_key); break;
        default:
          if (pick(2))
            model.put(cluster::Namespace{.name = std::string(key.ns)});
          else
            model.remove_namespace(std::string(key.ns));
          cluster::Pod pod{.key = {std::string(key.ns), "p" + std::to_string(pick(3))}, .finished = pick(3) == 0};
          if (pick(3)) pod.addresses.push_back(Ip::v4(0x0a010001 + pick(6)));
          model.put(std::move(pod));
      }
      if (pick(3)) follow(world, model);
    }
    follow(world, model);
    CAPTURE(seed);
    World fresh;
    for (const Key& key : all_keys(model, true))
      if (const auto facts = compile_one(key, model)) fresh.put(*facts);
    REQUIRE(world.tables.objects() == fresh.tables.objects());
    REQUIRE(world.tables.addresses() == fresh.tables.addresses());
    REQUIRE(world.tables.octets() == fresh.tables.octets());
    fresh.tables.all([&](const Tables::Found& found) {
      const auto other = world.tables.find(found.entry.kind(), found.entry.key());
      REQUIRE(other);
      REQUIRE(other->entry.decode() == found.entry.decode());
    });
    // Every address of every kind has the same names, in one order or the other.
    for (unsigned i = 0; i < 8; ++i)
      for (const char* net : {"96", "1"}) {
        const std::string name = fmt::format("{}.0.{}.10.in-addr.arpa", i, net);
        REQUIRE(world.data(name, Type::PTR).size() == fresh.data(name, Type::PTR).size());
      }
  }
}

TEST_CASE("a block reads back as what it was made of") {
  Facts facts{.key = {Kind::Service, "ns", "web"},
              .ips = {ip("10.96.0.1"), ip("fd00::1")},
              .external = "",
              .ports = {{"http", kTcp, 80}, {"", kUdp, 53}},
              .ends = {{.ip = ip("10.1.0.1"), .hostname = "a", .pod = "web-1", .ports = {{"http", kTcp, 8080}}},
                       {.ip = ip("10.1.0.2"), .ports = {}},
                       {.ip = ip("fd00::2"), .pod = "web-2", .ports = {{"http", kTcp, 8080}}}},
              .labels = {{"app", "web"}, {"tier", ""}}};
  std::string block = encode(facts);
  const std::span<const uint8_t> octets(reinterpret_cast<const uint8_t*>(block.data()), block.size());
  REQUIRE(Entry::parse(octets));
  CHECK(Entry::parse(octets)->decode() == facts);
  // Cut anywhere it is refused; changed anywhere it is refused, or still within its bounds.
  for (size_t size = 0; size < block.size(); ++size) REQUIRE(!Entry::parse(octets.first(size)));
  for (size_t at = 0; at < block.size(); ++at)
    for (const int change : {1, 0x80, 0xff}) {
      std::vector<uint8_t> copy(octets.begin(), octets.end());
      copy[at] = static_cast<uint8_t>(copy[at] ^ change);
      if (const auto entry = Entry::parse(copy)) (void)entry->decode();
    }
  CHECK(encode({.key = {Kind::Service, "ns", std::string(64, 'x')}}).empty());
  CHECK(encode({.key = {Kind::Service, "", "x"}}).empty());
}

TEST_CASE("the model of an object without names compiles to nothing") {
  Model model;
  CHECK(!compile_one({Kind::Service, "a", "b"}, model));
  CHECK(!compile_one({Kind::Namespace, "", "a"}, model));
  model.put(cluster::Pod{.key = {"a", "b"}, .finished = true, .addresses = {ip("10.1.0.1")}});
  CHECK(!compile_one({Kind::Pod, "a", "b"}, model));
  model.put(cluster::Pod{.key = {"a", "b"}, .addresses = {ip("10.1.0.1")}});
  CHECK(facts_of(model, {Kind::Pod, "a", "b"}).ips == std::vector{ip("10.1.0.1")});
}
