// The plugin's binary, the CNI server and the kernel together, as a container runtime drives them.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "pod/record.h"
#include "world.h"

using namespace causeway;
using namespace causeway::pod;
using namespace causeway::pod::test;

namespace {

Ip ip(const char* text) { return Ip::parse(text).value(); }

// What is inside a Pod, without the kernel's own entries.
std::string inside_of(World& world, const std::string& pod) {
  auto net = world.inside(pod);
  std::string text;
  IfIndex eth0{};
  for (const auto& link : net->links().value()) {
    if (link.name == "eth0") eth0 = link.index;
    text += fmt::format("{} {} mtu {} {}\n", link.name, link.mac, link.mtu, link.up ? "up" : "down");
  }
  for (auto address : net->addresses().value())
    if (address.link == eth0) address.link = IfIndex{0}, text += to_string(address) + "\n";
  auto routes = net->routes({.protocol = netlink::kRouteProtocol}).value();
  for (auto& route : routes) route.link = IfIndex{0}, text += to_string(route) + "\n";
  for (auto neighbour : net->neighbours().value()) neighbour.link = IfIndex{0}, text += to_string(neighbour) + "\n";
  return text;
}

}  // namespace

TEST_CASE("ADD makes the Pod's interface with both families, answers as specified, and packets pass at once") {
  World world;
  REQUIRE(world.start_agent());
  world.make_pod("a");
  world.make_pod("b");
  const auto a = world.add("a");
  // No waiting in between: an address that still looked for duplicates could not be bound.
  CHECK(world.connects(world.node(), world.pod("a"), ip("fd00:1::5")));
  CHECK(world.connects(world.node(), world.pod("a"), ip("10.1.0.5")));
  const std::string host = host_ifname({"id-a", "eth0"});
  CHECK(a.exit == 0);
  CHECK(a.output == R"({"cniVersion":"1.1.0","interfaces":[{"name":")" + host +
                        R"(","mac":"0a:58:a9:fe:01:01","mtu":1450},)"
                        R"({"name":"eth0","mac":"0a:58:0a:01:00:05","sandbox":")" +
                        world.path_of("a") +
                        R"(","mtu":1450}],)"
                        R"("ips":[{"interface":1,"address":"10.1.0.5/32","gateway":"169.254.1.1"},)"
                        R"({"interface":1,"address":"fd00:1::5/128","gateway":"fe80::1"}],)"
                        R"("routes":[{"dst":"0.0.0.0/0","gw":"169.254.1.1"},{"dst":"::/0","gw":"fe80::1"}],"dns":{}})");
  CHECK(inside_of(world, "a") ==
        "lo 00:00:00:00:00:00 mtu 65536 up\n"
        "eth0 0a:58:0a:01:00:05 mtu 1450 up\n"
        "address 10.1.0.5/32 dev 0\n"
        "address fd00:1::5/128 dev 0 nodad\n"
        "route 0.0.0.0/0 via 169.254.1.1 onlink proto 202\n"
        "route ::/0 via fe80::1 onlink proto 202\n"
        "neighbour 169.254.1.1 lladdr 0a:58:a9:fe:01:01 dev 0\n"
        "neighbour fe80::1 lladdr 0a:58:a9:fe:01:01 dev 0\n");

  REQUIRE(world.add("b").exit == 0);
  CHECK(world.connects(world.pod("a"), world.pod("b"), ip("10.1.0.6")));
  CHECK(world.connects(world.pod("b"), world.pod("a"), ip("fd00:1::5")));
  CHECK(world.connects(world.pod("a"), world.pod("b"), ip("fd00:1::6")));

  const auto link = world.net().link(host).value();
  CHECK(link.mac == Mac::parse("0a:58:a9:fe:01:01").value());
  CHECK(link.up);
  const auto record = parse_alias(link.alias);
  REQUIRE(record.has_value());
  CHECK(to_string(record->key) == "id-a/eth0");
  CHECK(record->addresses == std::vector<Ip>{ip("10.1.0.5"), ip("fd00:1::5")});
  for (const auto& address : world.net().addresses().value()) CHECK(address.link != link.index);
}

