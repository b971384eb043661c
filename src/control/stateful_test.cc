#include "control/stateful.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <deque>

#include "control/revisions.h"

using namespace causeway;
using namespace causeway::control;

static const kube::Time kNow{std::chrono::seconds(1'700'000'000)};

namespace {
// A StatefulSet and its Pods; each step does what the plan says.
struct Stage {
  kube::StatefulSet set;
  std::deque<kube::Pod> pods;
  std::string current = "old", update = "old";

  explicit Stage(int32_t replicas, const char* management = "OrderedReady") {
    set.metadata.name = "web";
    set.spec.replicas = replicas;
    set.spec.pod_management_policy = management;
    set.spec.update_strategy = {.type = "RollingUpdate",
                                .rolling_update = kube::RollingUpdateStatefulSet{.partition = 0}};
  }
  void add(int32_t ordinal, const std::string& revision, bool ready) {
    kube::Pod pod;
    pod.metadata.name = stateful_name(set, ordinal);
    pod.metadata.labels[kRevisionLabel] = revision;
    pod.status.phase = ready ? "Running" : "Pending";
    pod.status.conditions = {{.type = "Ready", .status = ready ? "True" : "False", .last_transition_time = kNow}};
    pods.push_back(std::move(pod));
  }
  void all(int32_t count, const std::string& revision) {
    for (int32_t i = 0; i < count; ++i) add(i, revision, true);
  }
  kube::Pod& pod(int32_t ordinal) {
    return *std::ranges::find(pods, stateful_name(set, ordinal), [](const auto& pod) { return pod.metadata.name; });
  }
  StatefulPlan plan(kube::Time now = kNow) {
    std::vector<const kube::Pod*> owned;
    for (const auto& pod : pods) owned.push_back(&pod);
    return plan_stateful(set, owned, current, update, now);
  }
  std::string text() {
    const auto made = plan();
    std::string out;
    for (const auto& pod : made.create) out += fmt::format("+{}({}) ", pod.ordinal, pod.revision);
    for (const auto& removal : made.remove)
      out += fmt::format("-{}{} ", removal.pod->metadata.name.substr(4), removal.failed ? "!" : "");
    return out.empty() ? "" : out.substr(0, out.size() - 1);
  }
  // The plan carried out at once: what is made is Ready, what is deleted is gone.
  std::string step() {
    const auto text_now = text();
    const auto made = plan();
    std::vector<std::string> gone;
    for (const auto& removal : made.remove) gone.push_back(removal.pod->metadata.name);
    std::erase_if(pods, [&](const auto& pod) { return std::ranges::find(gone, pod.metadata.name) != gone.end(); });
    for (const auto& pod : made.create) add(pod.ordinal, pod.revision, true);
    return text_now;
  }
  std::string run() {
    std::string out;
    for (int i = 0; i < 50; ++i) {
      const auto did = step();
      if (did.empty()) break;
      out += (out.empty() ? "" : ", ") + did;
    }
    return out;
  }
};
}  // namespace

TEST_CASE("Pods are made one by one in order, each when the one before it is Ready") {
  Stage web(3);
  CHECK(web.text() == "+0(old)");
  web.add(0, "old", false);
  CHECK(web.text() == "");
  web.pods.clear();
  CHECK(web.run() == "+0(old), +1(old), +2(old)");
  CHECK(web.plan().status.ready_replicas == 3);
}

TEST_CASE("Parallel makes and deletes all at once") {
  Stage web(3, "Parallel");
  CHECK(web.step() == "+0(old) +1(old) +2(old)");
  web.set.spec.replicas = 1;
  CHECK(web.step() == "-2 -1");
}

TEST_CASE("shrinking goes from the last ordinal down, and waits for a Pod that is on its way out") {
  Stage web(1);
  web.all(3, "old");
  CHECK(web.text() == "-2");
  web.pod(2).metadata.deletion_timestamp = kNow;
  CHECK(web.text() == "");
  web.pods.pop_back();
  CHECK(web.run() == "-1");
}

TEST_CASE("a Pod that is to stay and is not Ready holds up shrinking; one that is to go does not") {
  Stage web(1);
  web.all(3, "old");
  web.pod(0).status.conditions[0].status = "False";
  CHECK(web.text() == "");
  web.pod(0).status.conditions[0].status = "True";
  web.pod(2).status.conditions[0].status = "False";
  CHECK(web.text() == "-2");
}

TEST_CASE("a rolling update replaces from the last ordinal down, one at a time") {
  Stage web(3);
  web.all(3, "old");
  web.update = "new";
  CHECK(web.plan().status.updated_replicas == 0);
  CHECK(web.run() == "-2, +2(new), -1, +1(new), -0, +0(new)");
  const auto status = web.plan().status;
  CHECK(status.current_revision == "new");
  CHECK(status.updated_replicas == 3);
  CHECK(status.current_replicas == 3);
}

TEST_CASE("a partition keeps the ordinals below it as they are, also when they are made again") {
  Stage web(4);
  web.all(4, "old");
  web.update = "new";
  web.set.spec.update_strategy.rolling_update->partition = 2;
  CHECK(web.run() == "-3, +3(new), -2, +2(new)");
  web.pods.pop_front();  // web-0
  CHECK(web.run() == "+0(old)");
  CHECK(web.plan().status.current_revision == "old");
  CHECK(web.plan().status.updated_replicas == 2);
  web.set.spec.update_strategy.rolling_update->partition = 0;
  CHECK(web.run() == "-1, +1(new), -0, +0(new)");
}

TEST_CASE("maxUnavailable lets several Pods be replaced at once") {
  Stage web(5, "Parallel");
  web.all(5, "old");
  web.update = "new";
  web.set.spec.update_strategy.rolling_update->max_unavailable = kube::IntOrString(std::string("40%"));
  CHECK(web.run() == "-4 -3, +3(new) +4(new), -2 -1, +1(new) +2(new), -0, +0(new)");
}

TEST_CASE("OnDelete replaces only what somebody deletes") {
  Stage web(2);
  web.set.spec.update_strategy = {.type = "OnDelete"};
  web.all(2, "old");
  web.update = "new";
  CHECK(web.text() == "");
  web.pods.pop_back();
  CHECK(web.run() == "+1(new)");
  CHECK(web.plan().status.current_revision == "old");
}

TEST_CASE("a Pod that has ended is deleted and comes again; a foreign name is left alone") {
  Stage web(2);
  web.all(2, "old");
  web.pod(1).status.phase = "Failed";
  CHECK(web.text() == "-1!");
  web.pods.back().metadata.deletion_timestamp = kNow;
  CHECK(web.text() == "");
  web.pods.pop_back();
  CHECK(web.run() == "+1(old)");
  CHECK(ordinal_of(web.set, "web-7") == 7);
  for (auto* name : {"web-", "web-x", "web-01", "web--1", "webs-1", "web-1-2", "web-99999999999"})
    CHECK_MESSAGE(!ordinal_of(web.set, name), name);
}

TEST_CASE("ordinals may start elsewhere") {
  Stage web(2);
  web.set.spec.ordinals = kube::StatefulSetOrdinals{5};
  CHECK(web.run() == "+5(old), +6(old)");
  web.set.spec.ordinals->start = 6;
  CHECK(web.run() == "+7(old), -5");
}

TEST_CASE("minReadySeconds: the next Pod waits until this one has been Ready so long") {
  Stage web(2);
  web.set.spec.min_ready_seconds = 10;
  web.add(0, "old", true);
  const auto early = web.plan(kNow + 4s);
  CHECK(early.create.empty());
  CHECK(early.recheck == Duration(6s));
  CHECK(early.status.ready_replicas == 1);
  CHECK(early.status.available_replicas == 0);
  CHECK(web.plan(kNow + 10s).create.size() == 1);
}
