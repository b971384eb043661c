#include <doctest/doctest.h>

#include <random>

#include "base/log.h"
#include "pod/server_fixture.h"

using namespace causeway;
using namespace causeway::pod;

TEST_CASE("a DEL that comes while its ADD still waits for the data path has its turn after it") {
  FakeNode node;
  VirtualLoop loop;
  Agent agent(node, loop);
  REQUIRE(agent.start());
  node.make_namespace("/netns/a");
  agent.plane.delay = 3s;
  std::optional<Reply> added, deleted;
  agent.begin("ADD", "a", added);
  agent.begin("DEL", "a", deleted);
  loop.advance(2s);
  CHECK(!added);
  CHECK(!deleted);
  CHECK(node.render() == "link of a/eth0\n");
  loop.advance(2s);
  CHECK(added->success);
  CHECK(deleted->success);
  CHECK(node.render() == "");
  CHECK(agent.server.attachments() == 0);
}

TEST_CASE("a data path that does not come fails the ADD with code 11, and link and addresses are gone") {
  log::set_level(log::Level::Error);
  FakeNode node;
  VirtualLoop loop;
  Agent agent(node, loop);
  REQUIRE(agent.start());
  node.make_namespace("/netns/a");
  agent.plane.failure = "fabric has not applied it within 10 s";
  CHECK(
      agent.call("ADD", "a").output ==
      R"j({"cniVersion":"1.1.0","code":11,"msg":"cannot connect container a/eth0","details":"data path: fabric has not applied it within 10 s"})j");
  CHECK(node.render() == "");
  CHECK(agent.server.attachments() == 0);
  agent.plane.failure.clear();
  CHECK(agent.call("ADD", "a").success);
  CHECK(node.render() == "link of a/eth0\npackets of a/eth0 pass\n");
}

TEST_CASE("many DELs are one deletion of links, and an ADD at the same place waits for it") {
  FakeNode node;
  VirtualLoop loop;
  Agent agent(node, loop);
  REQUIRE(agent.start());
  std::optional<Reply> replies[21];
  for (int i = 0; i < 20; ++i) {
    node.make_namespace("/netns/p" + std::to_string(i));
    CHECK(agent.call("ADD", "p" + std::to_string(i)).success);
  }
  const int before = node.reaps;
  for (int i = 0; i < 20; ++i) agent.begin("DEL", "p" + std::to_string(i), replies[i]);
  agent.begin("ADD", "p3", replies[20]);
  loop.run_ready();
  for (int i = 0; i < 20; ++i) CHECK(replies[i]->success);
  CHECK(!replies[20]);
  loop.advance(10ms);
  CHECK(node.reaps == before + 1);
  CHECK(replies[20]->success);
  CHECK(node.render() == "link of p3/eth0\npackets of p3/eth0 pass\n");
}

TEST_CASE("before the node has a network every ADD is told to come back, and STATUS says why") {
  log::set_level(log::Level::Error);
  FakeNode node;
  VirtualLoop loop;
  Agent agent(node, loop);
  REQUIRE(agent.start());
  agent.server.set_network({.not_ready = "Node n1 has no Pod CIDR yet"});
  node.make_namespace("/netns/a");
  CHECK(
      agent.call("ADD", "a").output ==
      R"({"cniVersion":"1.1.0","code":11,"msg":"no Pod can be connected now","details":"Node n1 has no Pod CIDR yet"})");
  CHECK(
      agent.call("STATUS", "").output ==
      R"({"cniVersion":"1.1.0","code":50,"msg":"no Pod can be connected now","details":"Node n1 has no Pod CIDR yet"})");
  CHECK(agent.call("DEL", "a").success);
}

TEST_CASE("a repeated ADD gets the same addresses though the node's network goes away while the Pod is looked up") {
  log::set_level(log::Level::Error);
  FakeNode node;
  VirtualLoop loop;
  Agent agent(node, loop);
  REQUIRE(agent.start());
  node.make_namespace("/netns/a");
  agent.uid = "u1";
  agent.pods.pods["u1"] = {"u1", {}, {}};
  const auto first = agent.call("ADD", "a").output;
  REQUIRE(first.find("\"mtu\":1450") != std::string::npos);
  agent.pods.wait = [&]() -> Task<Status> {
    agent.server.set_network({.not_ready = "waiting: policy"});
    co_return ok();
  };
  CHECK(agent.call("ADD", "a").output == first);
  CHECK(agent.addresses("a").size() == 2);
}

