// What only many policies or Pods bring up: changing them arrives where compiling everything does.
#include <doctest/doctest.h>

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
