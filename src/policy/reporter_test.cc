#include "policy/reporter.h"

#include <doctest/doctest.h>

#include "async/virtual_loop.h"
#include "kube/client/scripted_api.h"
#include "policy/policy_world.h"

using namespace causeway;
using namespace causeway::policy;

namespace {

struct Node {
  VirtualLoop loop;
  kube::ScriptedApi server{loop};
  kube::Client api{loop, server};
  kube::EventRecorder events{api, "causeway-agent", "n1"};
  World world;
  Desired desired{"n1"};
  Reporter reporter{api, events, world.model, desired};
  Scope scope{loop};

  Node() {
    world.model.set_facts({.name = "n1"});
    for (const auto source :
         {cluster::Source::Pods, cluster::Source::Namespaces, cluster::Source::Nodes, cluster::Source::Attachments,
          cluster::Source::Policies, cluster::Source::ClusterPolicies})
      world.model.set_synced(source);
    scope.spawn("report", reporter.run());
  }
  void policy(std::string_view name, std::string_view spec) {
    world.policy(name, spec);
    desired.update(world.model.take_changes(), world.model);
    loop.advance(Reporter::kLook);
  }
  // What is asked for, and the Events that are written then, one a line.
  std::string told() {
    std::string out;
    while (server.waits()) {
      auto request = server.next();
      if (request.request().method == "GET") {
        out += request.text() + "\n";
        request.answer(200,
                       R"({"kind":"Any","apiVersion":"v1","metadata":{"name":"p","uid":"u1","resourceVersion":"7"}})");
      } else {
        const auto event = kube::decode<kube::Event>(request.request().body).value();
        CHECK(event.involved_object.uid == "u1");
        out += fmt::format("{} {} {}: {}\n", event.involved_object.kind, event.involved_object.name, event.reason,
                           event.message);
        request.answer(201, request.request().body);
      }
      loop.run_ready();
    }
    return out;
  }
};

const std::string kAsked = "GET /apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies/";

}  // namespace

TEST_CASE("what of a policy is not enforced as written becomes an Event on it") {
  Node node;
  node.policy("web", R"({"tier":"Admin","priority":1,"subject":{"namespaces":{}},
                         "egress":[{"action":"Accept","to":[{"domainNames":["example.com"]}]}]})");
  CHECK(node.told() ==
        kAsked + "web\n" +
            "ClusterNetworkPolicy web NotFullyEnforced: spec.egress[0].to[0].domainNames: peers by domain "
            "names are not supported; the rule accepts nothing\n");
  node.loop.advance(59min);
  CHECK_FALSE(node.server.waits());
  node.policy("x/odd", R"({"podSelector":{},"ingress":[{"from":[{}]}]})");
  CHECK(node.told() ==
        "GET /apis/networking.k8s.io/v1/namespaces/x/networkpolicies/odd\n"
        "NetworkPolicy odd NotFullyEnforced: spec.ingress[0].from[0]: names no peer; it admits nobody\n");
}

TEST_CASE("22: that two policies have one priority is told on both") {
  Node node;
  const auto spec =
      R"({"tier":"Admin","priority":1,"subject":{"namespaces":{}},"egress":[{"action":"Deny","to":[{"namespaces":{}}]}]})";
  node.policy("a", spec);
  CHECK_FALSE(node.server.waits());
  node.policy("b", spec);
  const std::string told = node.told();
  for (const std::string& line : {kAsked + "a\n", kAsked + "b\n",
                                  std::string("ClusterNetworkPolicy a NotFullyEnforced: tier Admin and priority 1 are "
                                              "also those of b: they are judged by name\n"),
                                  std::string("ClusterNetworkPolicy b NotFullyEnforced: tier Admin and priority 1 are "
                                              "also those of a: they are judged by name\n")})
    CHECK_MESSAGE(told.find(line) != std::string::npos, told);
}