TEST_CASE("a CHECK that comes before the data path knows anything is told to come back") {
  log::set_level(log::Level::Error);
  FakeNode node;
  VirtualLoop loop;
  Agent agent(node, loop);
  REQUIRE(agent.start());
  node.make_namespace("/netns/a");
  const auto result = agent.call("ADD", "a").output;
  const auto check = [&] {
    std::optional<Reply> reply;
    agent.begin("CHECK", "a", reply, R"({"cniVersion":"1.1.0","name":"causeway","prevResult":)" + result + "}");
    loop.advance(10ms);
    return reply.value().output;
  };
  CHECK(check().find("\"code\"") == std::string::npos);
  agent.plane.starting = true;
  CHECK(check().find("\"code\":11") != std::string::npos);
}

TEST_CASE("host ports reach the data path, also after a restart, and other ones make a new attachment") {
  FakeNode node;
  VirtualLoop loop;
  {
    Agent agent(node, loop);
    REQUIRE(agent.start());
    node.make_namespace("/netns/a");
    agent.port_mappings = R"([{"hostPort":80,"containerPort":8080,"protocol":"tcp"}])";
    CHECK(agent.call("ADD", "a").success);
    CHECK(agent.call("ADD", "a").success);  // a retry
    CHECK(node.render() == "link of a/eth0\npackets of a/eth0 pass\nhost ports of a/eth0 80:8080/tcp\n");
  }
  Agent agent(node, loop);
  REQUIRE(agent.start());
  CHECK(node.render() == "link of a/eth0\npackets of a/eth0 pass\nhost ports of a/eth0 80:8080/tcp\n");
  agent.port_mappings = R"([{"hostPort":81,"containerPort":8080,"protocol":"tcp"}])";
  CHECK(agent.call("ADD", "a").success);
  CHECK(node.render() == "link of a/eth0\npackets of a/eth0 pass\nhost ports of a/eth0 81:8080/tcp\n");
  CHECK(agent.call("DEL", "a").success);
  CHECK(node.data_path.empty());
}

TEST_CASE("where a node has no host ports, an ADD that asks for one is refused, and an address of no family too") {
  log::set_level(log::Level::Error);
  FakeNode node;
  node.no_host_ports = "the plane has none";
  VirtualLoop loop;
  {
    Agent agent(node, loop);
    REQUIRE(agent.start());
    node.make_namespace("/netns/a");
    agent.port_mappings = R"([{"hostPort":80,"containerPort":8080,"protocol":"tcp"}])";
    CHECK(
        agent.call("ADD", "a").output ==
        R"({"cniVersion":"1.1.0","code":2,"msg":"unsupported field runtimeConfig.portMappings: 80:8080/tcp","details":"the plane has none"})");
    agent.port_mappings = "[]";
    CHECK(agent.call("ADD", "a").success);
  }
  node.no_host_ports.clear();
  Agent agent(node, loop);
  REQUIRE(agent.start());
  agent.server.set_network({.pod_cidrs = {Cidr::parse("10.1.0.0/27").value()}, .mtu = 1450, .not_ready = ""});
  node.make_namespace("/netns/b");
  agent.port_mappings = R"([{"hostPort":80,"containerPort":8080,"protocol":"tcp","hostIP":"fd00::1"}])";
  CHECK(
      agent.call("ADD", "b").output ==
      R"({"cniVersion":"1.1.0","code":7,"msg":"runtimeConfig.portMappings: hostIP fd00::1 of port 80/tcp is of a family that Pods of this node have no address of"})");
}

