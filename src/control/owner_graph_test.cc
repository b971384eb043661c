#include "control/owner_graph.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace causeway;
using namespace causeway::control;

namespace {

// A world of objects named by their uids.
struct World {
  OwnerGraph graph;

  OwnedObject& add(std::string uid, std::vector<std::string> owners = {}, std::vector<std::string> finalizers = {}) {
    OwnedObject object{
        .kind = kube::Pod::kKind, .ns = "shop", .name = uid, .uid = uid, .finalizers = std::move(finalizers)};
    for (auto& owner : owners)
      object.owners.push_back(
          {.api_version = "apps/v1", .kind = "ReplicaSet", .name = owner, .uid = owner, .block_owner_deletion = true});
    objects[uid] = object;
    graph.put(object);
    return objects[uid];
  }
  void put(const OwnedObject& object) { looked = graph.put(object); }
  void erase(const std::string& uid) { looked = graph.erase(uid); }

  // "delete Background", "drop owners -> a,b"
  std::string plan(const std::string& uid, const OwnerGraph::Uids& alive = {}) const {
    auto plan = plan_garbage(*graph.find(uid), graph, alive);
    std::string text(to_string(plan.step));
    for (const auto& word : {plan.propagation, plan.step == GarbageStep::Nothing ? "" : plan.finalizer})
      if (!word.empty()) text += " " + word;
    std::string names;
    for (const auto& owner : plan.owners) names += (names.empty() ? " -> " : ",") + owner.name;
    for (const auto& dependent : plan.dependents) names += (names.empty() ? " -> " : ",") + dependent;
    return text + names;
  }
  std::string look() const {
    std::string text;
    for (const auto& uid : looked) text += (text.empty() ? "" : " ") + uid;
    return text;
  }
  std::map<std::string, OwnedObject> objects;
  OwnerGraph::Uids looked;
};

}  // namespace

TEST_CASE("an object goes with its last owner") {
  World world;
  world.add("a");
  world.add("b");
  world.add("pod", {"a", "b"});
  CHECK(world.plan("pod") == "nothing");
  world.erase("a");
  CHECK(world.look() == "pod");
  CHECK(world.plan("pod") == "drop owners -> b");
  world.erase("b");
  CHECK(world.look() == "pod");
  CHECK(world.plan("pod") == "delete Background");
}

TEST_CASE("an owner that was never seen is looked up before anything is deleted") {
  World world;
  world.add("pod", {"ghost"});
  CHECK(world.plan("pod") == "look up -> ghost");
  CHECK(world.plan("pod", {"ghost"}) == "nothing");
  CHECK(world.graph.mark_gone("ghost") == OwnerGraph::Uids{"pod"});
  CHECK(world.plan("pod") == "delete Background");
  // Nobody names it any more: it is forgotten.
  world.erase("pod");
  CHECK(!world.graph.is_gone("ghost"));
}

TEST_CASE("foreground: dependents first, from the leaves up, then the owner") {
  World world;
  auto& deployment = world.add("deployment");
  auto& set = world.add("set", {"deployment"});
  world.add("pod", {"set"});
  deployment.deleting = true;
  deployment.finalizers = {"foregroundDeletion"};
  world.put(deployment);
  CHECK(world.look() == "deployment set");
  CHECK(world.plan("deployment") == "nothing");
  CHECK(world.plan("set") == "delete Foreground");
  set.deleting = true;
  set.finalizers = {"foregroundDeletion"};
  world.put(set);
  CHECK(world.plan("pod") == "delete Background");
  world.erase("pod");
  CHECK(world.look() == "set");
  CHECK(world.plan("set") == "remove finalizer foregroundDeletion");
  world.erase("set");
  CHECK(world.look() == "deployment");
  CHECK(world.plan("deployment") == "remove finalizer foregroundDeletion");
}

TEST_CASE("foreground: a dependent that does not block is not waited for, and another owner keeps it") {
  World world;
  auto& owner = world.add("owner");
  auto& loose = world.add("loose", {"owner"});
  loose.owners[0].block_owner_deletion.reset();
  world.put(loose);
  world.add("other");
  world.add("shared", {"owner", "other"});
  owner.deleting = true;
  owner.finalizers = {"foregroundDeletion"};
  world.put(owner);
  CHECK(world.plan("shared") == "drop owners -> other");
  CHECK(world.plan("owner") == "nothing");
  world.objects["shared"].owners.erase(world.objects["shared"].owners.begin());
  world.put(world.objects["shared"]);
  CHECK(world.look() == "other owner shared");
  CHECK(world.plan("owner") == "remove finalizer foregroundDeletion");
}

TEST_CASE("orphan: dependents are freed, then the owner may go") {
  World world;
  auto& owner = world.add("owner", {}, {"orphan", "mine/own"});
  world.add("x", {"owner"});
  world.add("y", {"owner"});
  CHECK(world.plan("owner") == "nothing");
  owner.deleting = true;
  world.put(owner);
  CHECK(world.plan("owner") == "free dependents orphan -> x,y");
  CHECK(world.plan("x") == "nothing");
  for (auto* uid : {"x", "y"}) {
    world.objects[uid].owners.clear();
    world.put(world.objects[uid]);
  }
  CHECK(world.look() == "owner");
  CHECK(world.plan("owner") == "remove finalizer orphan");
}

TEST_CASE("an object of another namespace owns nothing") {
  World world;
  world.add("owner").ns = "elsewhere";
  world.put(world.objects["owner"]);
  world.add("pod", {"owner"});
  CHECK(world.plan("pod") == "delete Background");
  world.objects["owner"].ns = "";
  world.put(world.objects["owner"]);
  CHECK(world.plan("pod") == "nothing");
}

TEST_CASE("what does not matter to ownership needs no look") {
  World world;
  auto& owner = world.add("owner");
  auto& pod = world.add("pod", {"owner"});
  owner.resource_version = "2";
  world.put(owner);
  CHECK(world.look() == "");
  pod.resource_version = "3";
  world.put(pod);
  CHECK(world.look() == "");
}
