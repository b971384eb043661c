#include "kube/client/client.h"

#include <doctest/doctest.h>

#include "async/scope.h"
#include "async/virtual_loop.h"
#include "kube/client/events.h"
#include "kube/client/leader.h"
#include "kube/client/scripted_api.h"

using namespace causeway;
using namespace causeway::kube;

namespace {

std::string failure(int code, std::string_view reason, std::string_view message) {
  return fmt::format(
      R"({{"kind":"Status","apiVersion":"v1","metadata":{{}},"status":"Failure","message":"{}","reason":"{}","code":{}}})",
      message, reason, code);
}

struct World {
  VirtualLoop loop;
  ScriptedApi server{loop};
  Client api{loop, server};
  Scope scope{loop};
  std::string outcome = "waits";

  template <class T>
  void run(Task<Result<T>> task) {
    outcome = "waits";
    scope.spawn("test", settle(std::move(task), *this));
    loop.run_ready();
  }
  void run(Task<Status> task) {
    outcome = "waits";
    scope.spawn("test", settle(std::move(task), *this));
    loop.run_ready();
  }
  void answer(int status, std::string body, http::Headers headers = {}) {
    REQUIRE(server.waits());
    server.next().answer(status, std::move(body), std::move(headers));
    loop.run_ready();
  }
  template <class R>
  static Task<void> settle(Task<R> task, World& world) {
    auto result = co_await std::move(task);
    if (result)
      world.outcome = "ok";
    else
      world.outcome = fmt::format("{}: {}", result.error().code(), result.error().message());
  }
};

Pod named(std::string_view name) {
  Pod pod;
  pod.metadata.ns = "shop";
  pod.metadata.name = std::string(name);
  return pod;
}

}  // namespace

TEST_CASE("each verb sends what the API expects") {
  World world;
  const auto answer = encode(named("web"));
  world.run(world.api.get<Pod>({"shop", "web"}));
  world.answer(200, answer);
  CHECK(world.outcome == "ok");
  world.run(world.api.get<Node>({"", "node-1"}));
  world.answer(200, R"({"kind":"Node","apiVersion":"v1","metadata":{"name":"node-1"}})");
  world.run(world.api.create<Pod>(named("web")));
  world.answer(201, answer);
  world.run(world.api.update<Pod>(named("web")));
  world.answer(200, answer);
  world.run(world.api.update_status<Pod>(named("web")));
  world.answer(200, answer);
  world.run(world.api.patch<Pod>({"shop", "web"}, PatchType::Merge, "{}", "status"));
  world.answer(200, answer);
  world.run(
      world.api.remove<Pod>({"shop", "web"}, {.uid = "u1", .propagation = "Foreground", .grace_period_seconds = 0}));
  world.answer(200, answer);
  world.run(world.api.list<Lease>({.ns = "a", .label_selector = "x=y", .limit = 5}));
  world.answer(
      200,
      R"({"kind":"LeaseList","apiVersion":"coordination.k8s.io/v1","metadata":{"resourceVersion":"3"},"items":[]})");
  CHECK(world.outcome == "ok");
  const auto body = encode(named("web"));
  const std::vector<std::string> expected{
      "GET /api/v1/namespaces/shop/pods/web",
      "GET /api/v1/nodes/node-1",
      "POST /api/v1/namespaces/shop/pods?fieldManager=causeway " + body,
      "PUT /api/v1/namespaces/shop/pods/web?fieldManager=causeway " + body,
      "PUT /api/v1/namespaces/shop/pods/web/status?fieldManager=causeway " + body,
      "PATCH /api/v1/namespaces/shop/pods/web/status?fieldManager=causeway {}",
      R"(DELETE /api/v1/namespaces/shop/pods/web {"apiVersion":"v1","kind":"DeleteOptions","gracePeriodSeconds":0,)"
      R"("propagationPolicy":"Foreground","preconditions":{"uid":"u1"}})",
      "GET /apis/coordination.k8s.io/v1/namespaces/a/leases?labelSelector=x%3Dy&limit=5",
  };
  CHECK(world.server.log == expected);
}

TEST_CASE("a name that is none never reaches the server") {
  World world;
  world.run(world.api.remove<Pod>({"shop", ""}));
  CHECK(world.outcome == "invalid: delete: Pod name \"\": not a name");
  world.run(world.api.get<Pod>({"shop", "a/b"}));
  CHECK(world.outcome == "invalid: get: Pod name \"a/b\": not a name");
  world.run(world.api.get<Pod>({"", "a"}));
  CHECK(world.outcome == "invalid: get: Pod a: namespace \"\" is not a name");
  CHECK(world.server.log.empty());
}

