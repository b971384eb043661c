#include "pod/tuning/tuning.h"

#include <doctest/doctest.h>

#include "pod/tuning/compile.h"
#include "pod/tuning/sysctls.h"

using namespace causeway;
using namespace causeway::pod;

TEST_CASE("a limit follows the rules of the CNI project's plugin, and nonsense is named") {
  const auto text = [](std::optional<double> rate, std::optional<double> burst) -> std::string {
    auto limit = parse_limit("ingress", rate, burst);
    if (!limit) return limit.error().message();
    return *limit ? fmt::format("{}/{}", (*limit)->rate, (*limit)->burst) : "none";
  };
  CHECK(text({}, {}) == "none");
  CHECK(text(0, 0) == "none");
  CHECK(text(1e7, 8e4) == "10000000/80000");
  CHECK(text(1e7, 4294967295.) == "10000000/0");
  CHECK(text(1e7, {}) == "ingressRate 10000000 without ingressBurst: a rate needs a burst");
  CHECK(text({}, 8e4) == "ingressBurst 80000 without ingressRate: a burst needs a rate");
  CHECK(text(-1, 1) == "ingressRate -1 and ingressBurst 1 must be whole numbers of bits, not negative");
  CHECK(text(1000.5, 1) == "ingressRate 1000.5 and ingressBurst 1 must be whole numbers of bits, not negative");
  CHECK(text(1e300, 1).starts_with("ingressRate 1000000000"));
  CHECK(text(800, 200) == "800/200");
  CHECK(text(7, 1) == "ingressRate 7 must be from 8 bit/s to 1000000000000 bit/s");
  CHECK(text(1e7, 1e12) == "ingressBurst 1000000000000 must be at most 34359738360 bits (4 GB)");
}

TEST_CASE("bandwidth survives the journal, and a damaged word is refused") {
  for (const Bandwidth& bandwidth :
       {Bandwidth{}, Bandwidth{.ingress = Limit{10'000'000, 0}}, Bandwidth{.egress = Limit{5000, 8000}},
        Bandwidth{.ingress = Limit{1'000'000'000'000, 1}, .egress = Limit{1000, 0}}})
    CHECK(parse_bandwidth(to_string(bandwidth)).value() == bandwidth);
  CHECK(to_string(Bandwidth{.ingress = Limit{10'000'000, 0}}) == "10000000/0:");
  for (const char* word : {"", "1000/0", "1000:1000", "x/0:", "1000/0:1/0:", "7/0:", "-1000/0:"})
    CHECK(!parse_bandwidth(word));
}

TEST_CASE("a token bucket lets at least a frame pass and little more than the rate") {
  CHECK(to_string(compile_bucket({10'000'000, 0}, 1500)) == "tbf rate 1250000bps burst 31250b limit 293394b");
  CHECK(to_string(compile_bucket({1'000'000'000, 0}, 1500)) == "tbf rate 125000000bps burst 3125000b limit 6250000b");
  CHECK(to_string(compile_bucket({10'000'000, 8}, 1500)) == "tbf rate 1250000bps burst 1518b limit 263662b");
  CHECK(to_string(compile_bucket({10'000'000, 800'000}, 1500)) == "tbf rate 1250000bps burst 100000b limit 362144b");
  CHECK(to_string(compile_bucket({1000, 0}, 65535)) == "tbf rate 125bps burst 655530b limit 917674b");
}

TEST_CASE("what the kernel has is compared with what was asked for") {
  const Limit limit{10'000'000, 0};
  auto found = compile_bucket(limit, 1500);
  CHECK(differs(found, limit, 1500) == "");
  found.burst += 1;  // the kernel's rounding
  CHECK(differs(found, limit, 1500) == "");
  CHECK(differs({}, {}, 1500) == "");
  CHECK(differs({}, limit, 1500) == "is not shaped; should be tbf rate 1250000bps burst 31250b limit 293394b");
  CHECK(differs(found, {}, 1500).ends_with("and should not be"));
  // Bursts that take longer than 274 s come back with their highest bits lost.
  CHECK(differs(Bucket{.rate = 1, .burst = 7, .limit = 277324}, Limit{8, 0}, 1500) == "");
  found.rate /= 2;
  CHECK(differs(found, limit, 1500).starts_with("is shaped as tbf rate 625000bps"));
}

TEST_CASE("names of sysctls lead nowhere but below net") {
  const auto path = [](std::string_view name) -> std::string {
    auto found = sysctl_path(name, "eth0");
    return found ? *found : "refused: " + found.error().message();
  };
  CHECK(path("net.ipv4.tcp_fin_timeout") == "ipv4/tcp_fin_timeout");
  CHECK(path("net/ipv4/tcp_fin_timeout") == "ipv4/tcp_fin_timeout");
  CHECK(path("net.ipv4.conf.eth0/1.rp_filter") == "ipv4/conf/eth0.1/rp_filter");
  CHECK(path("net/ipv4/conf/eth0.1/rp_filter") == "ipv4/conf/eth0.1/rp_filter");
  CHECK(path("net.ipv4.conf.IFNAME.arp_filter") == "ipv4/conf/eth0/arp_filter");
  CHECK(path("kernel.shm_rmid_forced") ==
        "refused: sysctl \"kernel.shm_rmid_forced\": only those below net. are a Pod's");
  for (const char* name :
       {"", "net", "net.", "net.core", "network.x.y", "net..ipv4.x", "net/../kernel/x", "net.ipv4./../../kernel.x",
        "net.ipv4.x\n", "net/ipv4//x", "/net/ipv4/x", "../net.x", "net.ipv4.", "net.a b.c", "net.///.x"})
    CHECK_MESSAGE(path(name).starts_with("refused: "), name);
  CHECK(path("net." + std::string(300, 'a') + ".b").starts_with("refused: "));
  CHECK(!check_sysctl("net.ipv4.x", "1\n2", "eth0"));
  CHECK(check_sysctl("net.ipv4.tcp_rmem", "4096\t87380 6291456", "eth0"));
}
