// StatefulSets and DaemonSets against the embedded API server: order, identity, revisions, and that a kill of the
// controllers at any moment changes none of it.
#include <doctest/doctest.h>
#include <fmt/ranges.h>

#include "world.h"

using namespace causeway;
using namespace causeway::control;

namespace {

constexpr const char* kSets = "/apis/apps/v1/namespaces/default/statefulsets";
constexpr const char* kDaemons = "/apis/apps/v1/namespaces/default/daemonsets";

std::string workload(const std::string& spec, const std::string& image = "x:1", const std::string& pod = "") {
  return fmt::format(
      R"({{"metadata":{{"name":"web"}},"spec":{{{},"selector":{{"matchLabels":{{"app":"web"}}}},)"
      R"("template":{{"metadata":{{"labels":{{"app":"web"}}}},"spec":{{"containers":[{{"name":"c","image":"{}"}}]{}}}}}}}}})",
      spec, image, pod);
}
std::string image_patch(const std::string& image) {
  return fmt::format(R"({{"spec":{{"template":{{"spec":{{"containers":[{{"name":"c","image":"{}"}}]}}}}}}}})", image);
}

// "web-0:x:1 web-1:x:1", "!" where a Pod is not Ready; those on their way out are left out.
std::string pods(World& world) {
  std::vector<std::string> texts;
  for (const auto& pod : world.all<kube::Pod>())
    if (!pod.metadata.deletion_timestamp)
      texts.push_back(
          fmt::format("{}:{}{}", pod.metadata.name, pod.spec.containers[0].image, kube::is_ready(pod) ? "" : "!"));
  std::ranges::sort(texts);
  return fmt::format("{}", fmt::join(texts, " "));
}
kube::StatefulSet the_set(World& world) { return world.all<kube::StatefulSet>().at(0); }
// "r1 r2": the revisions' numbers, in order.
std::string revisions(World& world) {
  std::vector<int64_t> numbers;
  for (const auto& revision : world.all<kube::ControllerRevision>()) numbers.push_back(revision.revision);
  std::ranges::sort(numbers);
  return fmt::format("r{}", fmt::join(numbers, " r"));
}

}  // namespace

TEST_CASE("a StatefulSet's Pods come in order, each with a name, a host name and labels of its own") {
  World world;
  world.node("a");
  world.must("POST", kSets, workload(R"("replicas":3,"serviceName":"peers")"));
  std::vector<std::string> seen;
  for (int step = 0; step < 200; ++step) {
    world.run(10ms);
    if (auto now = pods(world); seen.empty() || seen.back() != now) seen.push_back(now);
  }
  CHECK(fmt::format("{}", fmt::join(seen, "|")) ==
        "web-0:x:1!|web-0:x:1 web-1:x:1!|web-0:x:1 web-1:x:1 web-2:x:1!|web-0:x:1 web-1:x:1 web-2:x:1");
  for (const auto& pod : world.all<kube::Pod>()) {
    CHECK(pod.spec.hostname == pod.metadata.name);
    CHECK(pod.spec.subdomain == "peers");
    CHECK(pod.metadata.labels.at(kPodNameLabel) == pod.metadata.name);
    CHECK(pod.metadata.labels.at(kPodIndexLabel) == pod.metadata.name.substr(4));
    CHECK(pod.metadata.labels.at(kRevisionLabel) == the_set(world).status.update_revision);
  }
  CHECK(the_set(world).status.ready_replicas == 3);
  CHECK(the_set(world).status.current_revision == the_set(world).status.update_revision);
  CHECK(revisions(world) == "r1");
}

TEST_CASE("a rolling update of a StatefulSet can be undone by its revision, which becomes the newest") {
  World world;
  world.node("a");
  world.must("POST", kSets, workload(R"("replicas":2)"));
  world.run(2s);
  const auto first = the_set(world).status.current_revision;
  world.must("PATCH", std::string(kSets) + "/web", image_patch("x:2"));
  std::string least = "2";
  for (int step = 0; step < 300; ++step) {
    world.run(10ms);
    int ready = 0;
    for (const auto& pod : world.all<kube::Pod>()) ready += kube::is_ready(pod) && !pod.metadata.deletion_timestamp;
    least = std::min(least, std::to_string(ready));
  }
  CHECK(least == "1");
  CHECK(pods(world) == "web-0:x:2 web-1:x:2");
  CHECK(revisions(world) == "r1 r2");
  CHECK(the_set(world).status.current_revision != first);
  // What `kubectl rollout undo` sends.
  std::string data;
  for (const auto& revision : world.all<kube::ControllerRevision>())
    if (revision.metadata.name == first) data = revision.data.text;
  world.patch_strategic(std::string(kSets) + "/web", data);
  world.run(3s);
  CHECK(pods(world) == "web-0:x:1 web-1:x:1");
  CHECK(revisions(world) == "r2 r3");
  CHECK(the_set(world).status.current_revision == first);
}

TEST_CASE("a StatefulSet that is made again takes over the Pods that were left") {
  World world;
  world.node("a");
  world.must("POST", kSets, workload(R"("replicas":2)"));
  world.run(2s);
  CHECK(pods(world) == "web-0:x:1 web-1:x:1");
  world.must("DELETE", std::string(kSets) + "/web",
             R"({"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Orphan"})");
  world.run(1s);
  CHECK(world.all<kube::StatefulSet>().empty());
  world.must("DELETE", "/api/v1/namespaces/default/pods/web-0");
  world.run(1s);
  CHECK(pods(world) == "web-1:x:1");
  world.must("POST", kSets, workload(R"("replicas":3)"));
  world.run(2s);
  CHECK(pods(world) == "web-0:x:1 web-1:x:1 web-2:x:1");
  CHECK(world.pods_made == 4);
  CHECK(revisions(world) == "r1");
  for (const auto& pod : world.all<kube::Pod>())
    CHECK(kube::controller_of(pod.metadata)->uid == the_set(world).metadata.uid);
}

