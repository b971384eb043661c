#include "cluster/feed/cluster_policy_watch.h"

#include <doctest/doctest.h>

#include "async/virtual_loop.h"
#include "kube/client/scripted_api.h"

using namespace causeway;
using namespace causeway::cluster;

namespace {

constexpr std::string_view kDiscovery = "GET /apis/policy.networking.k8s.io/v1alpha2";
const std::string kServed =
    R"({"kind":"APIResourceList","resources":[{"name":"clusternetworkpolicies","kind":"ClusterNetworkPolicy"}]})";
const std::string kNone =
    R"({"kind":"Status","status":"Failure","message":"404 page not found","reason":"NotFound","code":404})";

std::string policy(std::string_view name) {
  return fmt::format(
      R"({{"apiVersion":"policy.networking.k8s.io/v1alpha2","kind":"ClusterNetworkPolicy","metadata":{{"name":"{}","resourceVersion":"5"}},)"
      R"("spec":{{"tier":"Admin","priority":1,"subject":{{"namespaces":{{}}}}}}}})",
      name);
}
std::string added(std::string_view name) { return fmt::format(R"({{"type":"ADDED","object":{}}})", policy(name)); }
const std::string kListEnd =
    R"({"type":"BOOKMARK","object":{"kind":"ClusterNetworkPolicy","apiVersion":"policy.networking.k8s.io/v1alpha2",)"
    R"("metadata":{"resourceVersion":"6","annotations":{"k8s.io/initial-events-end":"true"}}}})";

struct World {
  VirtualLoop loop;
  kube::ScriptedApi server{loop};
  kube::Client api{loop, server, {.retries = 0}};
  Model model;
  Feed feed{loop, model};
  ClusterPolicyWatch watch{api, feed};

  World() {
    watch.start();
    loop.run_ready();
  }
  kube::ScriptedApi::Pending next() {
    REQUIRE(server.waits());
    return server.next();
  }
  // Discovery is asked now, and says this.
  void asked(int status, const std::string& body) {
    auto question = next();
    CHECK(question.text() == kDiscovery);
    question.answer(status, body);
    loop.run_ready();
  }
  bool synced() const { return model.synced(Source::ClusterPolicies); }
  std::string known() const {
    std::string text;
    for (const auto& [key, policy] : model.policies()) text += to_string(key) + " ";
    return text;
  }
};

}  // namespace

TEST_CASE("a server without ClusterNetworkPolicies is asked for them again and again, and for nothing else") {
  World w;
  CHECK(w.watch.trouble() != "");
  CHECK_FALSE(w.synced());
  w.asked(404, kNone);
  CHECK(w.synced());  // that there are none is known
  CHECK(w.watch.trouble() == "");
  CHECK(w.watch.health() == nullptr);
  w.loop.advance(29s);
  CHECK_FALSE(w.server.waits());
  w.loop.advance(1s);
  // The group is there, with other kinds.
  w.asked(200, R"({"kind":"APIResourceList","resources":[{"name":"adminnetworkpolicies"}]})");
  CHECK(w.watch.health() == nullptr);
  CHECK_FALSE(w.server.waits());
}

TEST_CASE("a server that says nothing of them leaves open whether there are any") {
  World w;
  w.asked(503, "{}");
  CHECK_FALSE(w.synced());
  CHECK(w.watch.trouble().starts_with("whether there are ClusterNetworkPolicies: "));
  w.loop.advance(ClusterPolicyWatch::kAgain);
  w.asked(404, kNone);
  CHECK(w.synced());
}

TEST_CASE("the kind is watched once it is served, costs no question then, and is known when its list is complete") {
  World w;
  w.asked(404, kNone);
  w.model.put(Policy{.key = {"x", "own"}, .subject = {}, .ingress = {}, .egress = {}, .problem = {}});
  w.loop.advance(ClusterPolicyWatch::kLook);
  w.asked(200, kServed);
  auto list = w.next();
  CHECK(list.text().find("/clusternetworkpolicies?watch=true") != std::string::npos);
  list.line(added("a"));
  list.line(added("b"));
  list.line(kListEnd);
  w.loop.run_ready();
  CHECK(w.known() == "a b x/own ");
  list.line(fmt::format(R"({{"type":"DELETED","object":{}}})", policy("a")));
  w.loop.advance(45s);
  CHECK(w.known() == "b x/own ");
  CHECK_FALSE(w.server.waits());
}

TEST_CASE("a server that had them when the agent began is waited for until its list is complete") {
  World w;
  w.asked(200, kServed);
  auto list = w.next();
  list.line(added("a"));
  w.loop.run_ready();
  CHECK_FALSE(w.synced());
  list.line(kListEnd);
  w.loop.run_ready();
  CHECK(w.synced());
}

TEST_CASE(
    "a kind that goes is believed to be gone when discovery says so twice, then it is forgotten; it may come back") {
  World w;
  w.asked(200, kServed);
  auto list = w.next();
  list.line(added("a"));
  list.line(kListEnd);
  w.loop.run_ready();
  list.break_off();
  // What a watch of a kind that is no more is answered, and what discovery says.
  const auto all_gone = [&](Duration time) {
    for (Duration passed{}; passed < time; passed += 500ms) {
      while (w.server.waits()) w.server.next().answer(404, kNone);
      w.loop.advance(500ms);
    }
  };
  size_t looks = 0;
  while (w.known() != "" && looks++ < 200) {
    all_gone(500ms);
    const auto asked = std::ranges::count(w.server.log, std::string(kDiscovery));
    if (asked <= 2) CHECK(w.known() == "a ");  // the first when it began, the second says "gone" once
  }
  CHECK(w.known() == "");
  CHECK(w.watch.health() == nullptr);
  CHECK(w.synced());
  while (w.server.waits()) w.server.next().answer(404, kNone);
  w.loop.advance(ClusterPolicyWatch::kLook);
  w.asked(200, kServed);
  auto again = w.next();
  again.line(added("c"));
  again.line(kListEnd);
  w.loop.run_ready();
  CHECK(w.known() == "c ");
}
