#include "pod/announcer.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>

#include "async/virtual_loop.h"
#include "base/file.h"
#include "base/log.h"
#include "kube/client/scripted_api.h"

using namespace causeway;
using namespace causeway::pod;

namespace fs = std::filesystem;

namespace {

// A node with folders of its own, and an API server that holds its Node's one condition and counts.
struct World {
  World() {
    log::set_level(log::Level::Error);
    fs::remove_all(root);
    fs::create_directories(root + "/run");
    REQUIRE(replace_file(places.plugin, "the plugin", 0755));
    begin();
  }
  ~World() {
    announcer.reset();
    fs::remove_all(root);
  }

  // Another life of the agent.
  void begin() {
    announcer.reset();
    announcer.emplace(loop, workers, api, events, "node-1", places);
    REQUIRE(announcer->start());
    settle();
  }
  void tell(const std::string& missing, int64_t life = 1) {
    announcer->tell(missing, life);
    settle();
  }
  void pass(Duration time) {
    for (; time > 0s; time -= 1s) {
      loop.advance(1s);
      settle();
    }
  }
  void settle() {
    for (loop.run_ready(); server.waits(); loop.run_ready()) answer(server.next());
  }
  void answer(kube::ScriptedApi::Pending request) {
    const std::string text = request.text();
    ++requests;
    if (away) return request.break_off();
    if (text.starts_with("POST /api/v1/namespaces/default/events")) {
      const auto event = kube::decode<kube::Event>(request.request().body);
      told += fmt::format("{} {} {}/{}\n", event->type, event->reason, event->involved_object.kind,
                          event->involved_object.name);
      return request.answer(201, request.request().body);
    }
    if (text.starts_with("PATCH /api/v1/nodes/node-1/status")) {
      if (denied)
        return request.answer(
            403,
            R"({"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"nodes \"node-1\" is forbidden: User \"someone\" cannot patch resource \"nodes/status\" in API group \"\" at the cluster scope"})");
      condition = kube::decode<kube::Node>(request.request().body)->status.conditions.at(0);
    }
    request.answer(200, kube::encode(node()));
  }
  kube::Node node() const {
    kube::Node node;
    node.metadata.name = "node-1";
    if (condition) node.status.conditions.push_back(*condition);
    return node;
  }
  // What runtime, scheduler and people see.
  std::string render() {
    std::string text = fs::exists(root + "/etc/" + kConflistName) ? "configuration" : "no configuration";
    text += condition ? fmt::format(", {} {} {}: {}", condition->type, condition->status, condition->reason,
                                    condition->message)
                      : ", no condition";
    return text + "\n" + std::exchange(told, {});
  }

  const std::string root = fmt::format("/tmp/causeway-announcer-test-{}", ::getpid());
  const CniPlaces places{.plugin = root + "/causeway-cni",
                         .bin_folder = root + "/bin",
                         .config_folder = root + "/etc",
                         .socket = "/run/causeway/agent.sock",
                         .announced = root + "/run/announced"};
  VirtualLoop loop;
  kube::ScriptedApi server{loop};
  kube::Client api{loop, server};
  kube::EventRecorder events{api, "causeway-agent", "node-1"};
  WorkerPool workers{loop, 0};
  std::optional<Announcer> announcer;
  std::optional<kube::Condition> condition;
  std::string told;  // Events
  int requests = 0;
  bool denied = false;
  bool away = false;
};

constexpr const char* kUp =
    "configuration, NetworkUnavailable False CausewayIsUp: causeway connects the Pods of this node\n";

}  // namespace

TEST_CASE("the configuration appears when Pods can be connected and goes when they cannot for long") {
  World world;
  CHECK(world.render() == "no configuration, no condition\n");
  world.tell("no spec.podCIDRs yet");
  CHECK(world.render() == "no configuration, no condition\n");
  world.tell("");
  CHECK(world.render() == kUp);
  CHECK(read_file(world.root + "/bin/causeway-cni").value() == "the plugin");

  world.tell("fabric: the kernel says no");
  world.pass(10s);
  CHECK(world.render() == kUp);
  world.pass(10s);
  CHECK(world.render() ==
        "no configuration, NetworkUnavailable True CausewayIsNotReady: fabric: the kernel says no\n"
        "Warning NetworkUnavailable Node/node-1\n");
  world.tell("");
  CHECK(world.render() == std::string(kUp) + "Normal NetworkAvailable Node/node-1\n");
}

TEST_CASE("trouble that comes and goes is no news") {
  World world;
  world.tell("");
  const int before = world.requests;
  for (int i = 0; i < 10; ++i) {
    world.tell("the first tables are being applied");
    world.pass(10s);
    world.tell("");
    world.pass(10s);
  }
  CHECK(world.render() == kUp);
  CHECK(world.requests == before);
}

TEST_CASE("an idle node asks nothing of the API server") {
  World world;
  world.tell("");
  const int before = world.requests;
  world.pass(600s);
  CHECK(world.requests == before);
}

TEST_CASE("a reason that keeps changing is written once a minute") {
  World world;
  world.pass(20s);
  const int before = world.requests;
  for (int i = 0; i < 300; ++i) {
    world.tell(fmt::format("trouble {}", i));
    world.pass(1s);
  }
  CHECK(world.requests - before <= 2 * 6);
}

TEST_CASE("an agent that is started again changes nothing") {
  World world;
  world.tell("");
  const auto written = fs::last_write_time(world.root + "/etc/" + kConflistName);
  const auto said = world.condition->last_transition_time;
  world.begin();
  world.pass(10s);
  CHECK(world.render() == kUp);
  world.tell("");
  world.pass(10s);
  CHECK(world.render() == kUp);
  CHECK(fs::last_write_time(world.root + "/etc/" + kConflistName) == written);
  CHECK(world.condition->last_transition_time == said);
}

