// What a Pod's interface is tuned by, against the kernel: bandwidth and sysctls.
#include <doctest/doctest.h>

#include <filesystem>

#include "pod/record.h"
#include "world.h"

using namespace causeway;
using namespace causeway::pod;
using namespace causeway::pod::test;

namespace {

std::string config_with(std::string_view fields) {
  return fmt::format(
      R"({{"cniVersion":"1.1.0","name":"causeway","type":"causeway-cni","agentSocket":"RUN/agent.sock",{}}})", fields);
}

// The shaping at both ends of a Pod's link: "in RATE out RATE", bytes per second.
std::string shaping(World& world, const std::string& pod) {
  auto inside = world.inside(pod);
  const auto in = world.net().token_bucket(world.net().index_of(host_ifname({"id-" + pod, "eth0"})).value()).value();
  const auto out = inside->token_bucket(inside->index_of("eth0").value()).value();
  return fmt::format("in {} out {}", in ? std::to_string(in->rate) : "-", out ? std::to_string(out->rate) : "-");
}

std::string sysctl_in(World& world, const std::string& pod, const std::string& name) {
  return netns::call_in(world.pod(pod), [&] { return netns::read_sysctl(name); }).value();
}

}  // namespace

TEST_CASE("a limit is a token bucket at the end where packets leave, and without one there is none") {
  World world;
  REQUIRE(world.start_agent());
  struct Case {
    const char *pod, *bandwidth, *shaped;
  };
  for (const Case& c :
       {Case{"none", "{}", "in - out -"},
        Case{"in", R"({"ingressRate":10000000,"ingressBurst":4294967295})", "in 1250000 out -"},
        Case{"out", R"({"egressRate":8000000,"egressBurst":800000})", "in - out 1000000"},
        Case{"both", R"({"ingressRate":80000000000,"ingressBurst":800000,"egressRate":1e6,"egressBurst":8e4})",
             "in 10000000000 out 125000"}}) {
    world.make_pod(c.pod);
    const auto added = world.cni("ADD", std::string("id-") + c.pod, world.path_of(c.pod),
                                 config_with(fmt::format(R"("runtimeConfig":{{"bandwidth":{}}})", c.bandwidth)));
    REQUIRE_MESSAGE(added.exit == 0, added.output);
    CHECK(shaping(world, c.pod) == c.shaped);
    CHECK(world.connects(world.node(), world.pod(c.pod), addresses_in(added.output).front()));
  }
  world.make_pod("bad");
  const auto refused = world.cni("ADD", "id-bad", world.path_of("bad"),
                                 config_with(R"("runtimeConfig":{"bandwidth":{"ingressRate":1000000}})"));
  CHECK(refused.exit == 1);
  CHECK(refused.output.find("a rate needs a burst") != std::string::npos);
  CHECK(world.inside("bad")->index_of("eth0").error().code() == Errc::NotFound);
}

TEST_CASE("sysctls are set in the Pod alone; what the kernel keeps for the whole machine is refused with that reason") {
  World world;
  REQUIRE(world.start_agent());
  const auto add = [&](const std::string& pod, std::string_view sysctls) {
    world.make_pod(pod);
    return world.cni("ADD", "id-" + pod, world.path_of(pod), config_with(fmt::format(R"("sysctl":{{{}}})", sysctls)));
  };
  const auto added = add("a", R"("net.ipv4.tcp_fin_timeout":"17","net.ipv4.conf.IFNAME.arp_filter":"1")");
  REQUIRE_MESSAGE(added.exit == 0, added.output);
  CHECK(sysctl_in(world, "a", "ipv4/tcp_fin_timeout") == "17");
  CHECK(sysctl_in(world, "a", "ipv4/conf/eth0/arp_filter") == "1");
  world.make_pod("untouched");
  CHECK(sysctl_in(world, "untouched", "ipv4/tcp_fin_timeout") == "60");

  // On every kernel one for the machine; newer ones keep net.core.rmem_max per namespace.
  const auto machine = add("b", R"("net.ipv4.tcp_mem":"1 2 3")");
  CHECK(machine.exit == 1);
  CHECK(machine.output.find("it holds for the whole machine and cannot be one Pod's") != std::string::npos);
  for (const char* bad :
       {R"("kernel.shm_rmid_forced":"1")", R"("net/../kernel/hostname":"x")", R"("net.ipv4.none":"1")"})
    CHECK_MESSAGE(add("bad" + std::to_string(std::hash<std::string>()(bad)), bad).exit == 1, bad);
  // What was refused left nothing behind.
  CHECK(world.inside("b")->index_of("eth0").error().code() == Errc::NotFound);
}

TEST_CASE("a Pod has the MTU that its annotation asks for on both ends, and no larger one than the node's") {
  World world;
  REQUIRE(world.start_agent());
  const auto add = [&](const std::string& pod, std::string_view mtu) {
    return world.cni(
        "ADD", "id-" + pod, world.path_of(pod),
        config_with(
            fmt::format(R"("runtimeConfig":{{"io.kubernetes.cri.pod-annotations":{{"causeway.io/mtu":"{}"}}}})", mtu)));
  };
  world.make_pod("small");
  const auto added = add("small", "1300");
  REQUIRE_MESSAGE(added.exit == 0, added.output);
  CHECK(added.output.find("\"mtu\":1300") != std::string::npos);
  CHECK(world.inside("small")->link("eth0")->mtu == 1300);
  CHECK(world.net().link(host_ifname({"id-small", "eth0"}))->mtu == 1300);
  CHECK(world.connects(world.node(), world.pod("small"), addresses_in(added.output).front()));
  // A retry has the same answer, also of a new agent.
  world.kill_agent();
  REQUIRE(world.start_agent());
  CHECK(add("small", "1300").output == added.output);

  for (const char* bad : {"1279", "1451", "jumbo"}) {
    world.make_pod(std::string("bad-") + bad);
    const auto refused = add(std::string("bad-") + bad, bad);
    CHECK(refused.exit == 1);
    CHECK(refused.output.find("annotation causeway.io/mtu: \\\"" + std::string(bad)) != std::string::npos);
    CHECK(world.inside(std::string("bad-") + bad)->index_of("eth0").error().code() == Errc::NotFound);
  }
}
