// CHECK and GC, and the two ways in which another plugin makes the interface: the plugin's binary, server and kernel.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "pod/record.h"
#include "world.h"

using namespace causeway;
using namespace causeway::pod;
using namespace causeway::pod::test;

namespace {

Ip ip(const char* text) { return Ip::parse(text).value(); }

int code(const Ran& ran) {
  const size_t at = ran.output.find("\"code\":");
  return ran.exit == 1 && at != std::string::npos ? std::atoi(ran.output.c_str() + at + 7) : -1;
}

std::string config(std::string_view more, std::string_view version = "1.1.0", std::string_view name = "causeway") {
  return fmt::format(R"({{"cniVersion":"{}","name":"{}","type":"causeway-cni","agentSocket":"RUN/agent.sock"{}{}}})",
                     version, name, more.empty() ? "" : ",", more);
}
Ran check(World& world, const std::string& pod, const std::string& result) {
  return world.cni("CHECK", "id-" + pod, world.path_of(pod), config("\"prevResult\":" + result));
}
std::string without(std::string text, std::string_view part) {
  const size_t at = text.find(part);
  REQUIRE(at != std::string::npos);
  return text.erase(at, part.size());
}

// The kernel forgets even permanent neighbours when the last address of a link goes, and when its MAC changes.
void put_gateway(netlink::Rtnetlink& net, IfIndex eth0) {
  const Mac mac = Mac::parse("0a:58:a9:fe:01:01").value();
  REQUIRE(net.apply_one(netlink::PutNeighbour{{.link = eth0, .ip = ip("169.254.1.1"), .mac = mac}}).has_value());
}

// A veth as another plugin leaves it: "veth-POD" on the node, eth0 with 10.9.0.5/24 in the Pod.
std::string make_foreign(World& world, const std::string& pod) {
  const std::string path = world.make_pod(pod);
  const netlink::CreateVeth create{{.name = "veth-" + pod}, {.name = "eth0", .netns_fd = world.pod(pod)}};
  REQUIRE(world.net().apply_one(create).has_value());
  REQUIRE(world.net().apply_one(netlink::SetLink{.link = "veth-" + pod, .up = true}).has_value());
  auto net = world.inside(pod);
  const auto eth0 = net->link("eth0")->index;
  REQUIRE(net->apply_one(netlink::PutAddress{{.link = eth0, .ip = ip("10.9.0.5"), .prefix = 24}}).has_value());
  REQUIRE(net->apply_one(netlink::SetLink{.link = eth0, .up = true}).has_value());
  return fmt::format(
      R"("prevResult":{{"cniVersion":"1.1.0","interfaces":[{{"name":"veth-{}"}},{{"name":"eth0","mac":"{}","sandbox":"{}"}}],)"
      R"("ips":[{{"interface":1,"address":"10.9.0.5/24","gateway":"10.9.0.1"}}],"dns":{{"nameservers":["10.9.0.2"]}}}})",
      pod, net->link("eth0")->mac, path);
}

}  // namespace