TEST_CASE("a Pod that vanished is collected in the second pass, one whose namespace lives is not") {
  FakeNode node;
  VirtualLoop loop;
  Agent agent(node, loop);
  REQUIRE(agent.start());
  for (const char* name : {"stays", "gone"}) {
    node.make_namespace(std::string("/netns/") + name);
    CHECK(agent.call("ADD", name).success);
  }
  node.remove_namespace("/netns/gone");
  loop.advance(61s);
  CHECK(agent.server.attachments() == 2);
  loop.advance(60s);
  CHECK(agent.server.attachments() == 1);
  CHECK(node.render() == "link of stays/eth0\npackets of stays/eth0 pass\n");
}

TEST_CASE("3,000 random ADDs, DELs and kills at any step: kernel, journal and data path always agree in the end") {
  log::set_level(log::Level::Error);
  std::mt19937_64 random(42);
  FakeNode node;
  VirtualLoop loop;
  auto agent = std::make_unique<Agent>(node, loop);
  REQUIRE(agent->start());
  std::map<std::string, std::vector<Ip>> answered;
  int kills = 0;
  for (int i = 0; i < 3000; ++i) {
    loop.advance(std::chrono::milliseconds(random() % 3000));
    const std::string name = "c" + std::to_string(random() % 20);
    const bool lives = answered.contains(name);
    if (!lives && !node.namespaces.contains("/netns/" + name)) node.make_namespace("/netns/" + name);
    if (random() % 4 == 0) node.storage.steps = 1 + random() % 300;
    std::optional<Reply> reply;
    agent->begin(lives ? "DEL" : "ADD", name, reply);
    loop.advance(10ms);
    const bool killed = node.storage.steps == 0;
    // What a killed process would still have answered, nobody heard.
    if (!killed && reply && reply->success && !lives) {
      answered[name] = agent->addresses(name);
      CHECK(answered[name].size() == 2);
    }
    if (!killed && lives) {
      CHECK((reply && reply->success));
      answered.erase(name);
    }
    if (!killed) {
      node.storage.steps = FaultStorage::kForever;
      continue;
    }
    ++kills;
    agent.reset();
    node.storage.steps = FaultStorage::kForever;
    agent = std::make_unique<Agent>(node, loop);
    REQUIRE(agent->start());
    loop.advance(10ms);
    // The runtime cleans up what it heard no answer about.
    CHECK(agent->call("DEL", name).success);
    answered.erase(name);
    loop.advance(10ms);
    std::string expected;
    for (const auto& [known, addresses] : answered) {
      CHECK(agent->addresses(known) == addresses);
      expected += "packets of " + known + "/eth0 pass\n";
    }
    std::set<Ip> all;
    for (const auto& [known, addresses] : answered)
      for (const auto& address : addresses) CHECK(all.insert(address).second);
    CHECK(agent->server.attachments() == answered.size());
    CHECK(node.links.size() == answered.size());
    CHECK(node.render().ends_with(expected));
  }
  CHECK(kills > 200);
}

