#include "kube/client/cache.h"

#include <doctest/doctest.h>

#include "async/virtual_loop.h"
#include "kube/client/scripted_api.h"

using namespace causeway;
using namespace causeway::kube;

namespace {

std::string pod(std::string_view name, int version, std::string_view uid = "") {
  return fmt::format(
      R"({{"kind":"Pod","apiVersion":"v1","metadata":{{"name":"{}","namespace":"shop","uid":"{}","resourceVersion":"{}"}}}})",
      name, uid.empty() ? name : uid, version);
}
std::string event(std::string_view type, const std::string& object) {
  return fmt::format(R"({{"type":"{}","object":{}}})", type, object);
}
std::string bookmark(int version, bool end = false) {
  return event("BOOKMARK", fmt::format(R"({{"kind":"Pod","apiVersion":"v1","metadata":{{"resourceVersion":"{}"{}}}}})",
                                       version, end ? R"(,"annotations":{"k8s.io/initial-events-end":"true"})" : ""));
}
std::string list(int version, std::string_view items, std::string_view next = "") {
  return fmt::format(
      R"({{"kind":"PodList","apiVersion":"v1","metadata":{{"resourceVersion":"{}","continue":"{}"}},"items":[{}]}})",
      version, next, items);
}
std::string status(int code, std::string_view reason) {
  return fmt::format(
      R"({{"kind":"Status","apiVersion":"v1","metadata":{{}},"status":"Failure","message":"says {}","reason":"{}","code":{}}})",
      reason, reason, code);
}

struct World {
  explicit World(bool streaming = true) {
    pods.on_change([this](const Pod* old, const Pod* now) {
      if (!changes.empty()) changes += ' ';
      changes += fmt::format("{}{}:{}",
                             !old   ? "+"
                             : !now ? "-"
                                    : "",
                             (now ? now : old)->metadata.name, (now ? now : old)->metadata.resource_version);
    });
    pods.on_sync([this] { changes += " synced"; });
    (void)streaming;
  }
  void start() {
    pods.start();
    loop.run_ready();
  }
  ScriptedApi::Pending next() {
    loop.run_ready();
    REQUIRE(server.waits());
    return server.next();
  }
  std::string take_changes() {
    loop.run_ready();
    return std::exchange(changes, {});
  }
  std::string held() const {
    std::string text;
    pods.for_each([&](const Pod& pod) {
      text += (text.empty() ? "" : " ") + pod.metadata.name + ":" + pod.metadata.resource_version;
    });
    return text;
  }

  VirtualLoop loop;
  ScriptedApi server{loop};
  Client api{loop, server};
  std::string changes;
  Cache<Pod> pods{api, {.ns = "shop", .seed = 1}};
};

// What a target says, without the random timeout.
std::string stable(std::string text) {
  if (const auto at = text.find("&timeoutSeconds="); at != std::string::npos)
    text.erase(at, text.find('&', at + 1) - at);
  return text;
}

const std::string kStreamingList =
    "GET "
    "/api/v1/namespaces/shop/"
    "pods?watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";

}  // namespace

TEST_CASE("a streaming list becomes the watch") {
  World world;
  world.start();
  auto stream = world.next();
  CHECK(stable(stream.text()) == kStreamingList);
  stream.line(event("ADDED", pod("web", 7)));
  stream.line(event("ADDED", pod("db", 3)));
  CHECK(world.take_changes() == "+web:7 +db:3");
  CHECK(!world.pods.synced());
  stream.line(bookmark(9, true));
  CHECK(world.take_changes() == " synced");
  CHECK(world.pods.synced());
  CHECK(world.pods.health().resource_version == "9");
  stream.line(event("MODIFIED", pod("web", 10)));
  stream.line(event("DELETED", pod("db", 11)));
  stream.line(event("ADDED", pod("cache", 12)));
  CHECK(world.take_changes() == "web:10 -db:3 +cache:12");
  CHECK(world.held() == "cache:12 web:10");
  CHECK(world.pods.find({"shop", "web"})->metadata.resource_version == "10");
  CHECK(world.pods.find({"shop", "db"}) == nullptr);
}

