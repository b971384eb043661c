#include "service/reporter.h"

#include <doctest/doctest.h>

#include "async/virtual_loop.h"
#include "kube/client/scripted_api.h"

using namespace causeway;
using namespace causeway::service;

namespace {

constexpr std::string_view kService =
    R"({"kind":"Service","apiVersion":"v1","metadata":{"name":"web","namespace":"shop","uid":"u1"}})";

struct World {
  VirtualLoop loop;
  kube::ScriptedApi server{loop};
  kube::Client api{loop, server};
  kube::EventRecorder events{api, "causeway-agent", "n1"};
  cluster::Model model;
  Desired desired{{}};
  Reporter reporter{api, events, model, desired};
  Scope scope{loop};

  World() {
    model.set_facts({.name = "n1"});
    scope.spawn("report", reporter.run());
  }
  void refuse(std::string reason) {
    Tables tables;
    if (!reason.empty()) tables.refused["service shop/web"] = reason;
    desired.replace(cluster::ServiceKey{"shop", "web"}, tables);
  }
};

}  // namespace

TEST_CASE("what of a Service is not served becomes one Event on it, told again after an hour") {
  World w;
  w.loop.run_ready();
  CHECK_FALSE(w.server.waits());
  w.refuse("node port 9 is outside of 30000-32767");
  w.loop.advance(5s);
  REQUIRE(w.server.waits());
  auto get = w.server.next();
  CHECK(get.text().starts_with("GET /api/v1/namespaces/shop/services/web"));
  get.answer(200, std::string(kService));
  w.loop.run_ready();
  auto post = w.server.next();
  const auto event = kube::decode<kube::Event>(post.request().body).value();
  CHECK(event.reason == "NotFullyServed");
  CHECK(event.message == "node port 9 is outside of 30000-32767");
  CHECK(event.involved_object.uid == "u1");
  // Another node was first.
  post.answer(409, R"({"kind":"Status","status":"Failure","message":"exists","reason":"AlreadyExists","code":409})");
  w.loop.advance(59min);
  CHECK_FALSE(w.server.waits());
  w.loop.advance(61s);
  REQUIRE(w.server.waits());
  CHECK(w.server.next().text().starts_with("GET /api/v1/namespaces/shop/services/web"));
}

TEST_CASE("of many nodes a few report an object, the first at once") {
  std::map<std::string, cluster::Node> nodes;
  for (int i = 0; i < 1000; ++i) {
    const std::string name = "n" + std::to_string(i);
    nodes[name] = {.name = name};
  }
  size_t reporters = 0, first = 0;
  for (const auto& [name, node] : nodes) {
    const size_t before = cluster::reporters_before(name, nodes, "service shop/web");
    reporters += before < cluster::Told::kReporters;
    first += before == 0;
  }
  CHECK(reporters == cluster::Told::kReporters);
  CHECK(first == 1);
}

TEST_CASE("a refusal that ends before it was told is not told") {
  World w;
  for (int i = 0; i < 50; ++i) w.model.put(cluster::Node{.name = "n" + std::to_string(i)});
  const size_t before = cluster::reporters_before("n1", w.model.nodes(), "service shop/web");
  w.refuse("bad");
  w.loop.advance(6s);
  CHECK(w.server.waits() == (before == 0));
  w.refuse("");
  if (w.server.waits())
    w.server.next().answer(404, R"({"kind":"Status","status":"Failure","reason":"NotFound","code":404})");
  w.loop.advance(10min);
  CHECK_FALSE(w.server.waits());
}