TEST_CASE("volume claims are stood in for, and said so") {
  World world;
  world.node("a");
  world.must("POST", kSets,
             R"({"metadata":{"name":"web"},"spec":{"selector":{"matchLabels":{"app":"web"}},)"
             R"("volumeClaimTemplates":[{"metadata":{"name":"data"},"spec":{"accessModes":["ReadWriteOnce"]}}],)"
             R"("template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"c","image":"x",)"
             R"("volumeMounts":[{"name":"data","mountPath":"/data"}]}]}}}})");
  world.run(1s);
  CHECK(world.events("NotSupported").starts_with("volumeClaimTemplates (data): there are no persistent volumes here"));
  const auto pod = world.all<kube::Pod>().at(0);
  REQUIRE(pod.spec.volumes.size() == 1);
  CHECK(pod.spec.volumes[0].name == "data");
  CHECK(pod.spec.volumes[0].empty_dir);
}

TEST_CASE("a DaemonSet follows the nodes, surges as asked, and keeps its history short") {
  World world;
  for (auto* name : {"a", "b", "c"}) world.node(name);
  world.must("PATCH", "/api/v1/nodes/c",
             R"({"spec":{"taints":[{"key":"dedicated","value":"db","effect":"NoSchedule"}]}})");
  world.must(
      "POST", kDaemons,
      workload(
          R"("revisionHistoryLimit":1,"updateStrategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":1,"maxUnavailable":0}})"));
  world.run(2s);
  CHECK(world.spread() == "a:1 b:1");
  world.node("d");
  world.run(1s);
  CHECK(world.spread() == "a:1 b:1 d:1");
  for (auto* image : {"x:2", "x:3", "x:4"}) {
    world.must("PATCH", std::string(kDaemons) + "/web", image_patch(image));
    for (int step = 0; step < 300; ++step) {
      world.run(10ms);
      size_t ready = 0, all = 0;
      std::set<std::string> served;
      for (const auto& pod : world.all<kube::Pod>()) {
        if (pod.metadata.deletion_timestamp) continue;
        ++all;
        if (kube::is_ready(pod)) served.insert(pod.spec.node_name), ++ready;
      }
      CHECK(served.size() == 3);
      CHECK(all <= 4);
    }
  }
  const auto status = world.all<kube::DaemonSet>().at(0).status;
  CHECK(status.updated_number_scheduled == 3);
  CHECK(status.number_available == 3);
  CHECK(revisions(world) == "r3 r4");
  world.must("PATCH", std::string(kDaemons) + "/web",
             R"({"spec":{"template":{"spec":{"tolerations":[{"key":"dedicated","operator":"Exists"}]}}}})");
  world.run(3s);
  CHECK(world.spread() == "a:1 b:1 c:1 d:1");
  world.must("DELETE", std::string(kDaemons) + "/web");
  world.run(2s);
  CHECK(world.all<kube::Pod>().empty());
  CHECK(world.all<kube::ControllerRevision>().empty());
}

TEST_CASE("a DaemonSet whose name is as long as names can be has its Pods, also beside one with the same beginning") {
  World world;
  world.node("a");
  // Cut at 223 both are alike, and end with a dot.
  for (const char last : {'b', 'c'}) {
    auto body = workload(R"("revisionHistoryLimit":1)");
    const std::string name = std::string(222, 'a') + "." + std::string(30, last);
    body.replace(body.find(R"("name":"web")"), 12, fmt::format(R"("name":"{}")", name));
    world.must("POST", kDaemons, body);
  }
  world.run(2s);
  CHECK(world.spread() == "a:2");
  CHECK(revisions(world) == "r1 r1");
  for (const auto& set : world.all<kube::DaemonSet>()) CHECK(set.status.number_available == 1);
  const auto all = world.all<kube::ControllerRevision>();
  for (const auto& revision : all) CHECK(revision.metadata.name.starts_with(std::string(222, 'a') + "-"));
}

TEST_CASE("controllers that are killed at any moment make no Pod twice and lose no order") {
  for (int kill_after = 0; kill_after < 40; kill_after += 3) {
    World world;
    for (auto* name : {"a", "b"}) world.node(name);
    world.must("POST", kSets, workload(R"("replicas":3)"));
    world.must("POST", kDaemons,
               fmt::format(R"({{"metadata":{{"name":"agent"}},"spec":{{"selector":{{"matchLabels":{{"app":"agent"}}}},)"
                           R"("template":{{"metadata":{{"labels":{{"app":"agent"}}}},)"
                           R"("spec":{{"containers":[{{"name":"c","image":"x:1"}}]}}}}}}}})"));
    for (int step = 0; step < kill_after; ++step) world.run(10ms);
    world.kill();
    world.start();
    world.run(3s);
    CHECK(world.pods_made == 5);
    CHECK(the_set(world).status.ready_replicas == 3);
    // Quiet: nothing is written.
    world.transport->writes.clear();
    world.kill();
    world.start();
    world.run(2s);
    CHECK(world.transport->writes.empty());
  }
}