TEST_CASE("CHECK finds nothing behind an ADD, and names each thing that somebody changes") {
  World world;
  REQUIRE(world.start_agent());
  world.make_pod("a");
  const auto added = world.add("a");
  REQUIRE(added.exit == 0);
  const auto& result = added.output;
  const auto says = [&](std::string_view what) {
    const auto ran = check(world, "a", result);
    CHECK_MESSAGE(code(ran) == 101, ran.output);
    CHECK_MESSAGE(ran.output.find(what) != std::string::npos, ran.output);
  };
  const auto good = check(world, "a", result);
  CHECK_MESSAGE(good.exit == 0, good.output);
  CHECK(good.output == "");

  auto net = world.inside("a");
  const auto eth0 = net->link("eth0")->index;
  const std::string host = host_ifname({"id-a", "eth0"});
  const auto index = world.net().link(host)->index;
  const netlink::Address address{.link = eth0, .ip = ip("10.1.0.5"), .prefix = 32};
  REQUIRE(net->apply_one(netlink::DeleteAddress{address}).has_value());
  says("interface eth0 does not have its address 10.1.0.5");
  REQUIRE(net->apply_one(netlink::PutAddress{address}).has_value());
  // Its route went with the address.
  const netlink::Route way{
      .destination = Cidr::parse("0.0.0.0/0").value(), .gateway = ip("169.254.1.1"), .link = eth0, .onlink = true};
  (void)net->apply_one(netlink::DeleteRoute{way});
  says("interface eth0 does not have its route 0.0.0.0/0 via 169.254.1.1");
  REQUIRE(net->apply_one(netlink::PutRoute{way}).has_value());
  says("interface eth0 does not have its permanent neighbour 169.254.1.1");
  put_gateway(*net, eth0);
  CHECK(check(world, "a", result).exit == 0);

  REQUIRE(net->apply_one(netlink::SetLink{.link = eth0, .mtu = 1400}).has_value());
  says("interface eth0 has mtu 1400, not 1450");
  REQUIRE(net->apply_one(netlink::SetLink{.link = eth0, .mtu = 1450}).has_value());
  const netlink::Route to_pod{.destination = Cidr::parse("10.1.0.5/32").value(), .link = index};
  REQUIRE(world.net().apply_one(netlink::DeleteRoute{to_pod}).has_value());
  says("the node's route to 10.1.0.5");
  REQUIRE(world.net().apply_one(netlink::PutRoute{to_pod}).has_value());
  REQUIRE(world.net().apply_one(netlink::SetLink{.link = index, .alias = "somebody's"}).has_value());
  says("is not the one that was made for it");
}

TEST_CASE("CHECK lets later plugins of the list change what the answer then tells, and leave out what they took") {
  World world;
  REQUIRE(world.start_agent({"10.1.0.0/24"}));
  world.make_pod("a");
  auto result = world.add("a").output;
  auto net = world.inside("a");
  const auto eth0 = net->link("eth0")->index;
  const Mac other = Mac::parse("02:00:00:00:00:07").value();
  REQUIRE(net->apply_one(netlink::SetLink{.link = eth0, .mac = other}).has_value());
  CHECK(check(world, "a", result).output.find("has MAC 02:00:00:00:00:07, not 0a:58:0a:01:00:05") != std::string::npos);
  put_gateway(*net, eth0);
  const size_t at = result.find("0a:58:0a:01:00:05");
  result.replace(at, 17, to_string(other));
  REQUIRE(world.net()
              .apply_one(netlink::PutNeighbour{
                  {.link = world.net().link(host_ifname({"id-a", "eth0"}))->index, .ip = ip("10.1.0.5"), .mac = other}})
              .has_value());
  CHECK_MESSAGE(check(world, "a", result).exit == 0, check(world, "a", result).output);
  REQUIRE(net->apply_one(netlink::DeleteRoute{{.destination = Cidr::parse("0.0.0.0/0").value(),
                                               .gateway = ip("169.254.1.1"),
                                               .link = eth0,
                                               .onlink = true}})
              .has_value());
  CHECK(check(world, "a", result).exit == 1);
  CHECK(check(world, "a", without(result, R"(,"routes":[{"dst":"0.0.0.0/0","gw":"169.254.1.1"}])")).exit == 0);
}

TEST_CASE("CHECK refuses with the code that fits: unknown container, no prevResult, too old a version, no agent") {
  World world;
  REQUIRE(world.start_agent());
  world.make_pod("a");
  const auto result = world.add("a").output;
  const auto ran = [&](const std::string& container, const std::string& text) {
    return code(world.cni("CHECK", container, world.path_of("a"), text));
  };
  CHECK(ran("other", config("\"prevResult\":" + result)) == 3);
  CHECK(ran("id-a", config("\"prevResult\":" + result, "1.1.0", "other")) == 3);
  CHECK(ran("id-a", config("")) == 7);
  CHECK(ran("id-a", config("\"prevResult\":" + result, "0.3.1")) == 1);
  CHECK(ran("id-a", config(R"("prevResult":{"ips":[{"address":"10.1.0.77/32"}]})")) == 101);
  world.kill_agent();
  CHECK(ran("id-a", config("\"prevResult\":" + result)) == 11);
}