TEST_CASE(
    "addresses by name come from the runtime and from the Pod's annotation; what cannot be had is refused and told") {
  log::set_level(log::Level::Error);
  FakeNode node;
  VirtualLoop loop;
  Agent agent(node, loop);
  REQUIRE(agent.start());
  for (const char* name : {"a", "b", "c", "d", "e"}) node.make_namespace(std::string("/netns/") + name);
  const auto shown = [](std::vector<Ip> ips) {
    std::string text;
    for (const Ip& ip : ips) text += (text.empty() ? "" : " ") + to_string(ip);
    return text;
  };
  agent.ips = R"("10.1.0.9/27")";
  CHECK(agent.call("ADD", "a").success);
  CHECK(agent.addresses("a").front() == Ip::parse("10.1.0.9").value());
  CHECK(agent.addresses("a").size() == 2);  // the other family as usual
  CHECK(agent.call("ADD", "a").success);    // again: the same answer
  CHECK(agent.server.attachments() == 1);

  // Taken: by runtime, or by annotation; nothing of it stays.
  auto refused = agent.call("ADD", "b");
  CHECK(refused.output.find("\"code\":102") != std::string::npos);
  CHECK(refused.output.find("address 10.1.0.9 is taken by container a/eth0") != std::string::npos);
  agent.ips.clear();
  agent.uid = "u1";
  agent.pods.pods["u1"] = {"u1", {{"causeway.io/addresses", "10.1.0.9"}}};
  agent.told.clear();
  CHECK(agent.call("ADD", "b").output.find("\"code\":102") != std::string::npos);
  CHECK(agent.told == "AddressRefused: address 10.1.0.9 is taken by container a/eth0\n");
  CHECK(agent.server.attachments() == 1);
  CHECK(node.links.size() == 1);

  agent.pods.pods["u1"].annotations["causeway.io/addresses"] = "10.1.0.10,fd00::77";
  CHECK(agent.call("ADD", "b").success);
  CHECK(shown(agent.addresses("b")) == "10.1.0.10 fd00::77");

  agent.told.clear();
  agent.uid = "u2";
  agent.pods.pods["u2"] = {"u2", {{"causeway.io/addresses", "nonsense"}}};
  CHECK(agent.call("ADD", "c").output.find("\"code\":7") != std::string::npos);
  CHECK(agent.told == "InvalidAddressAnnotation: annotation causeway.io/addresses: \"nonsense\" is no address\n");
  agent.told.clear();
  agent.pods.pods["u2"].annotations["causeway.io/addresses"] = "10.9.0.9";
  CHECK(agent.call("ADD", "c").output.find("\"code\":102") != std::string::npos);
  CHECK(agent.told ==
        "AddressRefused: address 10.9.0.9 is outside of this node's ranges (10.1.0.0/27), and no AddressReservation "
        "promises "
        "it to Pod shop/web\n");

  // What a Pod wants is not known: it does not start with something else.
  agent.pods.away = true;
  CHECK(agent.call("ADD", "d").output.find("\"code\":11") != std::string::npos);
  agent.pods.away = false;
  agent.uid = "never-heard-of";
  CHECK(agent.call("ADD", "d").success);
  agent.uid = "u1";
  CHECK(agent.call("DEL", "b").success);
  CHECK(agent.call("ADD", "e").success);  // its address, at once again
  CHECK(shown(agent.addresses("e")) == "10.1.0.10 fd00::77");
}

TEST_CASE("a Pod keeps its addresses: claimed before its link is made, nobody else's, and its successor's") {
  log::set_level(log::Level::Error);
  FakeNode node;
  VirtualLoop loop;
  Agent agent(node, loop);
  REQUIRE(agent.start());
  for (const char* name : {"a", "b", "c", "d", "e"}) node.make_namespace(std::string("/netns/") + name);
  agent.uid = "u1";
  agent.pods.pods["u1"] = {"u1", {{"causeway.io/keep-addresses", "true"}}, {}};
  agent.reservations.refuses = "it is reserved for Pod shop/other";
  const auto refused = agent.call("ADD", "a");
  CHECK(refused.output.find("\"code\":102") != std::string::npos);
  CHECK(agent.told == "AddressRefused: it is reserved for Pod shop/other\n");
  CHECK(node.links.empty());
  CHECK(agent.server.attachments() == 0);

  agent.reservations.refuses.clear();
  CHECK(agent.call("ADD", "a").success);
  const auto kept = agent.addresses("a");
  CHECK(agent.reservations.claims == fmt::format("{} shop/web u1\n{} shop/web u1\n", kept.at(0), kept.at(1)));
  // Its successor has the same, though the address of one that was released rests; nobody else gets it by name.
  agent.uid = "u2";
  agent.pods.pods["u2"] = agent.pods.pods["u1"];
  CHECK(agent.call("ADD", "b").output.find("still held by an earlier life of Pod shop/web") != std::string::npos);
  CHECK(agent.call("DEL", "a").success);
  CHECK(agent.call("ADD", "b").success);
  CHECK(agent.addresses("b") == kept);
  CHECK(agent.call("DEL", "b").success);
  agent.uid.clear();
  agent.ips = fmt::format("\"{}\"", kept.at(0));
  CHECK(agent.call("ADD", "c").output.find("is reserved for Pod shop/web") != std::string::npos);
  agent.ips.clear();

  // One that says neither yes nor no, and one that the API does not know (its runtime passed the annotation).
  agent.uid = "u3";
  agent.pods.pods["u3"] = {"u3", {{"causeway.io/keep-addresses", "yes"}}, {}};
  CHECK(agent.call("ADD", "d").output.find("is neither \\\"true\\\" nor \\\"false\\\"") != std::string::npos);
  CHECK(agent.server.attachments() == 0);
}

