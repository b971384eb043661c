// The controllers against the embedded API server: what they make of a cluster, and that a kill at any moment costs
// neither a Pod too many nor one too few.
#include <doctest/doctest.h>
#include <fmt/ranges.h>

#include "world.h"

using namespace causeway;
using namespace causeway::control;

TEST_CASE("nodes get the next free CIDRs, and give them back") {
  World world;
  for (auto* name : {"a", "b", "c", "d", "e"}) world.node(name);
  world.run(1s);
  CHECK(world.nodes() ==
        "a 10.0.0.0/24,fd00::/64\nb 10.0.1.0/24,fd00:0:0:1::/64\nc 10.0.2.0/24,fd00:0:0:2::/64\n"
        "d 10.0.3.0/24,fd00:0:0:3::/64\ne \n");
  CHECK(world.events("CIDRNotAvailable").starts_with("Node e status is now: CIDRNotAvailable"));
  world.must("DELETE", "/api/v1/nodes/b");
  world.run(1s);
  CHECK(world.nodes().ends_with("e 10.0.1.0/24,fd00:0:0:4::/64\n"));
}

TEST_CASE("a Deployment becomes Pods on all nodes, and its status is what kubectl waits for") {
  World world;
  for (auto* name : {"a", "b", "c"}) world.node(name);
  world.create(World::deployment("web", 6, "x:1"));
  world.run(1s);
  CHECK(world.deployments() == "web 6/6 6 6 Available=True generation 1/1\n");
  CHECK(world.spread() == "a:2 b:2 c:2");
  CHECK(world.sets() == "r1: 6/6");
  world.change("web", R"({"spec":{"replicas":2}})");
  world.run(1s);
  CHECK(world.deployments() == "web 2/2 2 2 Available=True generation 2/2\n");
  world.change("web", R"({"spec":{"replicas":0}})");
  world.run(1s);
  CHECK(world.deployments() == "web 0/0 0 0 Available=True generation 3/3\n");
  CHECK(world.all<kube::Pod>().empty());
}

TEST_CASE("a changed template replaces all Pods without ever having too few or too many") {
  World world;
  for (auto* name : {"a", "b"}) world.node(name);
  world.create(
      World::deployment("web", 8, "x:1", R"("strategy":{"rollingUpdate":{"maxSurge":2,"maxUnavailable":1}},)"));
  world.run(1s);
  world.change("web", R"({"spec":{"template":{"spec":{"containers":[{"name":"c","image":"x:2"}]}}}})");
  for (int step = 0; step < 100; ++step) {
    world.run(20ms);
    size_t ready = 0, active = 0;
    for (const auto& pod : world.all<kube::Pod>()) {
      if (pod.metadata.deletion_timestamp) continue;
      ++active;
      ready += kube::is_ready(pod);
    }
    CHECK(ready >= 7);
    CHECK(active <= 10);
  }
  CHECK(world.sets() == "r1: 0/0 r2: 8/8");
  CHECK(world.deployments() == "web 8/8 8 8 Available=True generation 2/2\n");
  CHECK(world.pods_made == 16);
  // Back: the old ReplicaSet is used again.
  world.change("web", R"({"spec":{"template":{"spec":{"containers":[{"name":"c","image":"x:1"}]}}}})");
  world.run(3s);
  CHECK(world.sets() == "r2: 0/0 r3: 8/8");
}

TEST_CASE("Recreate ends all old Pods before the first new one") {
  World world;
  world.node("a");
  world.create(World::deployment("web", 3, "x:1", R"("strategy":{"type":"Recreate"},)"));
  world.run(1s);
  world.change("web", R"({"spec":{"template":{"spec":{"containers":[{"name":"c","image":"x:2"}]}}}})");
  for (int step = 0; step < 60; ++step) {
    world.run(20ms);
    std::set<std::string> images;
    for (const auto& pod : world.all<kube::Pod>())
      if (!pod.metadata.deletion_timestamp) images.insert(pod.spec.containers[0].image);
    CHECK(images.size() <= 1);
  }
  CHECK(world.sets() == "r1: 0/0 r2: 3/3");
}

