#include "control/schedule.h"

#include <doctest/doctest.h>

using namespace causeway;
using namespace causeway::control;

static kube::Node node(const std::string& name, kube::StringMap labels = {}) {
  kube::Node made;
  made.metadata.name = name;
  made.metadata.labels = std::move(labels);
  made.status.conditions = {{.type = "Ready", .status = "True"}};
  return made;
}
static kube::Pod pod(const std::string& name, const std::string& owner = {}) {
  kube::Pod made;
  made.metadata.name = name;
  made.metadata.ns = "default";
  if (!owner.empty())
    made.metadata.owner_references = {{.kind = "ReplicaSet", .name = owner, .uid = owner, .controller = true}};
  return made;
}

TEST_CASE("Pods of one controller spread over the nodes, whatever else runs there") {
  const auto a = node("a"), b = node("b"), c = node("c");
  NodeLoads loads;
  for (int i = 0; i < 5; ++i) loads.add(pod("other", "db"), "a");
  std::string placed;
  for (int i = 0; i < 6; ++i) {
    const auto web = pod("web", "web");
    const auto choice = choose_node(web, {&a, &b, &c}, loads);
    loads.add(web, choice.node);
    placed += choice.node;
  }
  CHECK(placed == "bcabca");
}

TEST_CASE("a Pod that fits nowhere is told why, by count") {
  auto tainted = node("a"), cordoned = node("b"), away = node("c"), plain = node("d");
  tainted.spec.taints = {{.key = "dedicated", .value = "db", .effect = "NoSchedule"}};
  cordoned.spec.unschedulable = true;
  away.status.conditions[0].status = "Unknown";
  auto wanted = pod("web");
  wanted.spec.node_selector = {{"disk", "ssd"}};
  CHECK(choose_node(wanted, {&tainted, &cordoned, &away, &plain}, {}).reason ==
        "0/4 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) had untolerated taint "
        "{dedicated: db}, 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }, 1 node(s) were "
        "unschedulable.");
  CHECK(choose_node(wanted, {}, {}).reason == "no nodes available to schedule pods");
}

TEST_CASE("tolerations open tainted nodes; PreferNoSchedule only ranks") {
  auto tainted = node("a"), soft = node("b"), plain = node("c");
  tainted.spec.taints = {{.key = "dedicated", .value = "db", .effect = "NoSchedule"}};
  soft.spec.taints = {{.key = "old", .effect = "PreferNoSchedule"}};
  auto db = pod("db");
  db.spec.tolerations = {{.key = "dedicated", .value = "db", .effect = "NoSchedule"}};
  CHECK(choose_node(db, {&tainted}, {}).node == "a");
  CHECK(choose_node(pod("web"), {&tainted, &soft, &plain}, {}).node == "c");
  CHECK(choose_node(pod("web"), {&tainted, &soft}, {}).node == "b");
  auto everywhere = pod("agent");
  everywhere.spec.tolerations = {{.op = "Exists"}};
  CHECK(choose_node(everywhere, {&tainted}, {}).node == "a");
}

TEST_CASE("one host port is given once for each address and protocol") {
  const auto a = node("a");
  auto web = pod("web"), dns = pod("dns");
  web.spec.containers = {{.name = "c", .ports = {{.container_port = 80, .host_port = 8080}}}};
  dns.spec.containers = {{.name = "c", .ports = {{.container_port = 80, .host_port = 8080, .protocol = "UDP"}}}};
  NodeLoads loads;
  loads.add(web, "a");
  CHECK(choose_node(web, {&a}, loads).reason ==
        "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.");
  CHECK(choose_node(dns, {&a}, loads).node == "a");
  loads.remove(web, "a");
  CHECK(choose_node(web, {&a}, loads).node == "a");
}

TEST_CASE("a full node gets no more Pods") {
  auto a = node("a");
  a.status.allocatable = {{"pods", "1"}};
  NodeLoads loads;
  loads.add(pod("one"), "a");
  CHECK(choose_node(pod("two"), {&a}, loads).reason == "0/1 nodes are available: 1 node(s) had too many pods.");
}

TEST_CASE("a Pod waits for its scheduler, and not while a gate holds it back") {
  auto waiting = pod("a");
  CHECK(wants_scheduling(waiting));
  waiting.spec.scheduling_gates = {{.name = "example.com/quota"}};
  CHECK(!wants_scheduling(waiting));
  waiting.spec.scheduling_gates.clear();
  waiting.spec.scheduler_name = "another";
  CHECK(!wants_scheduling(waiting));
}

TEST_CASE("affinity: nodes by their labels and names, and Pods apart from or beside each other") {
  const auto a = node("a", {{"zone", "x"}}), b = node("b", {{"zone", "x"}}), c = node("c", {{"zone", "y"}});
  auto web = pod("web-1", "web");
  web.metadata.labels["app"] = "web";
  auto& affinity = web.spec.affinity.emplace();
  affinity.node_affinity.emplace().preferred = {
      {.weight = 5, .preference = {.match_expressions = {{"zone", "In", {"y"}}}}}};
  CHECK(choose_node(web, {&a, &b, &c}, {}).node == "c");
  affinity.node_affinity->required = kube::NodeSelector{{{.match_fields = {{"metadata.name", "In", {"b"}}}}}};
  CHECK(choose_node(web, {&a, &b, &c}, {}).node == "b");
  affinity.node_affinity.reset();
  kube::PodAffinityTerm term{.label_selector = kube::LabelSelector{.match_labels = {{"app", "web"}}},
                             .topology_key = "zone"};
  affinity.pod_anti_affinity.emplace().required = {term};
  CHECK(choose_node(web, {&a, &b, &c}, {}, {{&web, "a"}}).node == "c");
  CHECK(choose_node(web, {&a, &b}, {}, {{&web, "a"}}).reason ==
        "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules.");
  affinity.pod_anti_affinity.reset();
  affinity.pod_affinity.emplace().required = {term};
  CHECK(choose_node(web, {&a, &b, &c}, {}, {{&web, "c"}}).node == "c");
  CHECK(choose_node(web, {&a, &b, &c}, {}).node == "a");  // the first may be anywhere
}
