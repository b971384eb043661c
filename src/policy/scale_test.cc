// What only many policies or Pods bring up: changing them arrives where compiling everything does.
#include <doctest/doctest.h>

#include <random>

#include "policy/policy_world.h"

using namespace causeway;
using namespace causeway::policy;

namespace {

// As a node's agent does: after each change the tables are those of a compiler that starts with this model.
struct Kept {
  World world;
  Compiler compiler;
  explicit Kept(World from) : world(std::move(from)) {
    compiler.update({}, world.model);
    world.model.take_changes();
    compiler.clean();
  }
  void update() {
    compiler.update(world.model.take_changes(), world.model);
    compiler.clean();
  }
  bool agrees() const { return render(compiler.tables()) == render(compile(world.model)); }
};

constexpr std::string_view kFromB =
    R"({"podSelector":{},"ingress":[{"from":[{"podSelector":{"matchLabels":{"pod":"b"}}}]}]})";

}  // namespace

TEST_CASE("policies that come between two others, again and again, are judged in the order of their names") {
  World from;
  from.ns("x").pod("x/a", {"10.0.0.1"}, "pod=a").pod("x/b", {"10.0.0.2"}, "pod=b");
  from.policy("x/a", R"({"podSelector":{}})").policy("x/b", kFromB).policy("x/c", kFromB);
  Kept kept(std::move(from));
  for (int i = 1; i <= 400; ++i) {
    kept.world.policy("x/" + std::string(static_cast<size_t>(i), 'a') + "b", kFromB);
    kept.update();
    if (i % 20 == 0) REQUIRE(kept.agrees());
  }
  for (int i = 400; i > 0; i -= 2) {
    kept.world.model.remove(cluster::PolicyKey{"x", std::string(static_cast<size_t>(i), 'a') + "b"});
    kept.update();
    if (i % 20 == 0) REQUIRE(kept.agrees());
  }
}

TEST_CASE("one policy of many that judge the same Pods changes, comes and goes") {
  World from;
  from.ns("x");
  const auto spec = [](int peer, int port) {
    return fmt::format(
        R"({{"podSelector":{{}},"ingress":[{{"from":[{{"podSelector":{{"matchLabels":{{"pod":"p{}"}}}}}}]{}}}]}})",
        peer, port ? fmt::format(R"(,"ports":[{{"port":{}}}])", port) : "");
  };
  for (int i = 0; i < 60; ++i) {
    from.pod(fmt::format("x/p{}", i), {fmt::format("10.0.0.{}", i + 1)}, fmt::format("pod=p{}", i));
    from.policy(fmt::format("x/n{}", i), spec(i, 0));
  }
  Kept kept(std::move(from));
  for (int i = 0; i < 60; ++i) {
    const std::string name = fmt::format("x/n{}", i * 7 % 60);
    if (i % 3 == 0) kept.world.model.remove(cluster::PolicyKey{"x", name.substr(2)});
    if (i % 3 == 1) kept.world.policy(name, spec(i, 80 + i % 2));
    if (i % 3 == 2) kept.world.policy(name, spec(i + 1, 0));
    kept.update();
    REQUIRE(kept.agrees());
  }
}

TEST_CASE("in a namespace of many Pods a selector finds those that it selects, whatever changed before") {
  World from;
  from.ns("x");
  for (int i = 0; i < 600; ++i)
    from.pod(fmt::format("x/p{}", i), {fmt::format("10.0.{}.{}", i / 200, i % 200 + 1)},
             fmt::format("pod=p{} half={}", i, i % 2));
  Kept kept(std::move(from));
  kept.world.policy("x/n", R"({"podSelector":{"matchLabels":{"half":"1"}},"ingress":[{"from":[{"podSelector":
      {"matchExpressions":[{"key":"pod","operator":"In","values":["p1","p2","p700"]}]}}]}]})");
  kept.update();
  REQUIRE(kept.agrees());
  kept.world.pod("x/p1", {"10.0.0.2"}, "pod=other half=0").pod("x/p700", {"10.0.9.9"}, "pod=p700 half=1");
  kept.world.model.remove_pod({"x", "p2"});
  kept.update();
  REQUIRE(kept.agrees());
  kept.world.policy(
      "x/m",
      R"({"podSelector":{"matchLabels":{"half":"0"}},"egress":[{"to":[{"podSelector":{"matchLabels":{"pod":"other"}}}]}]})");
  kept.world.policy("x/e", R"({"podSelector":{"matchExpressions":[{"key":"pod","operator":"Exists"}]}})");
  kept.update();
  REQUIRE(kept.agrees());
  kept.world.model.remove(cluster::PolicyKey{"x", "n"});
  kept.update();
  REQUIRE(kept.agrees());
}