TEST_CASE("the node's end has IPv6 where the Pod has, and no routes of it where the Pod has none") {
  for (const bool both : {true, false}) {
    World world;
    REQUIRE(world.start_agent(both ? std::vector<std::string>{"10.1.0.0/24", "fd00:1::/64"}
                                   : std::vector<std::string>{"10.1.0.0/24"}));
    world.make_pod("a");
    const auto added = world.add("a");
    REQUIRE_MESSAGE(added.exit == 0, added.output);
    const std::string name = "ipv6/conf/" + host_ifname({"id-a", "eth0"}) + "/disable_ipv6";
    CHECK(netns::call_in(world.node(), [&] { return netns::read_sysctl(name); }).value() == (both ? "0" : "1"));
    CHECK(world.connects(world.node(), world.pod("a"), ip("10.1.0.5")));
  }
}

TEST_CASE("DEL removes all, also the second time, without namespace, and for what never was") {
  World world;
  REQUIRE(world.start_agent());
  world.make_pod("a");
  REQUIRE(world.add("a").exit == 0);
  for (int i = 0; i < 2; ++i) {
    const auto gone = world.del("a");
    CHECK(gone.exit == 0);
    CHECK(gone.output == "");
  }
  CHECK(world.links().empty());
  CHECK(world.net().routes({.protocol = netlink::kRouteProtocol})->empty());
  CHECK(world.inside("a")->link("eth0").error().code() == Errc::NotFound);
  CHECK(world.cni("DEL", "never", "").exit == 0);
  // The namespace dies first; the configuration meanwhile is another.
  REQUIRE(world.add("a").exit == 0);
  world.remove_pod("a");
  CHECK(world.cni("DEL", "id-a", "", R"({"cniVersion":"1.0.0","name":"other","agentSocket":"RUN/agent.sock","frob":1})")
            .exit == 0);
  CHECK(world.links().empty());
}

TEST_CASE("an ADD right behind the DEL of the same interface waits for its link to go, and gets another address") {
  World world;
  REQUIRE(world.start_agent());
  world.make_pod("a");
  std::set<Ip> seen;
  for (int i = 0; i < 5; ++i) {
    const auto added = world.add("a");
    REQUIRE(added.exit == 0);
    for (const auto& address : addresses_in(added.output)) CHECK(seen.insert(address).second);
    REQUIRE(world.del("a").exit == 0);
  }
  CHECK(world.links().empty());
}

TEST_CASE("a repeated ADD of the same attachment gets the same answer; another container cannot take the interface") {
  World world;
  REQUIRE(world.start_agent());
  world.make_pod("a");
  const auto first = world.add("a");
  REQUIRE(first.exit == 0);
  CHECK(world.add("a").output == first.output);
  const auto other = world.cni("ADD", "other", world.path_of("a"));
  CHECK(other.exit == 1);
  CHECK(other.output.starts_with(
      R"({"cniVersion":"1.1.0","code":101,"msg":"Pod shop/other (other/eth0) has an interface of that name already")"));
  CHECK(world.links() == std::vector<std::string>{host_ifname({"id-a", "eth0"})});
  CHECK(world.connects(world.node(), world.pod("a"), addresses_in(first.output).front()));
}

TEST_CASE("each version of the specification gets its own shape") {
  World world;
  REQUIRE(world.start_agent({"10.1.0.0/24"}));
  for (const char* version : {"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"}) {
    const std::string pod = std::string("v") + version;
    world.make_pod(pod);
    const auto added = world.cni("ADD", "id-" + pod, world.path_of(pod),
                                 R"({"cniVersion":")" + std::string(version) +
                                     R"(","name":"causeway","type":"causeway-cni","agentSocket":"RUN/agent.sock"})");
    CHECK(added.exit == 0);
    CHECK(added.output.find(R"({"cniVersion":")" + std::string(version) + "\"") == 0);
    CHECK((added.output.find("\"ip4\"") != std::string::npos) == (std::string_view(version) < "0.3"));
    CHECK((added.output.find("\"version\":\"4\"") != std::string::npos) ==
          (version[0] == '0' && std::string_view(version) >= "0.3"));
    CHECK((added.output.find("\"mtu\"") != std::string::npos) == (std::string_view(version) == "1.1.0"));
  }
}