TEST_CASE("what the API refuses becomes an error with its kind and its words") {
  const auto outcome = [](int http, std::string body) {
    World world;
    world.run(world.api.get<Pod>({"shop", "web"}));
    world.answer(http, std::move(body));
    return world.outcome;
  };
  CHECK(outcome(404, failure(404, "NotFound", "pods \\\"web\\\" not found")) ==
        "not found: get Pod shop/web: pods \"web\" not found");
  CHECK(outcome(409, failure(409, "AlreadyExists", "it is there")) == "already exists: get Pod shop/web: it is there");
  CHECK(outcome(409, failure(409, "Conflict", "changed")) == "conflict: get Pod shop/web: changed");
  CHECK(outcome(410, failure(410, "Expired", "too old")) == "gone: get Pod shop/web: too old");
  CHECK(outcome(403, failure(403, "Forbidden", "no")) == "denied: get Pod shop/web: no");
  CHECK(outcome(401, "Unauthorized\n") == "denied: get Pod shop/web: HTTP status 401: Unauthorized");
  CHECK(outcome(429, failure(429, "TooManyRequests", "later")) == "unavailable: get Pod shop/web: later");
  CHECK(outcome(502, "<html>") == "unavailable: get Pod shop/web: HTTP status 502: <html>");
  CHECK(outcome(415, failure(415, "UnsupportedMediaType", "json only")) == "unsupported: get Pod shop/web: json only");
  CHECK(
      outcome(
          422,
          R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Pod is invalid","reason":"Invalid",)"
          R"("details":{"causes":[{"reason":"FieldValueRequired","message":"Required value","field":"spec.containers"}]},"code":422})") ==
      "invalid: get Pod shop/web: Pod is invalid; spec.containers: Required value");
  CHECK(outcome(200, "[]").starts_with("invalid: "));
}

TEST_CASE("a request that the server turned away is sent again when it says") {
  World world;
  http::Headers later;
  later["retry-after"] = "3";
  world.run(world.api.get<Pod>({"shop", "web"}));
  world.answer(429, failure(429, "TooManyRequests", "later"), later);
  CHECK(world.outcome == "waits");
  world.loop.advance(2s);
  CHECK(!world.server.waits());
  world.loop.advance(1s);
  world.answer(200, encode(named("web")));
  CHECK(world.outcome == "ok");

  world.run(world.api.get<Pod>({"shop", "web"}));
  for (int i = 0; i < 11; ++i) {
    world.answer(503, failure(503, "ServiceUnavailable", "starting"), later);
    world.loop.advance(3s);
  }
  CHECK(world.outcome == "unavailable: get Pod shop/web: starting");
}

TEST_CASE("a watch hands over events and ends with the server's error") {
  World world;
  std::string seen;
  world.run(world.api.watch<Pod>({.ns = "shop", .resource_version = "5"}, [&](WatchEvent<Pod>&& event) {
    seen += fmt::format("{} {};", to_string(event.type), event.object.metadata.name);
    return ok();
  }));
  auto watch = world.server.next();
  watch.line(R"({"type":"ADDED","object":)" + encode(named("web")) + "}");
  watch.line(R"({"type":"ERROR","object":)" + failure(410, "Expired", "too old") + "}");
  world.loop.run_ready();
  CHECK(seen == "ADDED web;");
  CHECK(world.outcome == "gone: watch pods: watch event: too old");
}

TEST_CASE("events are created once and then counted") {
  World world;
  EventRecorder recorder(world.api, "causeway-agent", "node-1");
  auto pod = named("web");
  pod.metadata.uid = "u1";
  recorder.record(pod, EventType::Warning, "Failed", "no address left");
  recorder.record(pod, EventType::Warning, "Failed", "no address left");
  world.loop.run_ready();
  auto created = world.server.next();
  auto event = decode<Event>(created.request().body).value();
  CHECK(event.metadata.ns == "shop");
  CHECK(event.metadata.name.starts_with("web."));
  CHECK(event.involved_object.uid == "u1");
  CHECK(event.source.host == "node-1");
  CHECK(event.count == 1);
  created.answer(201, created.request().body);
  world.loop.run_ready();
  auto counted = world.server.next();
  CHECK(counted.text() == "PATCH /api/v1/namespaces/shop/events/" + event.metadata.name +
                              R"(?fieldManager=causeway {"count":2,"lastTimestamp":"2023-11-14T22:13:20Z"})");
  counted.answer(404, failure(404, "NotFound", "expired"));
  world.loop.run_ready();
  CHECK(world.server.next().text().starts_with("POST /api/v1/namespaces/shop/events"));
}