TEST_CASE("a namespace that grows large is looked into like one that was") {
  World from;
  from.ns("x").pod("x/first", {"10.1.0.1"}, "pod=first");
  Kept kept(std::move(from));
  for (int i = 0; i < 600; ++i)
    kept.world.pod(fmt::format("x/p{}", i), {fmt::format("10.0.{}.{}", i / 200, i % 200 + 1)},
                   fmt::format("pod=p{}", i % 10));
  kept.update();
  for (int i = 0; i < 4; ++i) {
    kept.world.policy(fmt::format("x/n{}", i),
                      fmt::format(R"({{"podSelector":{{"matchLabels":{{"pod":"p{}"}}}}}})", i));
    kept.world.pod(fmt::format("x/p{}", i), {fmt::format("10.0.0.{}", i + 1)}, "pod=p5");
    kept.update();
    REQUIRE(kept.agrees());
  }
}

TEST_CASE("the narrow blocks of a rule that has many are one membership") {
  World from;
  from.ns("x").pod("x/a", {"10.0.0.1"});
  const auto spec = [](int first, int last) {
    std::string list = R"({"ipBlock":{"cidr":"20.0.0.0/8","except":["20.5.0.0/16"]}})";
    for (int i = first; i < last; ++i)
      list += fmt::format(R"(,{{"ipBlock":{{"cidr":"20.5.{}.0/24","except":["20.5.{}.7/32"]}}}})", i, i);
    return fmt::format(R"({{"podSelector":{{}},"ingress":[{{"from":[{}]}}]}})", list);
  };
  from.policy("x/n", spec(0, 200));
  Kept kept(std::move(from));
  const auto allowed = [&](std::string_view address) {
    return reach(kept.compiler.tables(), kept.world.model, address, "x/a", 80) == "allow";
  };
  CHECK(kept.compiler.tables().classes.size() == 2);
  CHECK(allowed("20.1.2.3"));
  CHECK(allowed("20.5.199.3"));
  CHECK_FALSE(allowed("20.5.199.7"));
  CHECK_FALSE(allowed("20.5.200.1"));
  kept.world.policy("x/n", spec(1, 201));
  kept.update();
  REQUIRE(kept.agrees());
  CHECK_FALSE(allowed("20.5.0.3"));
  CHECK(allowed("20.5.200.1"));
}

TEST_CASE("thousands of blocks that come at once are where they would be one by one") {
  std::mt19937 random(17);
  World world;
  world.ns("x").pod("x/one", {"192.0.2.1"});
  const auto block = [&] {
    const int length = 8 + static_cast<int>(random() % 25);
    cluster::PolicyBlock out{.cidr = Cidr(Ip::v4(0x0a000000 | (random() & 0xffffff)), length), .except = {}};
    if (random() % 9 == 0) {
      const std::array<uint8_t, 16> bytes{0xfd, 0, static_cast<uint8_t>(random() % 4), static_cast<uint8_t>(random())};
      out.cidr = Cidr(Ip::v6(bytes), 16 + static_cast<int>(random() % 17));
    }
    if (length < 30 && out.cidr.family() == Family::V4 && random() % 5 == 0)
      out.except.push_back(Cidr(out.cidr.address().plus(random() % 4), length + 2));
    return out;
  };
  const auto feed = [&](int number, size_t blocks) {
    cluster::Policy policy{.key = {"x", fmt::format("feed-{}", number)}, .concerns_ingress = true};
    policy.subject.ns = "x";
    policy.ingress.push_back({.any_port = true});
    for (size_t i = 0; i < blocks; ++i) policy.ingress[0].blocks.push_back(block());
    world.model.put(std::move(policy));
  };
  Compiler compiler;
  const auto compare = [&] {
    compiler.update(world.model.take_changes(), world.model);
    const Tables is = compiler.tables();
    REQUIRE(render(is) == render(compile(world.model)));
    std::vector<Ip> asked;
    for (const auto& [prefix, peer] : is.blocks)
      if (random() % 8 == 0) asked.insert(asked.end(), {prefix.address(), prefix.address().plus(random() % 300)});
    size_t admitted = 0;
    for (const Ip& one : asked) {
      bool wanted = false;
      for (const auto& [key, policy] : world.model.policies())
        for (const cluster::PolicyBlock& of : policy->ingress[0].blocks) wanted |= of.contains(one);
      const bool allowed = judge(is, World::key("x/one"), Direction::Ingress, {one, Protocol::Tcp, 80}).allowed;
      if (allowed != wanted) {
        CAPTURE(to_string(one));
        REQUIRE(allowed == wanted);
      }
      admitted += wanted;
    }
    CHECK(admitted > 0);
  };
  SUBCASE("from the start") {}
  SUBCASE("beside a few") {
    feed(9, 100);
    compare();
  }
  SUBCASE("beside a few of another Pod's addresses and Nodes") {
    world.pod("x/two", {"10.1.2.3"});
    world.model.put(cluster::Node{.name = "n1", .addresses = {ip("10.7.7.7")}});
    feed(9, 80);
    compare();
  }
  for (int number = 0; number < 3; ++number) feed(number, 700);
  compare();
  feed(1, 650);
  world.model.remove(PolicyKey{"x", "feed-2"});
  compare();
  for (const char* name : {"feed-0", "feed-1", "feed-9"}) world.model.remove(PolicyKey{"x", name});
  compiler.update(world.model.take_changes(), world.model);
  CHECK(compiler.blocks.rows().empty());
}