TEST_CASE("what an earlier boot left is taken away at the start") {
  World world;
  world.tell("");
  // The folder of the configuration is on disk, that of the note is not.
  fs::remove(world.places.announced);
  world.begin();
  CHECK(!fs::exists(world.root + "/etc/" + kConflistName));
  world.tell("");
  REQUIRE(replace_file(world.places.announced, "another boot"));
  REQUIRE(replace_file(world.root + "/etc/" + kConflistName + ".tmp.1", "half"));
  world.begin();
  CHECK(!fs::exists(world.root + "/etc/" + kConflistName));
  CHECK(!fs::exists(world.root + "/etc/" + kConflistName + ".tmp.1"));
}

TEST_CASE("what somebody wipes or changes is put back") {
  World world;
  world.tell("");
  fs::remove(world.root + "/etc/" + kConflistName);
  fs::remove(world.root + "/bin/causeway-cni");
  world.pass(6s);
  CHECK(world.render() == kUp);
  REQUIRE(replace_file(world.root + "/bin/causeway-cni", "half of the plu", 0755));
  world.pass(6s);
  CHECK(read_file(world.root + "/bin/causeway-cni").value() == "the plugin");
  fs::permissions(world.root + "/bin/causeway-cni", fs::perms::owner_read);
  world.pass(6s);
  CHECK((fs::status(world.root + "/bin/causeway-cni").permissions() & fs::perms::owner_exec) != fs::perms::none);
}

TEST_CASE("a configuration of others that the runtime takes first is named, and left alone") {
  World world;
  fs::create_directories(world.root + "/etc");
  const std::string other = world.root + "/etc/00-other.conf";
  REQUIRE(replace_file(other, "{}"));
  REQUIRE(replace_file(world.root + "/etc/01-note.txt", "no configuration"));
  REQUIRE(replace_file(world.root + "/etc/10-later.conflist", "{}"));
  fs::create_directories(world.root + "/etc/00-folder.conf");
  world.tell("");
  world.pass(6s);
  const std::string trouble = "the runtime connects Pods by " + other +
                              ", which sorts before 05-causeway.conflist: it is not ours to delete; remove it, or the "
                              "network that it belongs to";
  CHECK(world.announcer->trouble() == trouble);
  CHECK(world.render() ==
        "configuration, NetworkUnavailable False CausewayIsUp: causeway connects the Pods of this node; but " +
            trouble + "\nWarning OtherNetworkConfiguration Node/node-1\n");
  CHECK(fs::exists(other));
  fs::remove(other);
  world.pass(6s);
  CHECK(world.announcer->trouble() == "");
  CHECK(world.render() == kUp);
}

TEST_CASE("a disk that takes no file is named, and served as soon as it does") {
  World world;
  REQUIRE(replace_file(world.root + "/etc", "a file where the folder should be"));
  world.tell("");
  world.pass(20s);
  CHECK(world.announcer->trouble().starts_with("write the CNI configuration: make " + world.root + "/etc: "));
  CHECK(world.condition->status == "True");
  fs::remove(world.root + "/etc");
  world.pass(6s);
  CHECK(world.announcer->trouble() == "");
  CHECK(world.condition->status == "False");
}

TEST_CASE("a new plugin that finds no room leaves the old one at work") {
  World world;
  world.tell("");
  REQUIRE(replace_file(world.places.plugin, "the next plugin", 0755));
  // No temporary file can be made, as on a full disk.
  fs::create_directories(fmt::format("{}/bin/causeway-cni.tmp.{}/x", world.root, ::getpid()));
  world.pass(20s);
  CHECK(world.announcer->trouble().starts_with("install the CNI plugin: create "));
  CHECK(read_file(world.root + "/bin/causeway-cni").value() == "the plugin");
  CHECK(fs::exists(world.root + "/etc/" + kConflistName));
  CHECK(world.condition->status == "False");
  fs::remove_all(fmt::format("{}/bin/causeway-cni.tmp.{}", world.root, ::getpid()));
  world.pass(6s);
  CHECK(world.announcer->trouble() == "");
  CHECK(read_file(world.root + "/bin/causeway-cni").value() == "the next plugin");
}

TEST_CASE("a new Node object of our name gets its condition") {
  World world;
  world.tell("", 1);
  world.tell("the API server has no Node node-1 any more", 0);
  world.condition.reset();
  world.pass(20s);
  CHECK(world.render() == "no configuration, no condition\nWarning NetworkUnavailable Node/node-1\n");
  world.tell("", 2);
  CHECK(world.render() == std::string(kUp) + "Normal NetworkAvailable Node/node-1\n");
}

TEST_CASE("an API server that is away is no trouble of ours, and hears of it later") {
  World world;
  world.away = true;
  world.tell("");
  world.pass(120s);
  CHECK(world.announcer->condition_trouble() == "");
  CHECK(world.render() == "configuration, no condition\n");
  world.away = false;
  world.pass(61s);
  CHECK(world.render() == kUp);
}

TEST_CASE("a right that we lack is named and asked for again") {
  World world;
  world.denied = true;
  world.tell("");
  CHECK(world.announcer->condition_trouble() ==
        "condition NetworkUnavailable: patch Node node-1: nodes \"node-1\" is forbidden: User \"someone\" cannot patch "
        "resource \"nodes/status\" in API group \"\" at the cluster scope");
  CHECK(world.render() == "configuration, no condition\n");
  const int before = world.requests;
  world.pass(600s);
  CHECK(world.requests > before);
  CHECK(world.requests - before < 60);
  world.denied = false;
  world.pass(61s);
  CHECK(world.announcer->condition_trouble() == "");
  CHECK(world.render() == kUp);
}
