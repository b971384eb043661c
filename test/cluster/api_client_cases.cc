// What our client and an API server agree on. Compiled twice: with embedded_api.cc and with kubernetes_api.cc.
#include <doctest/doctest.h>

#include "api_under_test.h"
#include "base/log.h"
#include "kube/client/cache.h"
#include "kube/client/events.h"
#include "kube/client/leader.h"

using namespace causeway;
using namespace causeway::kube;

namespace {

test::ApiUnderTest& api_under_test() {
  // The log exists before the server, so it is destroyed after it: a server that ends may still have something to say.
  static const auto api = [] {
    log::set_name("api-client-test");
    return test::start_api();
  }();
  return *api;
}

// A connection that a test can cut: what runs breaks off, what comes is refused.
class Cuttable : public http::Transport {
 public:
  Cuttable(Loop& loop, http::Transport& inner) : loop_(loop), inner_(inner) {}

  Task<Result<http::Response>> send(http::Request request) override {
    if (cut_) co_return fail(Errc::Unavailable, "cut");
    co_return co_await inner_.send(std::move(request));
  }
  Task<Result<http::Response>> stream(http::Request request, std::move_only_function<Status(std::string_view)> on_data,
                                      Duration idle) override {
    if (cut_) co_return fail(Errc::Unavailable, "cut");
    OneShot<Result<http::Response>> done(loop_);
    running_.push_back(done);
    Scope scope(loop_);
    scope.spawn("stream", run(inner_.stream(std::move(request), std::move(on_data), idle), done));
    co_return CO_TRY(co_await done.get());
  }
  void cut() {
    cut_ = true;
    for (auto& stream : std::exchange(running_, {})) stream.set(fail(Errc::Unavailable, "cut"));
  }
  void heal() { cut_ = false; }

 private:
  static Task<void> run(Task<Result<http::Response>> stream, OneShot<Result<http::Response>> done) {
    done.set(co_await std::move(stream));
  }
  Loop& loop_;
  http::Transport& inner_;
  bool cut_ = false;
  std::vector<OneShot<Result<http::Response>>> running_;
};

// A client, and a namespace of its own for each case.
struct World {
  World() {
    Namespace space;
    space.metadata.generate_name = "case-";
    ns = run(api.create<Namespace>(std::move(space))).metadata.name;
  }
  ~World() { run_until_done(*loop, api.remove<Namespace>({"", ns})); }

  template <class T>
  T run(Task<Result<T>> task) {
    auto result = run_until_done(*loop, std::move(task));
    if (!result) FAIL(result.error().message());
    return std::move(*result);
  }
  template <class T>
  Errc code(Task<Result<T>> task) {
    auto result = run_until_done(*loop, std::move(task));
    REQUIRE(!result);
    last_error = result.error().message();
    return result.error().code();
  }
  template <class Condition>
  bool becomes(Condition condition) {
    for (int i = 0; i < 3000 && !condition(); ++i) {
      auto timer = loop->call_after(10ms, [this] { loop->stop(); });
      loop->run();
    }
    return condition();
  }

  ConfigMap config_map(std::string name, std::string value = "1", StringMap labels = {}) {
    ConfigMap map;
    map.metadata.ns = ns;
    map.metadata.name = std::move(name);
    map.metadata.labels = std::move(labels);
    map.data["value"] = std::move(value);
    return map;
  }
  ConfigMap put(std::string name, std::string value = "1", StringMap labels = {}) {
    return run(api.create<ConfigMap>(config_map(std::move(name), std::move(value), std::move(labels))));
  }
  // kube-apiserver's admission adds kube-root-ca.crt only with a controller manager; ours never.
  std::string names(const List<ConfigMap>& list) {
    std::string text;
    for (const auto& item : list.items) text += (text.empty() ? "" : " ") + item.metadata.name;
    return text;
  }

