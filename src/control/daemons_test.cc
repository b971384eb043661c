#include "control/daemons.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <deque>
#include <set>

#include "control/revisions.h"

using namespace causeway;
using namespace causeway::control;

static const kube::Time kNow{std::chrono::seconds(1'700'000'000)};

namespace {
struct Stage {
  kube::DaemonSet set;
  kube::Pod sample;
  std::deque<kube::Node> nodes;
  std::deque<kube::Pod> pods;
  std::string hash = "old";
  int made = 0;

  explicit Stage(std::initializer_list<const char*> names) {
    set.metadata.name = "agent";
    for (const auto* name : names) {
      kube::Node node;
      node.metadata.name = name;
      node.status.conditions = {{.type = "Ready", .status = "True"}};
      nodes.push_back(std::move(node));
    }
    sample.spec.tolerations = daemon_tolerations(false);
  }
  void rolling(std::optional<kube::IntOrString> unavailable, std::optional<kube::IntOrString> surge = {}) {
    set.spec.update_strategy = {
        .type = "RollingUpdate",
        .rolling_update = kube::RollingUpdateDaemonSet{std::move(unavailable), std::move(surge)}};
  }
  void add(const std::string& node, bool ready = true) {
    kube::Pod pod;
    pod.metadata.name = fmt::format("{}{}", node, ++made);
    pod.metadata.labels[kRevisionLabel] = hash;
    pod.metadata.creation_timestamp = kNow + std::chrono::seconds(made);
    pod.spec.node_name = node;
    pod.status.phase = "Running";
    pod.status.conditions = {{.type = "Ready", .status = ready ? "True" : "False", .last_transition_time = kNow}};
    pods.push_back(std::move(pod));
  }
  DaemonPlan plan() {
    std::vector<const kube::Node*> all;
    std::vector<const kube::Pod*> owned;
    for (const auto& node : nodes) all.push_back(&node);
    for (const auto& pod : pods) owned.push_back(&pod);
    return plan_daemons(set, sample, all, owned, hash, kNow);
  }
  std::string text() {
    const auto plan = this->plan();
    std::string out;
    for (const auto& node : plan.create) out += "+" + node + " ";
    for (const auto& removal : plan.remove) out += "-" + removal.pod->metadata.name + (removal.failed ? "! " : " ");
    return out.empty() ? "" : out.substr(0, out.size() - 1);
  }
  std::string step() {
    const auto did = text();
    const auto plan = this->plan();
    std::set<std::string> gone;
    for (const auto& removal : plan.remove) gone.insert(removal.pod->metadata.name);
    std::erase_if(pods, [&](const auto& pod) { return gone.contains(pod.metadata.name); });
    for (const auto& node : plan.create) add(node);
    return did;
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

TEST_CASE("one Pod on each node that its tolerations and affinity fit") {
  Stage agent({"a", "b", "c", "d"});
  agent.nodes[1].spec.taints = {{.key = "dedicated", .value = "db", .effect = "NoSchedule"}};
  agent.nodes[2].spec.unschedulable = true;  // tolerated by every DaemonSet
  agent.nodes[3].metadata.labels["disk"] = "none";
  kube::NodeSelectorTerm term;
  term.match_expressions = {{.key = "disk", .op = "NotIn", .values = {"none"}}};
  agent.sample.spec.affinity.emplace().node_affinity.emplace().required = kube::NodeSelector{{term}};
  CHECK(agent.run() == "+a +c");
  agent.sample.spec.tolerations.push_back({.key = "dedicated", .op = "Exists"});
  CHECK(agent.run() == "+b");
  const auto status = agent.plan().status;
  CHECK(status.desired_number_scheduled == 3);
  CHECK(status.number_available == 3);
  CHECK(status.number_misscheduled == 0);
}

TEST_CASE("a taint keeps new Pods away; NoExecute ends those that are there") {
  Stage agent({"a", "b"});
  CHECK(agent.run() == "+a +b");
  agent.nodes[0].spec.taints = {{.key = "maintenance", .effect = "NoSchedule"}};
  CHECK(agent.text() == "");
  CHECK(agent.plan().status.number_misscheduled == 1);
  agent.nodes[0].spec.taints[0].effect = "NoExecute";
  CHECK(agent.text() == "-a1");
  agent.nodes[0].spec.taints.clear();
  agent.nodes.pop_back();
  CHECK(agent.text() == "-b2");
}

TEST_CASE("a Pod that has ended comes again, and of two the older one stays") {
  Stage agent({"a"});
  agent.add("a");
  agent.add("a");
  CHECK(agent.step() == "-a2");
  agent.pods[0].status.phase = "Failed";
  CHECK(agent.run() == "-a1!, +a");
}

TEST_CASE("a rolling update keeps to maxUnavailable, and what does not work goes first") {
  Stage agent({"a", "b", "c", "d"});
  agent.rolling(kube::IntOrString(2));
  agent.run();
  agent.hash = "new";
  CHECK(agent.step() == "-a1 -b2");
  CHECK(agent.text() == "+a +b");  // c and d wait
  CHECK(agent.run() == "+a +b, -c3 -d4, +c +d");
  agent.hash = "newer";
  agent.pods.back().status.conditions[0].status = "False";  // d's
  CHECK(agent.text() == "-d8 -a5");
}

TEST_CASE("a surge makes the new Pod first and takes the old one when the new one is available") {
  Stage agent({"a", "b", "c"});
  agent.rolling(kube::IntOrString(0), kube::IntOrString(std::string("34%")));  // 2 of 3
  agent.run();
  agent.hash = "new";
  CHECK(agent.text() == "+a +b");
  agent.add("a", false);
  agent.add("b", false);
  CHECK(agent.text() == "");
  CHECK(agent.plan().status.number_available == 3);
  agent.pods[3].status.conditions[0].status = "True";
  CHECK(agent.text() == "-a1");
}

TEST_CASE("OnDelete leaves old Pods") {
  Stage agent({"a", "b"});
  agent.set.spec.update_strategy.type = "OnDelete";
  agent.run();
  agent.hash = "new";
  CHECK(agent.text() == "");
  agent.pods.pop_front();
  CHECK(agent.run() == "+a");
  CHECK(agent.plan().status.updated_number_scheduled == 1);
}
