// One packet in, one verdict and packet out: the programs without a network (BPF_PROG_TEST_RUN).
#include <bpf/bpf.h>
#include <doctest/doctest.h>
#include <linux/bpf.h>

#include "datapath/programs.h"
#include "datapath/resize.h"
#include "frame.h"
#include "world.h"

namespace causeway::test {

namespace {

using datapath::Hook;

const Mac kPod{{0x02, 0xca, 0x05, 1, 1, 2}}, kHost{{0x02, 0xca, 0x05, 2, 1, 2}};

std::string verdict(int value) {
  switch (value) {
    case -1: return "next";
    case 2: return "drop";
    case 7: return "redirect";
    default: return fmt::format("verdict {}", value);
  }
}

struct Bench {
  World& world;
  std::string run(Node& node, Hook hook, const std::string& device, const std::string& ip, uint32_t mark = 0) {
    In in(node.ns);
    const auto maps = node.pins + "/maps";
    auto fd = datapath::load_program(hook, datapath::config_of(node.plane->features()),
                                     datapath::sizes_at_least(maps, datapath::sizes_for(4096)).value(), maps);
    REQUIRE(fd);
    std::string frame = ethernet(kHost, kPod, static_cast<uint8_t>(ip[0]) >> 4 == 4 ? 0x0800 : 0x86dd, ip),
                out(4096, 0);
    __sk_buff context{};
    context.ifindex = ifindex(node.ns, device);
    context.mark = mark;
    bpf_test_run_opts run{};
    run.sz = sizeof(run);
    run.data_in = frame.data();
    run.data_size_in = static_cast<uint32_t>(frame.size());
    run.data_out = out.data();
    run.data_size_out = static_cast<uint32_t>(out.size());
    run.ctx_in = &context;
    run.ctx_size_in = sizeof(context);
    run.repeat = 1;
    REQUIRE(bpf_prog_test_run_opts(fd->get(), &run) == 0);
    out.resize(run.data_size_out);
    std::string result = verdict(static_cast<int>(run.retval));
    return result == "drop" ? result : result + ": " + describe(out);
  }
};

}  // namespace

TEST_CASE("each program turns each packet into what is written beside it") {
  World world({.fabric = Fabric::Overlay4, .wire = true});
  Bench bench{world};
  auto &a1 = world.a1(), &a2 = world.a2(), &b1 = world.b1();
  auto hello = udp(9000, 9000, "abcd");
  auto from_pod = [&](const std::string& ip) { return bench.run(world.a, Hook::FromPod, "pod2", ip); };

  CHECK(from_pod(packet(a1.ip4, a2.ip4, 17, 64, hello)) ==
        "redirect: 10.244.1.2 > 10.244.1.3 ttl 63 udp 9000 > 9000 4 bytes");
  CHECK(from_pod(packet(a1.ip6, a2.ip6, 17, 64, hello)) ==
        "redirect: fd00:10:1::2 > fd00:10:1::3 ttl 63 udp 9000 > 9000 4 bytes");
  CHECK(from_pod(packet(a1.ip4, b1.ip4, 17, 64, hello)) ==
        "redirect: 192.0.2.11 > 192.0.2.12 ttl 64 vxlan 1 [10.244.1.2 > 10.244.2.2 ttl 63 udp 9000 > 9000 4 bytes]");
  CHECK(
      from_pod(packet(a1.ip6, b1.ip6, 17, 64, hello)) ==
      "redirect: 192.0.2.11 > 192.0.2.12 ttl 64 vxlan 1 [fd00:10:1::2 > fd00:10:2::2 ttl 63 udp 9000 > 9000 4 bytes]");
  CHECK(from_pod(packet(a1.ip4, world.b.ip4, 17, 64, hello)) ==
        "redirect: 192.0.2.11 > 192.0.2.12 ttl 64 vxlan 1 [10.244.1.2 > 192.0.2.12 ttl 63 udp 9000 > 9000 4 bytes]");
  // The last hop, the node itself and the link are the stack's.
  CHECK(from_pod(packet(a1.ip4, b1.ip4, 17, 1, hello)) ==
        "next: 10.244.1.2 > 10.244.2.2 ttl 1 udp 9000 > 9000 4 bytes");
  CHECK(from_pod(packet(a1.ip4, world.a.ip4, 17, 64, hello)) ==
        "next: 10.244.1.2 > 192.0.2.11 ttl 64 udp 9000 > 9000 4 bytes");
  CHECK(from_pod(packet(a1.ip4, Ip::parse("169.254.1.1").value(), 17, 64, hello)) ==
        "next: 10.244.1.2 > 169.254.1.1 ttl 64 udp 9000 > 9000 4 bytes");
  CHECK(from_pod(packet(a2.ip4, b1.ip4, 17, 64, hello)) == "drop");
  // Errors quote the packet; an error about an error is never sent.
  CHECK(from_pod(packet(a1.ip4, world.a.pods4.address().plus(99), 17, 64, hello)) ==
        "redirect: 192.0.2.11 > 10.244.1.2 ttl 64 icmp 3/1 info 0 [10.244.1.2 > 10.244.1.99 ttl 64 udp 9000 > 9000 4 "
        "bytes]");
  CHECK(from_pod(packet(a1.ip6, world.a.pods6.address().plus(0x99), 17, 64, hello)) ==
        "redirect: 2001:db8:1::11 > fd00:10:1::2 ttl 64 icmp 1/3 info 0 [fd00:10:1::2 > fd00:10:1::99 ttl 64 udp 9000 "
        "> 9000 4 bytes]");
  CHECK(from_pod(packet(a1.ip4, b1.ip4, 17, 64, udp(9000, 9000, std::string(1423, 'x')))) ==
        "redirect: 192.0.2.11 > 10.244.1.2 ttl 64 icmp 3/4 info 1450 [10.244.1.2 > 10.244.2.2 ttl 64 udp 9000 > 9000 "
        "60 bytes]");
  CHECK(from_pod(packet(a1.ip6, b1.ip6, 17, 64, udp(9000, 9000, std::string(1403, 'x')))) ==
        "redirect: 2001:db8:1::11 > fd00:10:1::2 ttl 64 icmp 2/0 info 1450 [fd00:10:1::2 > fd00:10:2::2 ttl 64 udp "
        "9000 > 9000 40 bytes]");
  CHECK(from_pod(packet(a1.ip4, world.a.pods4.address().plus(99), 1, 64,
                        std::string("\3\1\0\0\0\0\0\0", 8) + packet(a2.ip4, a1.ip4, 17, 64, hello))) == "drop");

  auto ingress = [&](const std::string& ip) { return bench.run(world.a, Hook::UplinkIngress, "eth0", ip); };
  std::string vxlan = std::string("\x08\0\0\0\0\0\x01\0", 8);
  auto tunnel = [&](Ip from, const std::string& inner, unsigned type = 0x0800) {
    return packet(from, world.a.ip4, 17, 64, udp(50000, 4789, vxlan + ethernet(Mac{}, Mac{}, type, inner)));
  };
  CHECK(ingress(tunnel(world.b.ip4, packet(b1.ip4, a1.ip4, 17, 63, hello))) ==
        "redirect: 10.244.2.2 > 10.244.1.2 ttl 62 udp 9000 > 9000 4 bytes");
  CHECK(ingress(tunnel(world.b.ip4, packet(b1.ip6, a1.ip6, 17, 63, hello), 0x86dd)) ==
        "redirect: fd00:10:2::2 > fd00:10:1::2 ttl 62 udp 9000 > 9000 4 bytes");
  CHECK(ingress(tunnel(world.b.ip4, packet(b1.ip4, world.a.ip4, 17, 63, hello))) ==
        "next: 10.244.2.2 > 192.0.2.11 ttl 63 udp 9000 > 9000 4 bytes");
  CHECK(ingress(tunnel(Ip::parse("192.0.2.99").value(), packet(b1.ip4, a1.ip4, 17, 63, hello))) == "drop");
  CHECK(ingress(tunnel(world.b.ip4, packet(b1.ip4, world.a.pods4.address().plus(99), 17, 63, hello))) ==
        "redirect: 192.0.2.11 > 192.0.2.12 ttl 64 vxlan 1 [192.0.2.11 > 10.244.2.2 ttl 64 icmp 3/1 info 0 "
        "[10.244.2.2 > 10.244.1.99 ttl 63 udp 9000 > 9000 4 bytes]]");
  CHECK(ingress(packet(world.b.ip4, world.a.ip4, 17, 64, hello)) ==
        "next: 192.0.2.12 > 192.0.2.11 ttl 64 udp 9000 > 9000 4 bytes");

  auto egress = [&](const std::string& ip, uint32_t mark = 0) {
    return bench.run(world.a, Hook::UplinkEgress, "eth0", ip, mark);
  };
  CHECK(egress(packet(world.a.ip4, b1.ip4, 17, 64, hello)) ==
        "redirect: 192.0.2.11 > 192.0.2.12 ttl 64 vxlan 1 [192.0.2.11 > 10.244.2.2 ttl 64 udp 9000 > 9000 4 bytes]");
  CHECK(egress(packet(world.a.ip4, world.b.ip4, 17, 64, hello)) ==
        "next: 192.0.2.11 > 192.0.2.12 ttl 64 udp 9000 > 9000 4 bytes");
  CHECK(egress(packet(a1.ip4, world.b.ip4, 17, 64, hello)) ==
        "redirect: 192.0.2.11 > 192.0.2.12 ttl 64 vxlan 1 [10.244.1.2 > 192.0.2.12 ttl 64 udp 9000 > 9000 4 bytes]");
  Ip outside = Ip::parse("203.0.113.7").value();
  CHECK(egress(packet(a1.ip4, outside, 17, 64, udp(5000, 53, "ask?"))) ==
        "next: 192.0.2.11 > 203.0.113.7 ttl 64 udp 5000 > 53 4 bytes");
  CHECK(egress(packet(a1.ip4, outside, 17, 64, udp(5000, 53, "ask?")), abi::MARK_DONE) ==
        "next: 10.244.1.2 > 203.0.113.7 ttl 64 udp 5000 > 53 4 bytes");
  CHECK(ingress(packet(outside, world.a.ip4, 17, 60, udp(53, 5000, "told"))) ==
        "redirect: 203.0.113.7 > 10.244.1.2 ttl 59 udp 53 > 5000 4 bytes");
  CHECK(ingress(packet(outside, world.a.ip4, 1, 60,
                       [&] {
                         std::string icmp = std::string("\3\3\0\0\0\0\0\0", 8) +
                                            packet(world.a.ip4, outside, 17, 60, udp(5000, 53, "ask?"));
                         return icmp.replace(2, 2, be16(checksum(icmp)));
                       }())) ==
        "redirect: 203.0.113.7 > 10.244.1.2 ttl 59 icmp 3/3 info 0 [10.244.1.2 > 203.0.113.7 ttl 60 udp 5000 > 53 4 "
        "bytes]");
}

}  // namespace causeway::test