TEST_CASE("a flood of events about one object is dropped, and a cluster's events go to default") {
  World world;
  EventRecorder recorder(world.api, "c", "h");
  Node node;
  node.metadata.name = "node-1";
  for (int i = 0; i < 100; ++i) recorder.record(node, EventType::Normal, "R", std::to_string(i));
  CHECK(recorder.dropped() == 75);
  world.loop.run_ready();
  CHECK(world.server.log.at(0).starts_with("POST /api/v1/namespaces/default/events?"));
}

namespace {

// Keeps one Lease, as the API does.
Task<Status> serve_lease(ScriptedApi& server, Loop& loop, Lease& lease, bool& away) {
  for (;;) {
    CO_TRY(co_await loop.sleep(10ms));
    while (server.waits()) {
      auto request = server.next();
      if (away) {
        request.break_off();
      } else if (request.request().method == "GET") {
        if (lease.metadata.name.empty())
          request.answer(404, failure(404, "NotFound", "none"));
        else
          request.answer(200, encode(lease));
      } else {
        lease = decode<Lease>(request.request().body).value();
        request.answer(200, encode(lease));
      }
    }
  }
}
Task<Status> rule(Loop& loop, std::string name, std::string& history) {
  history += name + " leads; ";
  auto slept = co_await loop.sleep(1000h);
  history += name + " stops; ";
  co_return slept;
}
Task<Status> candidate(Client& api, std::string name, std::string& history) {
  LeaderOptions options;
  options.identity = name;
  auto status = co_await lead(api, options, [&api, &history, name] { return rule(api.loop(), name, history); });
  history += fmt::format("{}: {}; ", name, status.error().message());
  co_return ok();
}

}  // namespace

TEST_CASE("one leads; when it cannot renew it stops before another begins") {
  VirtualLoop loop;
  ScriptedApi first_server(loop), second_server(loop);
  Client first(loop, first_server), second(loop, second_server);
  Lease lease;
  bool first_away = false, second_away = false;
  std::string history;
  Scope scope(loop);
  scope.spawn("serve", serve_lease(first_server, loop, lease, first_away));
  scope.spawn("serve", serve_lease(second_server, loop, lease, second_away));
  scope.spawn("a", candidate(first, "a", history));
  loop.advance(1s);
  scope.spawn("b", candidate(second, "b", history));
  loop.advance(10min);
  CHECK(history == "a leads; ");
  CHECK(lease.spec.holder_identity == "a");
  first_away = true;
  loop.advance(12s);
  CHECK(history == "a leads; a stops; a: a lost the Lease kube-system/causeway-controller; ");
  loop.advance(8s);
  CHECK(history == "a leads; a stops; a: a lost the Lease kube-system/causeway-controller; b leads; ");
  CHECK(lease.spec.lease_transitions == 1);
}

TEST_CASE("who stops gives its Lease back, and the next one leads at its next try; nobody gives back another's") {
  VirtualLoop loop;
  ScriptedApi first_server(loop), second_server(loop);
  Client first(loop, first_server), second(loop, second_server);
  Lease lease;
  bool away = false;
  std::string history;
  Scope servers(loop), a(loop), b(loop);
  servers.spawn("serve", serve_lease(first_server, loop, lease, away));
  servers.spawn("serve", serve_lease(second_server, loop, lease, away));
  a.spawn("a", candidate(first, "a", history));
  loop.advance(1s);
  b.spawn("b", candidate(second, "b", history));
  loop.advance(10s);
  a.cancel();
  a.spawn("release", release(first, {.identity = "b"}));
  loop.advance(100ms);
  CHECK(lease.spec.holder_identity == "a");
  Scope last(loop);
  last.spawn("release", release(first, {.identity = "a"}));
  loop.advance(2500ms);
  CHECK(history == "a leads; a stops; a: cancelled; b leads; ");
  CHECK(lease.spec.holder_identity == "b");
}