  std::unique_ptr<Loop> loop = make_loop();
  http::Client connection{*loop, client_options(api_under_test().config(), *loop)};
  Client api{*loop, connection};
  std::string ns;
  std::string last_error;
};

Pod pod(const std::string& ns, std::string name, std::string node = {}) {
  Pod pod;
  pod.metadata.ns = ns;
  pod.metadata.name = std::move(name);
  pod.spec.node_name = std::move(node);
  Container container;
  container.name = "main";
  container.image = "app";
  pod.spec.containers.push_back(std::move(container));
  return pod;
}

// Watches until `enough`.
Task<Status> collect(Client& api, WatchOptions options, std::string& seen, size_t enough) {
  size_t count = 0;
  auto status = co_await api.watch<ConfigMap>(std::move(options), [&](WatchEvent<ConfigMap>&& event) -> Status {
    seen += fmt::format("{} {}{}; ", to_string(event.type), event.object.metadata.name,
                        event.initial_events_end ? "end" : "");
    if (++count == enough) return fail(Errc::Cancelled, "enough");
    return ok();
  });
  if (!status && status.error().code() == Errc::Cancelled) co_return ok();
  co_return status;
}

}  // namespace

TEST_CASE("objects are created, read, changed and deleted") {
  World world;
  const auto created = world.put("a");
  CHECK(!created.metadata.uid.empty());
  CHECK(!created.metadata.resource_version.empty());
  CHECK(world.run(world.api.get<ConfigMap>({world.ns, "a"})) == created);
  auto changed = created;
  changed.data["value"] = "2";
  const auto updated = world.run(world.api.update<ConfigMap>(changed));
  CHECK(updated.data.at("value") == "2");
  CHECK(updated.metadata.resource_version != created.metadata.resource_version);
  CHECK(
      world.run(world.api.patch<ConfigMap>({world.ns, "a"}, PatchType::Merge, R"({"data":{"value":null,"other":"3"}})"))
          .data == StringMap{{"other", "3"}});
  CHECK(world
            .run(world.api.patch<ConfigMap>({world.ns, "a"}, PatchType::Json,
                                            R"([{"op":"replace","path":"/data/other","value":"4"}])"))
            .data == StringMap{{"other", "4"}});
  CHECK(world.run(world.api.patch<ConfigMap>({world.ns, "a"}, PatchType::StrategicMerge, R"({"data":{"value":"5"}})"))
            .data == StringMap{{"other", "4"}, {"value", "5"}});
  CHECK(run_until_done(*world.loop, world.api.remove<ConfigMap>({world.ns, "a"})).has_value());
  CHECK(world.code(world.api.get<ConfigMap>({world.ns, "a"})) == Errc::NotFound);
}

TEST_CASE("what is refused says why, by kind of error") {
  World world;
  const auto created = world.put("a");
  CHECK(world.code(world.api.create<ConfigMap>(world.config_map("a"))) == Errc::AlreadyExists);
  auto stale = created;
  stale.data["value"] = "2";
  world.run(world.api.update<ConfigMap>(stale));
  stale.data["value"] = "3";
  CHECK(world.code(world.api.update<ConfigMap>(stale)) == Errc::Conflict);
  CHECK(world.code(world.api.create<ConfigMap>(world.config_map("Bad_Name"))) == Errc::Invalid);
  CHECK(world.last_error.find("metadata.name") != std::string::npos);
  auto faceless = pod(world.ns, "p");
  faceless.spec.containers.clear();
  CHECK(world.code(world.api.create<Pod>(faceless)) == Errc::Invalid);
  CHECK(world.last_error.find("spec.containers") != std::string::npos);
  CHECK(world.code(world.api.patch<ConfigMap>({world.ns, "a"}, PatchType::Merge, "{")) == Errc::Invalid);
  auto removed = run_until_done(
      *world.loop, world.api.remove<ConfigMap>({world.ns, "a"}, {.uid = "00000000-0000-0000-0000-000000000000"}));
  REQUIRE(!removed);
  CHECK(removed.error().code() == Errc::Conflict);
  ConfigMap lost = world.config_map("x");
  lost.metadata.ns = world.ns + "-none";
  CHECK(world.code(world.api.create<ConfigMap>(lost)) == Errc::NotFound);

  auto options = client_options(api_under_test().config(), *world.loop);
  options.bearer = [](bool) -> Result<std::string> { return std::string("wrong"); };
  http::Client stranger(*world.loop, options);
  Client denied(*world.loop, stranger);
  CHECK(world.code(denied.get<ConfigMap>({world.ns, "a"})) == Errc::Denied);
}