TEST_CASE("what cannot be right is refused with code and cause, and leaves nothing") {
  World world;
  REQUIRE(world.start_agent());
  world.make_pod("a");
  const auto code = [](const Ran& ran) {
    const size_t at = ran.output.find("\"code\":");
    return ran.exit == 1 && at != std::string::npos ? std::atoi(ran.output.c_str() + at + 7) : -1;
  };
  const auto with = [&](std::string_view fields) {
    return world.cni("ADD", "id-a", world.path_of("a"), fmt::format(R"({{"agentSocket":"RUN/agent.sock"{}}})", fields));
  };
  CHECK(code(with(R"(,"cniVersion":"9.0.0","name":"n")")) == 1);
  CHECK(code(with(R"(,"name":"n","frob":true)")) == 2);
  CHECK(code(with(R"(,"name":"n","mtu":12)")) == 7);
  CHECK(with(R"(,"name":"n","mtu":1000)")
            .output.find("mtu 1000 is below 1280, which the IPv6 of Pod CIDR fd00:1::/64 needs") != std::string::npos);
  CHECK(code(with("")) == 7);
  CHECK(code(world.cni("ADD", "id-a", world.path_of("a"), "{\"agentSocket\":\"RUN/agent.sock\",")) == 6);
  CHECK(code(world.cni("ADD", "", world.path_of("a"))) == 4);
  CHECK(code(world.cni("ADD", "id-a", "")) == 4);
  CHECK(code(world.cni("ADD", "id-a", "/nowhere")) == 4);
  CHECK(code(world.cni("ADD", "id-a", "/etc/hostname")) == 4);
  CHECK(code(world.cni("CHECK", "id-a", world.path_of("a"))) == 7);
  CHECK(code(world.cni("FROB", "id-a", world.path_of("a"))) == 4);
  CHECK(code(world.cni("ADD", "id-a", world.path_of("a"), kConfig, {{"CNI_IFNAME", "a/b"}})) == 4);
  CHECK(code(world.cni("ADD", "id-a", world.path_of("a"), kConfig, {{"CNI_ARGS", "X=1"}})) == 4);
  for (const char* bad : {"eth%d", "all", "default"}) {
    CHECK(code(world.cni("ADD", "id-a", world.path_of("a"), kConfig, {{"CNI_IFNAME", bad}})) == 4);
    CHECK(world.cni("DEL", "id-a", world.path_of("a"), kConfig, {{"CNI_IFNAME", bad}}).exit == 0);
  }
  for (const char* bad : {"K8S_POD_NAME=st,metadata.namespace=default",
                          "K8S_POD_NAMESPACE=../nodes?x=", "K8S_POD_NAME=a\r\nb", "K8S_POD_UID=a/b"}) {
    CHECK(code(world.cni("ADD", "id-a", world.path_of("a"), kConfig, {{"CNI_ARGS", bad}})) == 4);
    // What was never made has nothing to delete.
    CHECK(world.cni("DEL", "id-a", world.path_of("a"), kConfig, {{"CNI_ARGS", bad}}).exit == 0);
  }
  CHECK(code(world.cni("ADD", "id-a", world.path_of("a"), std::string(2 << 20, ' '))) == 7);
  CHECK(world.links().empty());
  // The node's own namespace, under another name.
  REQUIRE(netns::pin(world.node(), world.path_of("node")).has_value());
  CHECK(world.cni("ADD", "id-a", world.path_of("node")).output.find("is the node's own network namespace") !=
        std::string::npos);
  CHECK(world.links().empty());
}

TEST_CASE("a configuration of nearly 1 MiB goes through") {
  World world;
  REQUIRE(world.start_agent());
  world.make_pod("a");
  const std::string fill(1000 * 1024, 'x');
  const auto added =
      world.cni("ADD", "id-a", world.path_of("a"),
                R"({"agentSocket":"RUN/agent.sock","cniVersion":"1.0.0","name":"n","args":{"x":")" + fill + "\"}}");
  CHECK(added.exit == 0);
}