TEST_CASE("GC collects what is not listed, of its network alone, with links and addresses; without a list nothing") {
  World world;
  REQUIRE(world.start_agent({"10.1.0.0/24"}));
  const auto add = [&](const std::string& pod, std::string_view network) {
    world.make_pod(pod);
    return world.cni("ADD", "id-" + pod, world.path_of(pod), config("", "1.1.0", network));
  };
  for (const char* pod : {"a", "b", "c"}) REQUIRE(add(pod, "causeway").exit == 0);
  REQUIRE(add("d", "other").exit == 0);
  const auto gc = [&](std::string_view more) { return world.exec(config(more), {{"CNI_COMMAND", "GC"}}); };
  CHECK(gc("").exit == 0);
  CHECK(world.links().size() == 4);
  CHECK(code(gc(R"("cni.dev/valid-attachments":[{"containerID":"id-a"}])")) == 7);
  CHECK(code(world.exec(config("", "1.0.0"), {{"CNI_COMMAND", "GC"}})) == 1);
  CHECK(world.links().size() == 4);
  const auto collected = gc(R"("cni.dev/valid-attachments":[{"containerID":"id-b","ifname":"eth0"}],)"
                            R"("cni.dev/attachments":[{"containerID":"id-b","ifname":"eth0"}])");
  CHECK(collected.exit == 0);
  CHECK(collected.output == "");
  auto left = world.links();
  std::ranges::sort(left);
  std::vector<std::string> expected{host_ifname({"id-b", "eth0"}), host_ifname({"id-d", "eth0"})};
  std::ranges::sort(expected);
  CHECK(left == expected);
  CHECK(world.net().routes({.protocol = netlink::kRouteProtocol})->size() == 2);
  CHECK(gc(R"("cni.dev/valid-attachments":null)").exit == 0);
  CHECK(world.links() == std::vector<std::string>{host_ifname({"id-d", "eth0"})});
}

TEST_CASE("a GC without an agent is left for the next one, and does not touch what came later") {
  World world;
  REQUIRE(world.start_agent({"10.1.0.0/24"}));
  world.make_pod("a");
  world.make_pod("b");
  REQUIRE(world.add("a").exit == 0);
  world.kill_agent();
  CHECK(world.exec(config(R"("cni.dev/valid-attachments":[])"), {{"CNI_COMMAND", "GC"}}).exit == 0);
  const std::string file = std::filesystem::directory_iterator(world.run() + "/spool")->path();
  CHECK(file.find("/spool/gc-") != std::string::npos);
  std::ifstream in(file);
  const std::string spooled((std::istreambuf_iterator<char>(in)), {});
  REQUIRE(world.start_agent({"10.1.0.0/24"}));
  CHECK(world.links().empty());
  CHECK(!std::filesystem::exists(file));
  REQUIRE(world.add("b").exit == 0);
  world.kill_agent();
  std::ofstream(file) << spooled;
  REQUIRE(world.start_agent({"10.1.0.0/24"}));
  CHECK(world.links().size() == 1);
  CHECK(!std::filesystem::exists(file));
}

TEST_CASE("as another plugin's ipam: addresses with their range and gateway, no interface, given back by DEL") {
  World world;
  REQUIRE(world.start_agent());
  world.make_pod("a");
  const std::string text =
      R"({"cniVersion":"1.0.0","name":"lan","type":"bridge","bridge":"br0","isGateway":true,"ipMasq":true,)"
      R"("ipam":{"type":"causeway-cni","agentSocket":"RUN/agent.sock"})";
  const auto added = world.cni("ADD", "id-a", world.path_of("a"), text + "}");
  CHECK(added.output == R"({"cniVersion":"1.0.0","ips":[{"address":"10.1.0.5/24","gateway":"10.1.0.1"},)"
                        R"({"address":"fd00:1::5/64","gateway":"fd00:1::1"}],)"
                        R"("routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.1"},{"dst":"::/0","gw":"fd00:1::1"}],"dns":{}})");
  CHECK(world.cni("ADD", "id-a", world.path_of("a"), text + "}").output == added.output);
  CHECK(world.links().empty());
  const auto checked = world.cni("CHECK", "id-a", world.path_of("a"), text + ",\"prevResult\":" + added.output + "}");
  CHECK_MESSAGE(checked.exit == 0, checked.output);
  CHECK(world.cni("DEL", "id-a", world.path_of("a"), text + "}").exit == 0);
  CHECK(code(world.cni("CHECK", "id-a", world.path_of("a"), text + ",\"prevResult\":" + added.output + "}")) == 3);
  CHECK(world.cni("ADD", "id-a", world.path_of("a"), text + "}").output.find("10.1.0.6/24") != std::string::npos);
  // What only who makes the interface can do.
  const auto annotated = text + R"(,"runtimeConfig":{"io.kubernetes.cri.pod-annotations":{"causeway.io/mtu":"1300"}}})";
  CHECK(world.cni("ADD", "id-b", world.path_of("a"), annotated).output.find("unsupported annotation causeway.io/mtu") !=
        std::string::npos);
}