TEST_CASE("status is changed apart from the rest") {
  World world;
  world.run(world.api.create<Pod>(pod(world.ns, "p")));
  const auto patched = world.run(
      world.api.patch<Pod>({world.ns, "p"}, PatchType::StrategicMerge,
                           R"({"status":{"phase":"Running"},"metadata":{"labels":{"no":"change"}}})", "status"));
  CHECK(patched.status.phase == "Running");
  auto whole = world.run(world.api.get<Pod>({world.ns, "p"}));
  CHECK(whole.status.phase == "Running");
  whole.status.phase = "Failed";
  whole.spec.containers[0].image = "other";
  CHECK(world.run(world.api.update_status<Pod>(whole)).spec.containers[0].image == "app");
  run_until_done(*world.loop, world.api.remove<Pod>({world.ns, "p"}, {.grace_period_seconds = 0}));
}

TEST_CASE("a list comes in pages of one snapshot") {
  World world;
  for (int i = 0; i < 25; ++i) world.put(fmt::format("map-{:02}", i));
  ListOptions options{.ns = world.ns, .limit = 10};
  auto first = world.run(world.api.list<ConfigMap>(options));
  CHECK(first.items.size() == 10);
  CHECK(first.items[0].metadata.name == "map-00");
  CHECK(first.metadata.remaining_item_count == 15);
  world.put("map-15-late");
  options.continue_token = first.metadata.continue_token;
  auto second = world.run(world.api.list<ConfigMap>(options));
  CHECK(second.metadata.resource_version == first.metadata.resource_version);
  options.continue_token = second.metadata.continue_token;
  auto third = world.run(world.api.list<ConfigMap>(options));
  CHECK(third.items.size() == 5);
  CHECK(third.items[0].metadata.name == "map-20");
  CHECK(third.metadata.continue_token.empty());
}

TEST_CASE("selectors choose") {
  World world;
  world.put("a", "1", {{"app", "web"}, {"tier", "front"}});
  world.put("b", "1", {{"app", "web"}});
  world.put("c", "1", {{"app", "db"}});
  auto chosen = [&](std::string labels, std::string fields) {
    return world.names(world.run(world.api.list<ConfigMap>(
        {.ns = world.ns, .label_selector = std::move(labels), .field_selector = std::move(fields)})));
  };
  CHECK(chosen("app=web", "") == "a b");
  CHECK(chosen("app in (web,db),!tier", "") == "b c");
  CHECK(chosen("app!=web", "") == "c");
  CHECK(chosen("tier", "") == "a");
  CHECK(chosen("", "metadata.name=b") == "b");
  CHECK(chosen("app=web", "metadata.name!=a") == "b");
  CHECK(world.code(world.api.list<ConfigMap>({.ns = world.ns, .label_selector = "a in"})) == Errc::Invalid);
  world.run(world.api.create<Pod>(pod(world.ns, "here", "node-1")));
  world.run(world.api.create<Pod>(pod(world.ns, "there", "node-2")));
  const auto pods = world.run(world.api.list<Pod>({.ns = world.ns, .field_selector = "spec.nodeName=node-1"}));
  REQUIRE(pods.items.size() == 1);
  CHECK(pods.items[0].metadata.name == "here");
  for (const char* name : {"here", "there"})
    run_until_done(*world.loop, world.api.remove<Pod>({world.ns, name}, {.grace_period_seconds = 0}));
}

TEST_CASE("a watch tells every change after its version, in order") {
  World world;
  const auto list = world.run(world.api.list<ConfigMap>({.ns = world.ns}));
  auto a = world.put("a");
  world.put("b");
  a.data["value"] = "2";
  world.run(world.api.update<ConfigMap>(a));
  run_until_done(*world.loop, world.api.remove<ConfigMap>({world.ns, "b"}));
  std::string seen;
  auto status = run_until_done(
      *world.loop, collect(world.api, {.ns = world.ns, .resource_version = list.metadata.resource_version}, seen, 4));
  CHECK(status.has_value());
  CHECK(seen == "ADDED a; ADDED b; MODIFIED a; DELETED b; ");
}