TEST_CASE("eight ADDs at once, eight times") {
  World world;
  REQUIRE(world.start_agent());
  for (int i = 0; i < 64; ++i) world.make_pod("p" + std::to_string(i));
  std::vector<Ran> ran(64);
  std::vector<std::thread> runtimes;
  for (int lane = 0; lane < 8; ++lane)
    runtimes.emplace_back([&, lane] {
      for (int i = lane; i < 64; i += 8) ran[i] = world.add("p" + std::to_string(i));
    });
  for (auto& runtime : runtimes) runtime.join();
  std::set<Ip> seen;
  for (int i = 0; i < 64; ++i) {
    REQUIRE_MESSAGE(ran[i].exit == 0, ran[i].output);
    for (const auto& address : addresses_in(ran[i].output)) CHECK(seen.insert(address).second);
  }
  CHECK(seen.size() == 128);
  CHECK(world.connects(world.pod("p3"), world.pod("p60"), addresses_in(ran[60].output).front()));
  runtimes.clear();
  for (int lane = 0; lane < 8; ++lane)
    runtimes.emplace_back([&, lane] {
      for (int i = lane; i < 64; i += 8) ran[i] = world.del("p" + std::to_string(i));
    });
  for (auto& runtime : runtimes) runtime.join();
  for (const auto& one : ran) CHECK(one.exit == 0);
  CHECK(world.links().empty());
}

TEST_CASE("a used-up Pod CIDR is named with how many Pods hold it, and STATUS says 50") {
  World world;
  REQUIRE(world.start_agent({"10.1.0.0/30"}));
  for (int i = 0; i < 4; ++i) {
    world.make_pod("p" + std::to_string(i));
    CHECK(world.add("p" + std::to_string(i)).exit == 0);
  }
  world.make_pod("more");
  CHECK(
      world.add("more").output ==
      R"j({"cniVersion":"1.1.0","code":100,"msg":"cannot connect Pod shop/id-more (id-more/eth0)","details":"Pod CIDR 10.1.0.0/30 has no free address: 4 of 4 are held by Pods, 0 were released less than 30 s ago; of this node's attachments 4 by namespace shop"})j");
  CHECK(
      world.cni("STATUS", "", "").output ==
      R"j({"cniVersion":"1.1.0","code":50,"msg":"no Pod can be connected now","details":"Pod CIDR 10.1.0.0/30 has no free address: 4 of 4 are held by Pods, 0 were released less than 30 s ago; of this node's attachments 4 by namespace shop"})j");
}

TEST_CASE("VERSION needs no agent, STATUS knows whether there is one, ADD gives up within 2 s, DEL is spooled") {
  World world;
  CHECK(world.cni("VERSION", "", "").output ==
        R"({"cniVersion":"1.1.0","supportedVersions":["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]})");
  const auto status = world.cni("STATUS", "", "");
  CHECK(status.exit == 1);
  CHECK(status.output.find("\"code\":50,") != std::string::npos);

  world.make_pod("a");
  REQUIRE(world.start_agent());
  CHECK(world.cni("STATUS", "", "").output == "");
  CHECK(world.cni("STATUS", "", "").exit == 0);
  const auto added = world.add("a");
  REQUIRE(added.exit == 0);
  world.kill_agent();

  world.make_pod("b");
  const auto refused = world.add("b");
  CHECK(refused.exit == 1);
  CHECK(refused.output.find("\"code\":11,") != std::string::npos);
  CHECK(refused.milliseconds < 2000);
  for (int i = 0; i < 3; ++i) CHECK(world.del("a").exit == 0);
  const auto records = std::distance(std::filesystem::directory_iterator(world.run() + "/spool"), {});
  CHECK(records == 1);
  CHECK(world.links().size() == 1);
  // The agent comes back: what was spooled is done before it listens.
  REQUIRE(world.start_agent());
  CHECK(std::filesystem::is_empty(world.run() + "/spool"));
  CHECK(world.links().empty());
  const auto again = world.add("b");
  CHECK(addresses_in(again.output).front() != addresses_in(added.output).front());  // it cools still
}

TEST_CASE("a DEL does not wait for an agent that hangs, and is done when that goes on or comes again") {
  World world;
  world.make_pod("a");
  world.make_pod("b");
  REQUIRE(world.start_agent());
  REQUIRE(world.add("a").exit == 0);
  world.freeze_agent();
  const auto deleted = world.del("a");
  CHECK(deleted.exit == 0);
  CHECK(deleted.milliseconds < 8000);  // kubelet's patience with all of a Pod's end is 30 s
  CHECK(world.links().size() == 1);
  world.kill_agent();
  REQUIRE(world.start_agent());
  CHECK(world.links().empty());
  REQUIRE(world.add("b").exit == 0);
}

