#include "cluster/feed/feed.h"

#include <doctest/doctest.h>

#include "async/virtual_loop.h"

using namespace causeway;
using namespace causeway::cluster;

namespace {

struct Fake : Consumer {
  Loop& loop;
  Duration cost{};
  std::vector<std::string> log;
  std::map<std::string, std::string> refuses;  // object -> reason
  std::optional<Error> broken;

  explicit Fake(Loop& loop) : loop(loop) {}
  std::string_view name() const override { return "fake"; }
  void changed(const ChangeSet& changes, const Model&) override {
    log.push_back(fmt::format("changed nodes={} attachments={}", changes.nodes.size(), changes.attachments.size()));
  }
  Task<Result<std::vector<Failure>>> apply() override {
    if (cost > 0s) CO_TRY(co_await loop.sleep(cost));
    log.push_back("apply");
    if (broken) co_return fail(*broken);
    std::vector<Failure> failures;
    for (const auto& [object, reason] : refuses) failures.push_back({object, Error(Errc::Io, reason)});
    co_return failures;
  }
};

Attachment attachment(std::string container) { return {.key = {std::move(container), "eth0"}}; }

Task<void> add(Feed& feed, std::string container, std::optional<std::string>& answer, Duration patience = 10s) {
  auto status = co_await feed.attach(attachment(std::move(container)), patience);
  answer = status ? "ok" : status.error().message();
}
Task<void> del(Feed& feed, std::string container, std::optional<std::string>& answer) {
  auto status = co_await feed.detach({std::move(container), "eth0"});
  answer = status ? "ok" : status.error().message();
}

struct World {
  VirtualLoop loop;
  Model model;
  Fake fake{loop};
  Feed feed{loop, model};
  Scope scope{loop};
  std::optional<std::string> first, second;
  World() { feed.add(fake); }
};

}  // namespace

TEST_CASE("changes of a watch are collected, then compiled and applied once") {
  World w;
  w.feed.start();
  w.loop.run_ready();
  w.fake.log.clear();
  for (int i = 0; i < 100; ++i) {
    w.model.put(Node{.name = "n" + std::to_string(i)});
    w.feed.touch();
  }
  w.loop.run_ready();
  CHECK(w.fake.log.empty());
  w.loop.advance(Feed::kCollect);
  CHECK(w.fake.log == std::vector<std::string>{"changed nodes=100 attachments=0", "apply"});
  CHECK(w.feed.acknowledged() == w.model.generation());
}

TEST_CASE("a change that comes alone is handed over at once, and those that follow it are collected") {
  World w;
  w.feed.start();
  w.loop.advance(1s);
  w.fake.log.clear();
  const auto change = [&](const std::string& name) {
    w.model.put(Node{.name = name});
    w.feed.touch();
  };
  change("a");
  change("b");  // read with it
  w.loop.advance(Duration(0));
  CHECK(w.fake.log == std::vector<std::string>{"changed nodes=2 attachments=0", "apply"});
  change("c");
  w.loop.advance(Duration(0));
  CHECK(w.fake.log.size() == 2);
  w.loop.advance(Feed::kCollect);
  CHECK(w.fake.log.size() == 4);
  const Histogram latency = w.feed.consumers().front().latency;
  CHECK(latency.count() == 2);
  CHECK(latency.sum() == doctest::Approx(0.005));
}

TEST_CASE("a consumer never sees a model that is ahead of its changes") {
  World w;
  w.feed.start();  // its first work waits for the loop, and meanwhile the journal is read
  w.model.put(attachment("c1"));
  w.model.set_synced(Source::Attachments);
  w.loop.run_ready();
  CHECK(w.fake.log == std::vector<std::string>{"changed nodes=0 attachments=1", "apply"});
  w.loop.advance(1s);
  CHECK(w.fake.log.size() == 2);
  CHECK(w.feed.acknowledged() == w.model.generation());
}

TEST_CASE("an attachment is answered when every consumer has applied it, and not before") {
  World w;
  Fake slow(w.loop);
  slow.cost = 3s;
  w.feed.add(slow);
  w.feed.start();
  w.loop.advance(4s);
  w.scope.spawn("add", add(w.feed, "c1", w.first));
  w.loop.advance(2s);
  CHECK_FALSE(w.first);
  w.loop.advance(2s);
  CHECK(w.first == "ok");
}

TEST_CASE("a consumer that is busy gets what came meanwhile as one change") {
  World w;
  w.fake.cost = 1s;
  w.feed.start();
  w.loop.advance(100ms);
  w.scope.spawn("a", add(w.feed, "c1", w.first));
  w.scope.spawn("b", add(w.feed, "c2", w.second));
  w.loop.advance(5s);
  CHECK(w.first == "ok");
  CHECK(w.second == "ok");
  CHECK(w.fake.log == std::vector<std::string>{"apply", "changed nodes=0 attachments=2", "apply"});
}

TEST_CASE("an attachment that cannot be applied is taken back; another object's failure does not matter") {
  World w;
  w.fake.refuses = {{"attachment c1/eth0", "no such device"}, {"node n9", "unreachable"}};
  w.feed.start();
  w.scope.spawn("a", add(w.feed, "c1", w.first));
  w.scope.spawn("b", add(w.feed, "c2", w.second));
  w.loop.advance(1s);
  CHECK(w.first == "attachment c1/eth0: fake: no such device");
  CHECK(w.second == "ok");
  CHECK(w.model.attachments().size() == 1);
}

TEST_CASE("a consumer that fails is tried again with back-off, and whoever waits learns why") {
  World w;
  w.fake.broken = Error(Errc::Io, "bpf(2): out of memory");
  w.feed.start();
  w.scope.spawn("a", add(w.feed, "c1", w.first, 2s));
  w.loop.advance(3s);
  CHECK(w.first == "attachment c1/eth0: not applied within 2000 ms by fake: bpf(2): out of memory");
  CHECK(w.model.attachments().empty());
  CHECK(w.fake.log.size() < 12);
  w.fake.broken.reset();
  w.loop.advance(30s);
  CHECK(w.feed.acknowledged() == w.model.generation());
  CHECK(w.feed.applied_once());
}

TEST_CASE("a caller that is cancelled leaves nothing in the model") {
  World w;
  w.fake.cost = 10s;
  w.feed.start();
  {
    Scope scope(w.loop);
    scope.spawn("a", add(w.feed, "c1", w.first));
    w.loop.advance(1s);
    CHECK(w.model.attachments().size() == 1);
  }
  CHECK(w.model.attachments().empty());
}

TEST_CASE("detach of what is not there succeeds at once") {
  World w;
  w.feed.start();
  w.loop.run_ready();
  w.scope.spawn("d", del(w.feed, "c9", w.first));
  w.loop.run_ready();
  CHECK(w.first == "ok");
}