TEST_CASE("a server without streaming lists is asked for pages, then watched") {
  World world;
  world.start();
  world.next().answer(422, status(422, "Invalid"));
  auto first = world.next();
  CHECK(first.text() == "GET /api/v1/namespaces/shop/pods?limit=500");
  first.answer(200, list(20, pod("a", 1) + "," + pod("b", 2), "more=="));
  auto second = world.next();
  CHECK(second.text() == "GET /api/v1/namespaces/shop/pods?limit=500&continue=more%3D%3D");
  CHECK(world.take_changes() == "+a:1 +b:2");
  second.answer(200, list(20, pod("c", 3)));
  auto watch = world.next();
  CHECK(world.take_changes() == "+c:3 synced");
  CHECK(stable(watch.text()) ==
        "GET /api/v1/namespaces/shop/pods?watch=true&allowWatchBookmarks=true&resourceVersion=20");
  watch.line(event("MODIFIED", pod("b", 21)));
  CHECK(world.take_changes() == "b:21");
}

TEST_CASE("a list is taken apart while it arrives") {
  World world;
  world.start();
  world.next().answer(400, status(400, "BadRequest"));
  auto page = world.next();
  const auto text = list(5, pod("a", 1) + "," + pod("b", 2));
  const auto cut = text.find("\"b\"");
  page.data(text.substr(0, cut));
  CHECK(world.take_changes() == "+a:1");
  page.data(text.substr(cut));
  page.end();
  CHECK(world.take_changes() == "+b:2 synced");
}

TEST_CASE("a continue token that became too old starts one unpaged list") {
  World world;
  world.start();
  world.next().answer(422, status(422, "Invalid"));
  world.next().answer(200, list(20, pod("a", 1), "t"));
  world.next().answer(410, status(410, "Expired"));
  auto whole = world.next();
  CHECK(whole.text() == "GET /api/v1/namespaces/shop/pods");
  whole.answer(200, list(30, pod("b", 25)));
  CHECK(world.take_changes() == "+a:1 +b:25 -a:1 synced");
}

TEST_CASE("a watch that ends goes on from the last version, bookmarks included") {
  World world;
  world.start();
  auto stream = world.next();
  stream.line(bookmark(9, true));
  world.loop.advance(20s);
  stream.line(bookmark(40));
  stream.end();
  auto watch = world.next();
  CHECK(stable(watch.text()).ends_with("&resourceVersion=40"));
  world.loop.advance(20s);
  watch.break_off();
  world.loop.run_ready();
  CHECK(!world.server.waits());  // waits first
  CHECK(world.pods.health().error == "watch pods: connection reset");
  world.loop.advance(800ms);
  CHECK(stable(world.next().text()).ends_with("&resourceVersion=40"));
}

TEST_CASE("410 lists again at once and tells only what differs") {
  for (const bool by_event : {true, false}) {
    World world;
    world.start();
    auto stream = world.next();
    for (const auto& object : {pod("same", 1), pod("gone", 2), pod("newer", 3), pod("reborn", 4, "old")})
      stream.line(event("ADDED", object));
    stream.line(bookmark(9, true));
    world.take_changes();
    world.loop.advance(20s);
    if (by_event) {
      stream.line(event("ERROR", status(410, "Expired")));
    } else {
      stream.end();
      world.next().answer(410, status(410, "Expired"));
    }
    auto again = world.next();
    CHECK(stable(again.text()) == kStreamingList);
    for (const auto& object : {pod("same", 1), pod("newer", 30), pod("reborn", 31, "new"), pod("fresh", 32)})
      again.line(event("ADDED", object));
    CHECK(world.take_changes() == "newer:30 -reborn:4 +reborn:31 +fresh:32");
    again.line(bookmark(40, true));
    CHECK(world.take_changes() == "-gone:2");
    CHECK(world.held() == "fresh:32 newer:30 reborn:31 same:1");
    CHECK(world.pods.synced());
  }
}

TEST_CASE("a list that breaks off is begun again and forgets nothing") {
  World world;
  world.start();
  auto stream = world.next();
  stream.line(event("ADDED", pod("a", 1)));
  stream.break_off();
  CHECK(world.take_changes() == "+a:1");
  world.loop.advance(1s);
  stream = world.next();
  stream.line(event("ADDED", pod("b", 2)));
  stream.line(bookmark(3, true));
  CHECK(world.take_changes() == "+b:2 -a:1 synced");
}

TEST_CASE("a server that stays away is asked ever more rarely, up to each half minute") {
  World world;
  world.start();
  std::vector<int> seconds;
  for (int i = 0; i < 12; ++i) {
    world.next().break_off();
    world.loop.run_ready();
    int waited = 0;
    for (; !world.server.waits(); ++waited) world.loop.advance(100ms);
    seconds.push_back(waited);
  }
  // Tenths of seconds; each between half of its step and the whole.
  int step = 8;
  for (const int waited : seconds) {
    CHECK(waited >= step / 2);
    CHECK(waited <= step + 1);
    step = std::min(step * 2, 300);
  }
}