TEST_CASE("what is owned goes with its owner, and an orphan stays") {
  World world;
  world.node("a");
  for (auto* propagation : {"Background", "Foreground"}) {
    world.create(World::deployment("web", 3, "x:1"));
    world.run(1s);
    CHECK(world.all<kube::Pod>().size() == 3);
    world.must("DELETE", "/apis/apps/v1/namespaces/default/deployments/web",
               fmt::format(R"({{"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"{}"}})", propagation));
    if (std::string_view(propagation) == "Foreground") CHECK(world.all<kube::Deployment>().size() == 1);
    world.run(2s);
    CHECK(world.deployments() == "");
    CHECK(world.sets() == "");
    CHECK(world.all<kube::Pod>().empty());
  }
  world.create(World::deployment("web", 3, "x:1"));
  world.run(1s);
  world.must("DELETE", "/apis/apps/v1/namespaces/default/deployments/web",
             R"({"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Orphan"})");
  world.run(2s);
  CHECK(world.deployments() == "");
  CHECK(world.sets() == "r1: 3/3");
  CHECK(world.all<kube::ReplicaSet>()[0].metadata.owner_references.empty());
  CHECK(world.all<kube::Pod>().size() == 3);
}

TEST_CASE("a Pod that is deleted or whose owner never existed is dealt with") {
  World world;
  world.node("a");
  world.create(World::deployment("web", 2, "x:1"));
  world.run(1s);
  world.must("DELETE", "/api/v1/namespaces/default/pods/" + world.all<kube::Pod>()[0].metadata.name);
  world.run(1s);
  CHECK(world.deployments() == "web 2/2 2 2 Available=True generation 1/1\n");
  CHECK(world.pods_made == 3);
  world.must(
      "POST", "/api/v1/namespaces/default/configmaps",
      R"({"metadata":{"name":"lost","ownerReferences":[{"apiVersion":"apps/v1","kind":"Deployment","name":"web","uid":"other"}]}})");
  world.must(
      "POST", "/api/v1/namespaces/default/configmaps",
      R"({"metadata":{"name":"foreign","ownerReferences":[{"apiVersion":"example.com/v1","kind":"Thing","name":"web","uid":"another"}]}})");
  world.run(1s);
  std::string left;
  for (const auto& map : world.all<kube::ConfigMap>()) left += map.metadata.name + " ";
  CHECK(left == "foreign ");  // of an unknown kind nothing can be said: it stays
}

TEST_CASE("a Pod that fits nowhere says why, and goes where it fits as soon as it does") {
  World world;
  world.node("a");
  world.must(
      "POST", "/api/v1/namespaces/default/pods",
      R"({"metadata":{"name":"p"},"spec":{"nodeSelector":{"disk":"ssd"},"containers":[{"name":"c","image":"x"}]}})");
  world.run(1s);
  CHECK(world.events("FailedScheduling") ==
        "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.\n");
  const auto pod = world.all<kube::Pod>()[0];
  const auto* scheduled = kube::find_condition(pod.status.conditions, "PodScheduled");
  REQUIRE(scheduled);
  CHECK(scheduled->status == "False");
  CHECK(scheduled->reason == "Unschedulable");
  world.must("PATCH", "/api/v1/nodes/a", R"({"metadata":{"labels":{"disk":"ssd"}}})");
  world.run(1s);
  CHECK(world.spread() == "a:1");
  CHECK(kube::is_ready(world.all<kube::Pod>()[0]));
}

TEST_CASE("a NoExecute taint empties a node, and its Pods come back elsewhere") {
  World world;
  world.node("a");
  world.node("b");
  world.create(World::deployment("web", 4, "x:1"));
  world.run(1s);
  CHECK(world.spread() == "a:2 b:2");
  world.must("PATCH", "/api/v1/nodes/a", R"({"spec":{"taints":[{"key":"broken","effect":"NoExecute"}]}})");
  world.run(1s);
  CHECK(world.spread() == "b:4");
}

TEST_CASE("a restart in a quiet cluster writes nothing") {
  World world;
  for (auto* name : {"a", "b"}) world.node(name);
  world.create(World::deployment("web", 5, "x:1"));
  world.run(1s);
  world.kill();
  world.start();
  world.run(1h);
  std::string writes;
  for (const auto& [what, count] : world.transport->writes) writes += fmt::format("{} {}\n", what, count);
  CHECK(writes == "");
}