TEST_CASE("an object that leaves a watch's selector is deleted there") {
  World world;
  const auto list = world.run(world.api.list<ConfigMap>({.ns = world.ns}));
  world.put("a", "1", {{"app", "web"}});
  world.put("b", "1", {{"app", "db"}});
  world.run(world.api.patch<ConfigMap>({world.ns, "a"}, PatchType::Merge, R"({"metadata":{"labels":{"app":"db"}}})"));
  world.run(world.api.patch<ConfigMap>({world.ns, "b"}, PatchType::Merge, R"({"metadata":{"labels":{"app":"web"}}})"));
  std::string seen;
  auto status = run_until_done(
      *world.loop,
      collect(world.api,
              {.ns = world.ns, .label_selector = "app=web", .resource_version = list.metadata.resource_version}, seen,
              3));
  CHECK(status.has_value());
  CHECK(seen == "ADDED a; DELETED a; ADDED b; ");
}

TEST_CASE("before its time is over a watch gets a bookmark, which spares the next one what did not concern it") {
  World world;
  const auto list = world.run(world.api.list<ConfigMap>({.ns = world.ns}));
  world.put("mine", "1", {{"app", "mine"}});
  std::string seen;
  Scope scope(*world.loop);
  scope.spawn("watch", collect(world.api,
                               {.ns = world.ns,
                                .label_selector = "app=mine",
                                .resource_version = list.metadata.resource_version,
                                .timeout = 6s},
                               seen, 100));
  CHECK(world.becomes([&] { return seen == "ADDED mine; "; }));
  world.put("another");  // kube-apiserver sends no bookmark when nothing moved during the watch
  CHECK(world.becomes([&] { return scope.running() == 0; }));
  CHECK(seen.starts_with("ADDED mine; BOOKMARK ; "));  // at least one: its time and the round minute may both bring one
  CHECK(seen.find("another") == std::string::npos);
}

TEST_CASE("a streaming list is what is there, then its end, then changes") {
  World world;
  world.put("a");
  world.put("b");
  std::string seen;
  Scope scope(*world.loop);
  scope.spawn("watch", collect(world.api, {.ns = world.ns, .send_initial_events = true}, seen, 4));
  CHECK(world.becomes([&] { return seen.find("end") != std::string::npos; }));
  world.put("c");
  CHECK(world.becomes([&] { return scope.running() == 0; }));
  // The two in any order.
  CHECK((seen == "ADDED a; ADDED b; BOOKMARK end; ADDED c; " || seen == "ADDED b; ADDED a; BOOKMARK end; ADDED c; "));
}

namespace {

struct CacheWorld : World {
  explicit CacheWorld(bool streaming)
      : maps(cached, {.ns = ns, .streaming_list = streaming, .backoff_first = 50ms, .backoff_last = 200ms}) {
    maps.on_change([this](const ConfigMap* old, const ConfigMap* now) {
      changes += fmt::format("{}{}={}; ",
                             !old   ? "+"
                             : !now ? "-"
                                    : "",
                             (now ? now : old)->metadata.name, (now ? now : old)->data.at("value"));
    });
    maps.on_sync([this] { changes += "synced; "; });
  }
  std::string held() {
    std::string text;
    maps.for_each([&](const ConfigMap& map) { text += map.metadata.name + "=" + map.data.at("value") + " "; });
    return text;
  }
  Cuttable line{*loop, connection};
  Client cached{*loop, line};
  std::string changes;
  Cache<ConfigMap> maps;
};

}  // namespace