TEST_CASE("a watch that was healthy starts the backoff anew") {
  World world;
  world.start();
  for (int i = 0; i < 6; ++i) {
    world.next().break_off();
    world.loop.advance(30s);
  }
  auto stream = world.next();
  stream.line(bookmark(9, true));
  stream.line(event("ADDED", pod("a", 10)));
  world.loop.run_ready();
  stream.break_off();
  world.loop.run_ready();
  world.loop.advance(800ms);
  CHECK(world.server.waits());
}

TEST_CASE("a server that says 410 to everything is not asked in a loop") {
  World world;
  world.start();
  for (int i = 0; i < 2; ++i) world.next().answer(410, status(410, "Expired"));
  world.loop.run_ready();
  int requests = 0;
  for (int i = 0; i < 100; ++i) {
    world.loop.advance(100ms);
    while (world.server.waits()) {
      ++requests;
      world.server.next().answer(410, status(410, "Expired"));
      world.loop.run_ready();
    }
  }
  CHECK(requests < 12);
}

TEST_CASE("a watch that ends at once is a failure, so it is not asked in a loop") {
  World world;
  world.start();
  auto stream = world.next();
  stream.line(bookmark(9, true));
  stream.end();
  world.next().end();
  world.loop.run_ready();
  CHECK(!world.server.waits());
  CHECK(world.pods.health().error == "watch pods: the watch ended at once");
}

TEST_CASE("a silent connection is given up, and how old the copy is can be asked") {
  World world;
  world.start();
  auto stream = world.next();
  stream.line(bookmark(9, true));
  world.loop.run_ready();
  world.loop.advance(80s);
  CHECK(world.pods.staleness() == 80s);
  CHECK(!world.server.waits());
  world.loop.advance(11s);
  CHECK(world.server.waits());
}

TEST_CASE("a server that takes a streaming list for a plain watch is asked for pages after a while") {
  World world;
  world.start();
  world.next().line(event("ADDED", pod("a", 1)));
  world.loop.run_ready();
  world.loop.advance(91s);
  CHECK(world.next().text() == "GET /api/v1/namespaces/shop/pods?limit=500");
}

TEST_CASE("an object that cannot be read is named, not skipped in silence") {
  World world;
  world.start();
  auto stream = world.next();
  stream.line(bookmark(9, true));
  stream.line(event("ADDED", R"({"kind":"Pod","apiVersion":"v1","metadata":{"name":7}})"));
  world.loop.run_ready();
  CHECK(world.pods.health().error.find("metadata.name") != std::string::npos);
}

TEST_CASE("transform drops what nobody reads before it is stored") {
  World world;
  world.pods.transform([](Pod& pod) { pod.metadata.uid.clear(); });
  world.start();
  world.next().line(event("ADDED", pod("a", 1)));
  world.loop.run_ready();
  CHECK(world.pods.find({"shop", "a"})->metadata.uid == "");
}

static Task<Status> note_sync(Cache<Pod>& pods, int& synced) {
  CO_TRY(co_await pods.wait_synced());
  ++synced;
  co_return ok();
}

TEST_CASE("everybody who waits for the first list wakes") {
  World world;
  int synced = 0;
  Scope scope(world.loop);
  scope.spawn("one", note_sync(world.pods, synced));
  scope.spawn("two", note_sync(world.pods, synced));
  world.start();
  world.next().line(bookmark(9, true));
  world.loop.run_ready();
  CHECK(synced == 2);
  scope.spawn("late", note_sync(world.pods, synced));
  CHECK(synced == 3);
}

TEST_CASE("selectors stand in every request") {
  VirtualLoop loop;
  ScriptedApi server(loop);
  Client api(loop, server);
  Cache<EndpointSlice> slices(
      api, {.label_selector = "!service.kubernetes.io/headless", .field_selector = "metadata.name!=x"});
  slices.start();
  loop.run_ready();
  CHECK(server.log.at(0).starts_with(
      "GET /apis/discovery.k8s.io/v1/endpointslices?watch=true&allowWatchBookmarks=true"
      "&labelSelector=%21service.kubernetes.io%2Fheadless&fieldSelector=metadata.name%21%3Dx"));
  server.next().answer(422, status(422, "Invalid"));
  loop.run_ready();
  CHECK(server.log.at(1) ==
        "GET /apis/discovery.k8s.io/v1/endpointslices?labelSelector=%21service.kubernetes.io%2Fheadless"
        "&fieldSelector=metadata.name%21%3Dx&limit=500");
}