TEST_CASE("killed at any moment and started again, the controllers converge without a Pod too many") {
  for (int moment = 0; moment < 40; ++moment) {
    CAPTURE(moment);
    World world;
    for (auto* name : {"a", "b", "c"}) world.node(name);
    world.create(World::deployment("web", 7, "x:1"));
    // Between two turns of the loop, then after more and more time.
    for (int turn = 0; turn < moment % 20; ++turn) world.run(moment < 20 ? 0ms : 7ms);
    world.kill();
    world.run(50ms);
    world.start();
    world.run(2s);
    CHECK(world.deployments() == "web 7/7 7 7 Available=True generation 1/1\n");
    CHECK(world.pods_made == 7);
    CHECK(world.nodes() == "a 10.0.0.0/24,fd00::/64\nb 10.0.1.0/24,fd00:0:0:1::/64\nc 10.0.2.0/24,fd00:0:0:2::/64\n");
  }
}

TEST_CASE("killed during a rollout, it goes on where it was") {
  for (int moment = 0; moment < 20; ++moment) {
    CAPTURE(moment);
    World world;
    world.node("a");
    world.create(World::deployment("web", 4, "x:1"));
    world.run(1s);
    world.change("web", R"({"spec":{"template":{"spec":{"containers":[{"name":"c","image":"x:2"}]}}}})");
    world.run(moment * 23ms);
    world.kill();
    world.start();
    world.run(4s);
    CHECK(world.sets() == "r1: 0/0 r2: 4/4");
    CHECK(world.pods_made == 8);
  }
}

TEST_CASE("a hundred Pods need few requests and little time") {
  World world;
  for (auto* name : {"a", "b", "c"}) world.node(name);
  world.boot = 0ms;
  world.create(World::deployment("web", 100, "x:1"));
  world.run(1s);
  CHECK(world.deployments() == "web 100/100 100 100 Available=True generation 1/1\n");
  CHECK(world.transport->writes["POST pods"] == 100);
  CHECK(world.transport->writes["POST pods/binding"] == 100);
}

TEST_CASE("a cluster that has its own controllers is left to them") {
  World world;
  const auto rival = [&] {
    std::optional<Result<std::string>> answer;
    Scope scope(world.loop);
    scope.spawn("ask", [](kube::Client& api, std::optional<Result<std::string>>& answer) -> Task<void> {
      answer.emplace(co_await find_rival(api, {std::begin(kAllControllers), std::end(kAllControllers)}));
    }(*world.user, answer));
    world.loop.run_ready();
    return **answer;
  };
  CHECK(rival() == "");
  world.must(
      "POST", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases",
      fmt::format(
          R"({{"metadata":{{"name":"kube-scheduler"}},"spec":{{"holderIdentity":"master_1","renewTime":"{}"}}}})",
          kube::format_micro_time(std::chrono::time_point_cast<std::chrono::microseconds>(world.loop.wall_now()))));
  CHECK(
      rival() ==
      "kube-scheduler runs the scheduler of this cluster (Lease kube-system/kube-scheduler is held by master_1); leave "
      "them out of --controllers");
  world.run(2min);
  CHECK(rival() == "");  // nobody renews it
}

TEST_CASE("--controllers names what there is") {
  CHECK(parse_controllers("*")->size() == std::size(kAllControllers));
  CHECK(*parse_controllers("*,-scheduler,-node-ipam-controller") ==
        std::set{Controller::Deployment, Controller::ReplicaSet, Controller::StatefulSet, Controller::DaemonSet,
                 Controller::GarbageCollector, Controller::TaintEviction, Controller::EndpointSlice,
                 Controller::Endpoints, Controller::Mirroring, Controller::AddressReservation});
  CHECK(*parse_controllers("scheduler") == std::set{Controller::Scheduler});
  CHECK(parse_controllers("nodes").error().message().starts_with(
      "--controllers: there is no \"nodes\"; there are: *, node-ipam-controller"));
  CHECK(!parse_controllers("-scheduler"));
  CHECK(!parse_controllers(""));
}
