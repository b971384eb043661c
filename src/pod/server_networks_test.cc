#include <doctest/doctest.h>

#include "base/log.h"
#include "pod/server_fixture.h"

using namespace causeway;
using namespace causeway::pod;

namespace {

constexpr const char* kStore = R"({"type":"macvlan","master":"eth1",
    "ipam":{"type":"host-local","subnet":"192.0.2.0/29"}})";

// Pod shop/web of this uid asks for these networks.
void ask(Agent& agent, const std::string& uid, const std::string& networks) {
  agent.uid = uid;
  agent.pods.pods[uid] = {uid, {{kNetworksAnnotation, networks}}};
}

}  // namespace

TEST_CASE("a Pod gets the networks that it asks for, is told of them, and its DEL takes them back") {
  FakeNode node;
  VirtualLoop loop;
  Agent agent(node, loop);
  REQUIRE(agent.start());
  agent.networks.configs = {{"shop/store", kStore}, {"infra/fast", R"({"type":"host-device","device":"ens5"})"}};
  node.make_namespace("/netns/a");
  node.make_namespace("/netns/b");
  ask(agent, "u1", "store, infra/fast@fast0");
  CHECK(agent.call("ADD", "a").success);
  CHECK(node.render() == "link of a/eth0\na/eth0 has net1 fast0\npackets of a/eth0 pass\n");
  CHECK(agent.networks.told ==
        R"(shop/web u1 [{"name":"causeway","interface":"eth0","ips":["10.1.0.2","fd00::2"],"mac":"0a:58:0a:01:00:02",)"
        R"("default":true,"dns":{}},{"name":"shop/store","interface":"net1","ips":["192.0.2.2"],)"
        R"("mac":"0a:58:c0:00:02:02","dns":{}},{"name":"infra/fast","interface":"fast0","dns":{}}])"
        "\n");
  CHECK(agent.call("ADD", "a").success);  // again: the same answer
  CHECK(node.render() == "link of a/eth0\na/eth0 has net1 fast0\npackets of a/eth0 pass\n");

  // Another one has another address.
  agent.networks.told.clear();
  ask(agent, "u2", "store");
  CHECK(agent.call("ADD", "b").success);
  CHECK(agent.networks.told.find(R"(["192.0.2.3"])") != std::string::npos);
  CHECK(agent.call("DEL", "a").success);
  CHECK(agent.call("DEL", "b").success);
  loop.advance(1s);
  CHECK(node.render() == "");
}

TEST_CASE("a network that cannot be had keeps the Pod from starting, says why, and leaves nothing") {
  log::set_level(log::Level::Error);
  FakeNode node;
  VirtualLoop loop;
  Agent agent(node, loop);
  REQUIRE(agent.start());
  agent.networks.configs = {{"shop/store", kStore},
                            {"shop/broken", "{"},
                            {"shop/odd", R"({"type":"ipvlan"})"},
                            {"shop/absent", R"({"type":"host-device","device":"missing"})"}};
  node.make_namespace("/netns/a");
  const auto refused = [&](const std::string& networks) {
    ask(agent, "u1", networks);
    agent.told.clear();
    const auto reply = agent.call("ADD", "a");
    CHECK(!reply.success);
    loop.advance(1s);
    CHECK(node.render() == "");
    CHECK(agent.server.attachments() == 0);
    CHECK(agent.networks.told == "");
    return agent.told;
  };
  CHECK(refused("store,none") ==
        "NetworkAttachmentFailed: annotation k8s.v1.cni.cncf.io/networks: there is no NetworkAttachmentDefinition "
        "shop/none\n");
  CHECK(refused("store,broken")
            .starts_with("NetworkAttachmentFailed: NetworkAttachmentDefinition shop/broken: "
                         "spec.config is no JSON object"));
  CHECK(refused("store,odd") ==
        "NetworkAttachmentFailed: NetworkAttachmentDefinition shop/odd: type \"ipvlan\" is not supported: macvlan and "
        "host-device are\n");
  CHECK(refused("store,absent") == "NetworkAttachmentFailed: net2: no device missing\n");
  CHECK(refused("a,,b") == "NetworkAttachmentFailed: annotation k8s.v1.cni.cncf.io/networks: has an empty element\n");

  agent.plane.failure = "the data path does not come";
  refused("store");
  agent.plane.failure.clear();
  ask(agent, "u1", "store");
  CHECK(agent.call("ADD", "a").success);
}

TEST_CASE("where another network's configuration goes first, the annotation is that network's to read") {
  FakeNode node;
  VirtualLoop loop;
  Agent agent(node, loop);
  REQUIRE(agent.start());
  agent.other_network = "00-multus.conf";
  node.make_namespace("/netns/a");
  ask(agent, "u1", "none");
  CHECK(agent.call("ADD", "a").success);
  CHECK(node.render() == "link of a/eth0\npackets of a/eth0 pass\n");
}

TEST_CASE("an agent that is killed at any step of ADD or DEL leaves no further interface behind") {
  log::set_level(log::Level::Error);
  for (int step = 1;; ++step) {
    FakeNode node;
    node.make_namespace("/netns/a");
    VirtualLoop loop;
    bool whole = false;
    {
      Agent agent(node, loop);
      REQUIRE(agent.start());
      agent.networks.configs = {{"shop/store", kStore}};
      ask(agent, "u1", "store");
      node.storage.steps = step;
      std::optional<Reply> added, deleted;
      agent.begin("ADD", "a", added);
      loop.advance(1s);
      agent.begin("DEL", "a", deleted);
      loop.advance(1s);
      whole = node.storage.steps > 0;
      node.storage.steps = 0;
    }
    node.storage.steps = FaultStorage::kForever;
    Agent agent(node, loop);
    REQUIRE(agent.start());
    loop.advance(1s);  // leftovers are deleted behind the start
    agent.networks.configs = {{"shop/store", kStore}};
    ask(agent, "u1", "store");
    CHECK(node.extras.size() <= agent.server.attachments());  // a DEL may have begun
    const auto again = agent.call("ADD", "a");
    CHECK_MESSAGE(again.success, "killed at step " << step << ": " << again.output);
    CHECK(node.extras.size() == 1);
    CHECK(agent.call("DEL", "a").success);
    loop.advance(1s);
    CHECK_MESSAGE(node.render() == "", "killed at step " << step << ":\n" << node.render());
    if (whole) break;
  }
}