TEST_CASE("behind another plugin: its answer is handed on, its interface shaped and tuned, and left as it was by DEL") {
  World world;
  REQUIRE(world.start_agent());
  const std::string previous = make_foreign(world, "a");
  const std::string asked =
      R"("runtimeConfig":{"bandWidth":{"ingressRate":8000000,"ingressBurst":800000,"egressRate":8000000,"egressBurst":800000}},)"
      R"("sysctl":{"net.ipv4.conf.IFNAME.arp_filter":"1"},)";
  const auto added = world.cni("ADD", "id-a", world.path_of("a"), config(asked + previous));
  CHECK_MESSAGE(added.exit == 0, added.output);
  CHECK(added.output == previous.substr(previous.find(':') + 1));
  CHECK(world.links() == std::vector<std::string>{"veth-a"});
  const auto checked = [&] { return world.cni("CHECK", "id-a", world.path_of("a"), config(asked + previous)); };
  CHECK_MESSAGE(checked().exit == 0, checked().output);
  // An agent that starts again knows it still.
  REQUIRE(world.start_agent());
  CHECK_MESSAGE(checked().exit == 0, checked().output);
  REQUIRE(
      netns::run_in(world.pod("a"), [] { return netns::write_sysctl("ipv4/conf/eth0/arp_filter", "0"); }).has_value());
  CHECK(code(checked()) == 101);
  REQUIRE(
      netns::run_in(world.pod("a"), [] { return netns::write_sysctl("ipv4/conf/eth0/arp_filter", "1"); }).has_value());
  CHECK(checked().exit == 0);
  CHECK(world.del("a").exit == 0);
  CHECK(world.links() == std::vector<std::string>{"veth-a"});
  CHECK(world.inside("a")->link("eth0")->up);
  CHECK(code(checked()) == 3);
}

TEST_CASE("behind another plugin: what only that one can do is refused by its name") {
  World world;
  REQUIRE(world.start_agent());
  const std::string previous = make_foreign(world, "a");
  const auto says = [&](std::string_view more) {
    return world.cni("ADD", "id-a", world.path_of("a"), config(std::string(more) + previous)).output;
  };
  CHECK(says(R"("mtu":1400,)").find(R"("code":2,"msg":"unsupported field mtu: 1400")") != std::string::npos);
  CHECK(says(R"("runtimeConfig":{"ips":["10.9.0.7"]},)").find("\"code\":2") != std::string::npos);
  CHECK(says(R"("runtimeConfig":{"mac":"02:00:00:00:00:09"},)").find("\"code\":2") != std::string::npos);
  world.make_pod("b");
  CHECK(world.cni("ADD", "id-b", world.path_of("b"), config(previous)).output.find("\"code\":101") !=
        std::string::npos);
}

TEST_CASE("a DEL succeeds for names that no ADD took, and with more configuration than fits") {
  World world;
  REQUIRE(world.start_agent());
  for (const bool agent : {true, false}) {
    if (!agent) world.kill_agent();
    CHECK(world.cni("DEL", "../../etc", "").exit == 0);
    CHECK(world.cni("DEL", std::string(300, 'a'), "").exit == 0);
    CHECK(world.cni("DEL", "id-a", "", kConfig, {{"CNI_IFNAME", "../x"}}).exit == 0);
    CHECK(world.cni("DEL", "id-a", "", R"({"agentSocket":"RUN/agent.sock","x":")" + std::string(2 << 20, 'x')).exit ==
          0);
    CHECK(code(world.cni("DEL", "", "")) == 4);
  }
  CHECK(code(world.cni("ADD", "id-a", "/run/../etc/hostname")) == 11);
  REQUIRE(world.start_agent());
  for (const char* path : {"/run/../etc/hostname", "netns", "/run/netns/a\nb"})
    CHECK(code(world.cni("ADD", "id-a", path)) == 4);
}