TEST_CASE("a spooled DEL does not touch a later life of the same attachment") {
  World world;
  CHECK(world.cni("DEL", "id-a", "").exit == 0);
  const std::string file = std::filesystem::directory_iterator(world.run() + "/spool")->path();
  std::ifstream in(file);
  const std::string spooled((std::istreambuf_iterator<char>(in)), {});
  REQUIRE(world.start_agent());
  world.make_pod("a");
  REQUIRE(world.add("a").exit == 0);
  world.kill_agent();
  std::ofstream(file) << spooled;
  REQUIRE(world.start_agent());
  CHECK(world.links().size() == 1);
  CHECK(!std::filesystem::exists(file));
}

TEST_CASE("an ADD that waits for an agent is served when the agent comes") {
  World world;
  world.make_pod("a");
  Ran added;
  std::thread runtime([&] { added = world.add("a"); });
  REQUIRE(world.start_agent());
  runtime.join();
  CHECK(added.exit == 0);
}

TEST_CASE("a Pod that vanished without a DEL gives its address back, one that lives keeps it") {
  World world;
  REQUIRE(world.start_agent({"10.1.0.0/31"}));
  world.make_pod("lives");
  world.make_pod("vanishes");
  REQUIRE(world.add("lives").exit == 0);
  REQUIRE(world.add("vanishes").exit == 0);
  world.remove_pod("vanishes");
  // The test agent collects every 200 ms; the address it finds cools, which the message tells.
  world.make_pod("new");
  std::string message;
  for (int i = 0; i < 200 && message.find("1 of 2 are held by Pods, 1 were released") == std::string::npos; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    message = world.add("new").output;
  }
  CHECK(message.find("1 of 2 are held by Pods, 1 were released") != std::string::npos);
  CHECK(world.links() == std::vector<std::string>{host_ifname({"id-lives", "eth0"})});
}

TEST_CASE("a lost journal is rebuilt from the links, and no living address is given twice") {
  World world;
  REQUIRE(world.start_agent({"10.1.0.0/29"}));
  std::set<Ip> seen;
  for (int i = 0; i < 3; ++i) {
    world.make_pod("p" + std::to_string(i));
    for (const auto& address : addresses_in(world.add("p" + std::to_string(i)).output)) seen.insert(address);
  }
  world.kill_agent();
  std::filesystem::remove(world.run() + "/ipam/journal");
  REQUIRE(world.start_agent({"10.1.0.0/29"}));
  for (int i = 3; i < 5; ++i) {
    world.make_pod("p" + std::to_string(i));
    for (const auto& address : addresses_in(world.add("p" + std::to_string(i)).output))
      CHECK(seen.insert(address).second);
  }
  CHECK(seen.size() == 5);
  CHECK(world.del("p0").exit == 0);
  CHECK(world.links().size() == 4);
}

// Not a test: `pod_kernel --no-skip -tc="figures*"` prints what a call costs on this machine.
TEST_CASE("figures: ADD and DEL, one after the other and eight at once" * doctest::skip()) {
  World world;
  REQUIRE(world.start_agent({"10.1.0.0/22", "fd00:1::/64"}));
  constexpr int kPods = 200;
  for (int i = 0; i < kPods; ++i) world.make_pod("p" + std::to_string(i));
  const auto print = [](const char* what, std::vector<double> times) {
    std::ranges::sort(times);
    fmt::print("{}: p50 {:.2f} ms, p95 {:.2f} ms, p99 {:.2f} ms\n", what, times[times.size() / 2],
               times[times.size() * 95 / 100], times[times.size() * 99 / 100]);
  };
  for (const char* command : {"ADD", "DEL"}) {
    std::vector<double> times;
    for (int i = 0; i < kPods; ++i) {
      const auto name = "p" + std::to_string(i);
      const auto ran = world.cni(command, "id-" + name, world.path_of(name));
      CHECK(ran.exit == 0);
      times.push_back(ran.milliseconds);
    }
    print(command, times);
  }
  for (const char* command : {"ADD", "DEL"}) {
    std::vector<double> times(kPods);
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::thread> lanes;
    for (int lane = 0; lane < 8; ++lane)
      lanes.emplace_back([&, lane] {
        for (int i = lane; i < kPods; i += 8) {
          const auto name = "p" + std::to_string(i);
          times[i] = world.cni(command, "id2-" + name, world.path_of(name)).milliseconds;
        }
      });
    for (auto& lane : lanes) lane.join();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    print(fmt::format("8 x {} ({:.0f}/s)", command, kPods / took.count()).c_str(), times);
  }
}