TEST_CASE("a cache follows the server, and after a break tells only the difference") {
  for (const bool streaming : {true, false}) {
    CAPTURE(streaming);
    CacheWorld world(streaming);
    for (const char* name : {"changed", "gone", "reborn", "same"}) world.put(name);
    world.maps.start();
    REQUIRE(world.becomes([&] { return world.maps.synced(); }));
    CHECK(world.held() == "changed=1 gone=1 reborn=1 same=1 ");
    CHECK(world.changes.ends_with("synced; "));
    world.changes.clear();
    world.run(world.api.patch<ConfigMap>({world.ns, "same"}, PatchType::Merge, R"({"data":{"value":"2"}})"));
    REQUIRE(world.becomes([&] { return world.changes == "same=2; "; }));

    // Within the server's memory: the watch goes on from where it was.
    world.line.cut();
    world.put("new");
    world.line.heal();
    REQUIRE(world.becomes([&] { return world.changes == "same=2; +new=1; "; }));
    CHECK(world.maps.health().lists == 1);

    // Beyond it: a relist, told as a difference.
    world.line.cut();
    world.changes.clear();
    world.run(world.api.patch<ConfigMap>({world.ns, "changed"}, PatchType::Merge, R"({"data":{"value":"3"}})"));
    run_until_done(*world.loop, world.api.remove<ConfigMap>({world.ns, "gone"}));
    run_until_done(*world.loop, world.api.remove<ConfigMap>({world.ns, "reborn"}));
    world.put("reborn", "9");
    world.put("fresh");
    api_under_test().forget_history();
    world.line.heal();
    REQUIRE(world.becomes([&] { return world.held() == "changed=3 fresh=1 new=1 reborn=9 same=2 "; }));
    CHECK(world.maps.health().lists == 2);
    for (const char* change : {"changed=3; ", "-gone=1; ", "-reborn=1; +reborn=9; ", "+fresh=1; "})
      CHECK(world.changes.find(change) != std::string::npos);
    CHECK(world.changes.size() == std::string("changed=3; -gone=1; -reborn=1; +reborn=9; +fresh=1; ").size());
    // And on it goes.
    run_until_done(*world.loop, world.api.remove<ConfigMap>({world.ns, "fresh"}));
    CHECK(world.becomes([&] { return world.changes.ends_with("-fresh=1; "); }));
  }
}

TEST_CASE("versions and continue tokens that the server has forgotten are Gone") {
  World world;
  const auto before = world.put("a");
  for (int i = 0; i < 3; ++i) world.put(fmt::format("map-{}", i));
  const auto page = world.run(world.api.list<ConfigMap>({.ns = world.ns, .limit = 2}));
  world.put("after");
  api_under_test().forget_history();
  std::string seen;
  auto watch = run_until_done(
      *world.loop, collect(world.api, {.ns = world.ns, .resource_version = before.metadata.resource_version}, seen, 1));
  REQUIRE(!watch);
  CHECK(watch.error().code() == Errc::Gone);
  CHECK(world.code(world.api.list<ConfigMap>(
            {.ns = world.ns, .limit = 2, .continue_token = page.metadata.continue_token})) == Errc::Gone);
}

TEST_CASE("events reach the API and are counted up") {
  World world;
  EventRecorder recorder(world.api, "causeway-test", "host");
  const auto map = world.put("a");
  for (int i = 0; i < 3; ++i) recorder.record(map, EventType::Warning, "Tested", "something happened");
  auto events = [&] {
    return world.run(world.api.list<Event>({.ns = world.ns, .field_selector = "involvedObject.name=a"})).items;
  };
  REQUIRE(world.becomes([&] { return events().size() == 1 && events()[0].count == 3; }));
  CHECK(events()[0].message == "something happened");
  CHECK(recorder.dropped() == 0);
}

namespace {
Task<Status> note(bool& ran) {
  ran = true;
  co_return ok();
}
}  // namespace

TEST_CASE("a Lease is taken, and its holder runs") {
  World world;
  bool ran = false;
  LeaderOptions options;
  options.lease = {world.ns, "leader"};
  options.identity = "me";
  CHECK(run_until_done(*world.loop, lead(world.api, options, [&ran] { return note(ran); })).has_value());
  CHECK(ran);
  CHECK(world.run(world.api.get<Lease>({world.ns, "leader"})).spec.holder_identity == "me");
}
