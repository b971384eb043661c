// Nodes that claim addresses for their Pods by the embedded API server: the first wins, the others hear of it.
#include <doctest/doctest.h>

#include "../control/world.h"
#include "kube/api/causeway.h"
#include "pod/reservations.h"

using namespace causeway;
using namespace causeway::control;

namespace {

constexpr const char* kReservations = "/apis/causeway.io/v1alpha1/addressreservations";

Ip ip(const char* text) { return Ip::parse(text).value(); }

// What of an agent has to do with reserved addresses.
struct Agent {
  Direct wire;
  kube::Client api;
  cluster::Model model;
  cluster::Feed feed;
  cluster::Watches watches;
  std::unique_ptr<pod::Reservations> reservations;

  Agent(World& world, const std::string& node)
      : wire(*world.server),
        api(world.loop, wire),
        feed(world.loop, model),
        watches(api, feed, {.node = node, .services = false}),
        reservations(pod::api_reservations(feed, api, node)) {
    watches.start();
    world.run(1s);
    REQUIRE(watches.reservations_known());
    REQUIRE(model.synced(cluster::Source::Reservations));
  }
};

cluster::PodNotes of_set(const std::string& uid) {
  return {.uid = uid, .annotations = {}, .owner = {"StatefulSet", "db", "set-1"}};
}

struct Claim {
  Agent& agent;
  std::string pod, uid;
  std::vector<Ip> addresses;
};

// All at the same time; what became of each, in order.
std::vector<std::string> claim(World& world, std::vector<Claim> claims) {
  std::vector<std::string> answers(claims.size(), "none");
  Scope scope(world.loop);
  for (size_t i = 0; i < claims.size(); ++i)
    scope.spawn("claim", [](Claim claim, std::string& answer) -> Task<void> {
      const auto done =
          co_await claim.agent.reservations->claim({"default", claim.pod}, of_set(claim.uid), claim.addresses);
      answer = done ? "ok" : std::string(to_string(done.error().code())) + ": " + done.error().message();
    }(claims[i], answers[i]));
  world.run(1s);
  return answers;
}
// "10.0.0.5 db-0 on a (u1) of StatefulSet db\n"
std::string objects(World& world) {
  std::string text;
  for (const auto& one : world.all<kube::AddressReservation>())
    text +=
        fmt::format("{} {} on {} ({}) of {}\n", one.metadata.name, one.spec.pod_name, one.spec.node_name,
                    one.spec.pod_uid, one.spec.owner ? one.spec.owner->kind + " " + one.spec.owner->name : "people");
  return text;
}
std::string heard(const Agent& agent) {
  std::string text;
  for (const auto& [address, one] : agent.model.reservations())
    text += fmt::format("{} {} on {}\n", address, one.pod.name, one.node);
  return text;
}

}  // namespace

TEST_CASE("an address is claimed once, moves with its Pod, and every node hears of it") {
  World world;
  Agent a(world, "a"), b(world, "b");
  CHECK(claim(world, {{a, "db-0", "u1", {ip("10.0.0.5"), ip("fd00::5")}}}) == std::vector<std::string>{"ok"});
  CHECK(objects(world) == "10.0.0.5 db-0 on a (u1) of StatefulSet db\nfd00--5 db-0 on a (u1) of StatefulSet db\n");
  for (const Agent* agent : {&a, &b}) CHECK(heard(*agent) == "10.0.0.5 db-0 on a\nfd00::5 db-0 on a\n");
  CHECK(b.reservations->of({"default", "db-0"}) == std::vector{ip("10.0.0.5"), ip("fd00::5")});
  CHECK(claim(world, {{b, "db-0", "u2", {ip("10.0.0.5"), ip("fd00::5")}}}) == std::vector<std::string>{"ok"});
  for (const Agent* agent : {&a, &b}) CHECK(heard(*agent) == "10.0.0.5 db-0 on b\nfd00::5 db-0 on b\n");
  // A call that is repeated writes nothing.
  const auto writes = b.wire.writes;
  CHECK(claim(world, {{b, "db-0", "u2", {ip("10.0.0.5")}}}) == std::vector<std::string>{"ok"});
  CHECK(b.wire.writes == writes);
  CHECK(claim(world, {{a, "db-1", "u3", {ip("10.0.0.5")}}}).front() ==
        "denied: reserve 10.0.0.5 for Pod default/db-1: it is reserved for Pod default/db-0");
  world.must("DELETE", std::string(kReservations) + "/fd00--5");
  world.run(1s);
  for (const Agent* agent : {&a, &b}) CHECK(heard(*agent) == "10.0.0.5 db-0 on b\n");
}

TEST_CASE("of two that claim one address at the same time, one gets it") {
  World world;
  Agent a(world, "a"), b(world, "b");
  auto answers = claim(world, {{a, "db-0", "u1", {ip("10.0.0.5")}}, {b, "db-1", "u2", {ip("10.0.0.5")}}});
  std::ranges::sort(answers);
  CHECK(answers[1] == "ok");
  CHECK(answers[0].find("it is reserved for Pod default/db-") != std::string::npos);
  CHECK(world.all<kube::AddressReservation>().size() == 1);
  CHECK(heard(a) == heard(b));
}

TEST_CASE("a promise of people is kept, unless the address is another Pod's") {
  World world;
  Agent a(world, "a");
  world.must(
      "POST", kReservations,
      R"({"metadata":{"name":"10.0.9.9"},"spec":{"address":"10.0.9.9","podNamespace":"default","podName":"db-0"}})");
  world.run(1s);
  world.pod("other", "a", "10.0.9.9");
  CHECK(claim(world, {{a, "db-0", "u1", {ip("10.0.9.9")}}}).front() ==
        "denied: reserve 10.0.9.9 for Pod default/db-0: Pod default/other has it");
  world.must("PATCH", "/api/v1/namespaces/default/pods/other", R"({"metadata":{"finalizers":null}})");
  world.must("DELETE", "/api/v1/namespaces/default/pods/other");
  world.run(1s);
  CHECK(claim(world, {{a, "db-0", "u1", {ip("10.0.9.9")}}}) == std::vector<std::string>{"ok"});
  CHECK(objects(world) == "10.0.9.9 db-0 on a (u1) of people\n");
}
