#include "control/rollout.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "control/pod_template.h"
#include "control/replicas.h"

using namespace causeway;
using namespace causeway::control;

static const kube::Time kNow{std::chrono::seconds(1'700'000'000)};

static kube::Deployment deployment(int32_t replicas, const char* type = "RollingUpdate") {
  kube::Deployment made;
  made.metadata.name = "web";
  made.spec.replicas = replicas;
  made.spec.strategy.type = type;
  return made;
}
static kube::ReplicaSet set(const std::string& name, int32_t wanted, int32_t running, int32_t available) {
  kube::ReplicaSet made;
  made.metadata.name = name;
  made.spec.replicas = wanted;
  made.status.replicas = running;
  made.status.ready_replicas = made.status.available_replicas = available;
  return made;
}
static std::string text(const RolloutPlan& plan) {
  std::string out;
  for (const auto& [name, size] : plan.scale) out += fmt::format("{}={} ", name, size);
  return out;
}

TEST_CASE("a rolling update surges by a quarter and keeps three quarters available") {
  const auto web = deployment(4);
  auto now = set("new", 0, 0, 0), before = set("old", 4, 4, 4);
  std::string steps;
  for (int i = 0; i < 20; ++i) {
    const auto plan = plan_rollout(web, &now, {&before}, kNow);
    if (plan.scale.empty()) break;
    steps += text(plan);
    for (const auto& [name, size] : plan.scale) {
      auto& target = name == "new" ? now : before;
      target = set(name, size, size, size);
    }
    CHECK(now.status.available_replicas + before.status.available_replicas >= 3);
    CHECK(now.status.replicas + before.status.replicas <= 5);
  }
  CHECK(steps == "new=1 old=2 new=3 old=0 new=4 ");
  CHECK(kube::find_condition(plan_rollout(web, &now, {&before}, kNow).status.conditions, "Progressing")->reason ==
        "NewReplicaSetAvailable");
}

TEST_CASE("old Pods that never became ready go first") {
  auto now = set("new", 1, 1, 0), broken = set("broken", 1, 1, 0), good = set("good", 4, 4, 4);
  const auto plan = plan_rollout(deployment(4), &now, {&good, &broken}, kNow);
  CHECK(text(plan) == "broken=0 good=3 ");
}

TEST_CASE("Recreate waits until the old Pods are gone") {
  const auto web = deployment(2, "Recreate");
  auto now = set("new", 0, 0, 0), before = set("old", 2, 2, 2);
  CHECK(text(plan_rollout(web, &now, {&before}, kNow)) == "old=0 ");
  before = set("old", 0, 1, 0);
  CHECK(text(plan_rollout(web, &now, {&before}, kNow)) == "");
  before = set("old", 0, 0, 0);
  CHECK(text(plan_rollout(web, &now, {&before}, kNow)) == "new=2 ");
}

TEST_CASE("scaling down takes the new size at once, and limits are never both zero") {
  auto now = set("new", 5, 5, 5);
  CHECK(text(plan_rollout(deployment(2), &now, {}, kNow)) == "new=2 ");
  auto web = deployment(1);
  web.spec.strategy.rolling_update = {.max_unavailable = 0, .max_surge = 0};
  CHECK(rollout_limits(web).unavailable == 1);
  CHECK(rollout_limits(deployment(1)).surge == 1);
}

TEST_CASE("a size that changes in the middle of a rollout is shared by the sets' sizes") {
  auto web = deployment(20);
  web.spec.strategy.rolling_update = {.max_unavailable = 2, .max_surge = 5};
  auto now = set("new", 5, 5, 5), before = set("old", 10, 10, 10);
  for (auto* one : {&now, &before}) one->metadata.annotations = {{kDesiredAnnotation, "10"}, {kMostAnnotation, "15"}};
  // 15 of at most 25: ten more, two thirds of them for the larger set.
  CHECK(text(plan_rollout(web, &now, {&before}, kNow)) == "new=8 old=17 ");
  web.spec.replicas = 4;
  CHECK(text(plan_rollout(web, &now, {&before}, kNow)) == "new=3 old=6 ");
  web.spec.replicas = 0;
  CHECK(text(plan_rollout(web, &now, {&before}, kNow)) == "new=0 old=0 ");
  // Paused, the size changes all the same.
  web.spec.paused = true;
  web.spec.replicas = 20;
  CHECK(text(plan_rollout(web, &now, {&before}, kNow)) == "new=8 old=17 ");
}

TEST_CASE("a rollout that does not move past its deadline says so") {
  auto web = deployment(1);
  auto now = set("new", 1, 1, 0);
  web.status = plan_rollout(web, &now, {}, kNow).status;
  const auto plan = plan_rollout(web, &now, {}, kNow + std::chrono::seconds(601));
  const auto* progress = kube::find_condition(plan.status.conditions, "Progressing");
  CHECK(progress->status == "False");
  CHECK(progress->reason == "ProgressDeadlineExceeded");
  CHECK(kube::find_condition(plan.status.conditions, "Available")->status == "False");
}

TEST_CASE("old ReplicaSets beyond the history limit are removed, oldest first") {
  auto web = deployment(1);
  web.spec.revision_history_limit = 1;
  auto now = set("new", 1, 1, 1), a = set("a", 0, 0, 0), b = set("b", 0, 0, 0);
  a.metadata.annotations[kRevisionAnnotation] = "1";
  b.metadata.annotations[kRevisionAnnotation] = "2";
  CHECK(plan_rollout(web, &now, {&b, &a}, kNow).remove == std::vector<std::string>{"a"});
}

static kube::Pod pod(const std::string& name, const std::string& node, const std::string& phase, bool ready) {
  kube::Pod made;
  made.metadata.name = name;
  made.spec.node_name = node;
  made.status.phase = phase;
  made.status.conditions = {{.type = "Ready", .status = ready ? "True" : "False", .last_transition_time = kNow}};
  return made;
}

TEST_CASE("a ReplicaSet deletes the Pods that are missed least") {
  const auto a = pod("a", "n1", "Running", true), b = pod("b", "n1", "Running", true),
             c = pod("c", "n2", "Running", true), d = pod("d", "n2", "Pending", false),
             e = pod("e", "", "Pending", false);
  auto gone = pod("gone", "n1", "Running", true);
  gone.metadata.deletion_timestamp = kNow;
  const auto plan = plan_replicas(set("web", 2, 0, 0), {&a, &b, &c, &d, &e, &gone}, kNow);
  std::string removed;
  for (const auto* pod : plan.remove) removed += pod->metadata.name;
  CHECK(removed == "eda");
  CHECK(plan.create == 0);
  CHECK(plan.status.replicas == 5);
  CHECK(plan.status.ready_replicas == 3);
}

TEST_CASE("a Pod is available only after minReadySeconds") {
  auto web = set("web", 3, 0, 0);
  web.spec.min_ready_seconds = 10;
  const auto a = pod("a", "n1", "Running", true);
  const auto early = plan_replicas(web, {&a}, kNow + std::chrono::seconds(4));
  CHECK(early.create == 2);
  CHECK(early.status.available_replicas == 0);
  CHECK(*early.recheck == 6s);
  CHECK(plan_replicas(web, {&a}, kNow + std::chrono::seconds(10)).status.available_replicas == 1);
}

TEST_CASE("templates compare without the hash label and whatever the order of their members") {
  const std::string a = R"({"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"c","image":"i"}]}})";
  const std::string b =
      R"({"spec":{"containers":[{"image":"i","name":"c"}]},"metadata":{"creationTimestamp":null,"labels":{"app":"web","pod-template-hash":"x"}}})";
  CHECK(*same_template(a, b));
  CHECK(*template_hash(a, 0) == *template_hash(b, 0));
  CHECK(*template_hash(a, 0) != *template_hash(a, 1));
  CHECK(
      !*same_template(a, R"({"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"c","image":"j"}]}})"));
}

TEST_CASE("a Pod gets everything of its template, and its owner") {
  auto owner = set("web-abc", 1, 0, 0);
  owner.metadata.ns = "shop";
  owner.metadata.uid = "u1";
  owner.spec.pod_template.text =
      R"({"metadata":{"labels":{"app":"web"}},"spec":{"containers":[],"unknownField":[1,{"x":null}]}})";
  CHECK(
      *pod_for(owner) ==
      R"({"apiVersion":"v1","kind":"Pod","metadata":{"generateName":"web-abc-","namespace":"shop","labels":{"app":"web"},)"
      R"("ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web-abc","uid":"u1","controller":true,)"
      R"("blockOwnerDeletion":true}]},"spec":{"containers":[],"unknownField":[1,{"x":null}]}})");
}