TEST_CASE("a Pod whose name never comes again cannot keep its addresses; a StatefulSet's can") {
  log::set_level(log::Level::Error);
  FakeNode node;
  VirtualLoop loop;
  Agent agent(node, loop);
  REQUIRE(agent.start());
  node.make_namespace("/netns/a");
  agent.uid = "u1";
  agent.pods.pods["u1"] = {.uid = "u1",
                           .annotations = {{"causeway.io/keep-addresses", "true"}},
                           .owner = {"ReplicaSet", "web-5d4f", "r1"},
                           .name_is_generated = true};
  CHECK(agent.call("ADD", "a").output.find("\"code\":7") != std::string::npos);
  CHECK(agent.told ==
        "InvalidAddressAnnotation: annotation causeway.io/keep-addresses: the name of Pod shop/web was generated for "
        "ReplicaSet web-5d4f and never comes again, so nobody would get its addresses; only Pods whose names come back "
        "can keep them, as those of a StatefulSet\n");
  CHECK(agent.reservations.claims.empty());
  CHECK(agent.server.attachments() == 0);
  agent.pods.pods["u1"].owner = {};
  CHECK(agent.call("ADD", "a").output.find("was generated and never comes again") != std::string::npos);
  agent.pods.pods["u1"].owner = {"StatefulSet", "web", "s1"};
  CHECK(agent.call("ADD", "a").success);
  CHECK(agent.reservations.promised.size() == 2);
}

TEST_CASE("a Pod has the MTU that it asks for; one that cannot be keeps it from starting and is told to it") {
  log::set_level(log::Level::Error);
  FakeNode node;
  VirtualLoop loop;
  Agent agent(node, loop);
  REQUIRE(agent.start());
  node.make_namespace("/netns/a");
  agent.uid = "u1";
  agent.pods.pods["u1"] = {"u1", {{"causeway.io/mtu", "9000"}}, {}};
  CHECK(agent.call("ADD", "a").output.find("\"code\":7") != std::string::npos);
  CHECK(agent.told ==
        "InvalidMtuAnnotation: annotation causeway.io/mtu: \"9000\" is more than the 1450 that Pods of this node "
        "have\n");
  CHECK(node.render() == "");
  CHECK(agent.server.attachments() == 0);
  agent.pods.pods["u1"].annotations["causeway.io/mtu"] = "1300";
  CHECK(agent.call("ADD", "a").output.find("\"mtu\":1300") != std::string::npos);
  // A new wish is a new link.
  agent.pods.pods["u1"].annotations.clear();
  CHECK(agent.call("ADD", "a").output.find("\"mtu\":1450") != std::string::npos);
}

TEST_CASE("an attachment whose Pod the API had, and has not for ten minutes, is collected; what it never had is not") {
  log::set_level(log::Level::Error);
  FakeNode node;
  VirtualLoop loop;
  Agent agent(node, loop);
  REQUIRE(agent.start());
  for (const char* name : {"a", "b", "c"}) node.make_namespace(std::string("/netns/") + name);
  CHECK(agent.call("ADD", "a").success);  // no Pod
  agent.uid = "static";
  CHECK(agent.call("ADD", "b").success);  // the API knows no Pod of this uid
  agent.uid = "u1";
  agent.pods.pods["u1"] = {"u1", {}};
  CHECK(agent.call("ADD", "c").success);
  loop.advance(300s);
  agent.pods.pods.clear();
  loop.advance(540s);
  CHECK(agent.server.attachments() == 3);
  agent.pods.away = true;  // nothing is said while the API is not heard
  loop.advance(600s);
  CHECK(agent.server.attachments() == 3);
  agent.pods.away = false;
  loop.advance(120s);
  CHECK(agent.server.attachments() == 2);
  CHECK(agent.addresses("c").empty());
  CHECK(agent.addresses("a").size() == 2);
  CHECK(agent.addresses("b").size() == 2);
}
