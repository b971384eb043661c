// What a Pod must not say: somebody else's address or MAC, ARP and neighbour discovery for others, a router's words.
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frame.h"
#include "talk.h"
#include "world.h"

namespace causeway::test {

namespace {

const Mac kPod{{0x02, 0xca, 0x05, 1, 1, 2}}, kHost{{0x02, 0xca, 0x05, 2, 1, 2}}, kOther{{2, 2, 2, 2, 2, 2}};
const Mac kAllNodes{{0x33, 0x33, 0, 0, 0, 1}};

// A UDP datagram to port 9000, without a UDP checksum.
std::string udp4(Ip from, Ip to) { return packet(from, to, 17, 64, udp(9000, 9000, "spof")); }

std::string ip6(Ip from, Ip to, int next, const std::string& payload) { return packet(from, to, next, 255, payload); }

std::string arp(const Mac& sender_mac, Ip sender, Ip target) {
  return be16(1) + be16(0x0800) + "\x06\x04" + be16(1) + bytes(sender_mac) + bytes(sender) + std::string(6, 0) +
         bytes(target);
}

// An ICMPv6 message of the given type, with a body of 20 bytes that begins after the checksum.
std::string icmp6(int type, const std::string& body) { return static_cast<char>(type) + std::string(3, 0) + body; }

Ip ip_of(const char* text) { return Ip::parse(text).value(); }

}  // namespace

TEST_CASE("a Pod's forged packets are dropped and counted by reason, its honest ones are not") {
  for (auto attach : kAttaches) {
    World world({.attach = attach});
    auto& pod = world.a1();
    auto& node = world.a;
    auto sent = [&](const std::string& frame, abi::counter_reason reason) {
      auto before = node.counted(reason);
      REQUIRE(send_frame(pod.ns, "eth0", frame));
      return node.counted(reason) - before;
    };
    Ip own = pod.ip4, other = world.a2().ip4, own6 = pod.ip6, other6 = world.a2().ip6;
    Fd listener = udp_socket(world.a2().ns, Ip(), 9000);

    CHECK(sent(ethernet(kHost, kPod, 0x0800, udp4(ip_of("10.244.9.9"), other)), abi::DROP_SPOOFED_IP) == 1);
    CHECK(sent(ethernet(kHost, kPod, 0x0800, udp4(world.b1().ip4, other)), abi::DROP_SPOOFED_IP) == 1);
    CHECK(sent(ethernet(kHost, kPod, 0x0800, udp4(other, other)), abi::DROP_SPOOFED_IP) == 1);
    CHECK(sent(ethernet(kHost, kPod, 0x0800, udp4(ip_of("169.254.7.7"), other)), abi::DROP_SPOOFED_IP) == 1);
    CHECK(sent(ethernet(kHost, kOther, 0x0800, udp4(own, other)), abi::DROP_SPOOFED_MAC) == 1);
    CHECK(sent(ethernet(kHost, kPod, 0x86dd, ip6(other6, world.b1().ip6, 59, "")), abi::DROP_SPOOFED_IP) == 1);
    CHECK(sent(ethernet(kHost, kPod, 0x86dd, ip6(ip_of("fe80::7"), other6, 59, "")), abi::DROP_SPOOFED_IP) == 1);
    CHECK(sent(ethernet(kHost, kPod, 0x0800, "\x45"), abi::DROP_MALFORMED) == 1);
    CHECK(sent(ethernet(kHost, kPod, 0x88cc, "lldp"), abi::DROP_MALFORMED) == 1);
    CHECK_FALSE(receive_udp(listener, std::chrono::milliseconds(50)));

    CHECK(sent(ethernet(kHost, kPod, 0x0806, arp(kPod, other, own)), abi::DROP_FOREIGN_NEIGHBOUR) == 1);
    CHECK(sent(ethernet(kHost, kPod, 0x0806, arp(kOther, own, own)), abi::DROP_FOREIGN_NEIGHBOUR) == 1);
    CHECK(sent(ethernet(kHost, kPod, 0x0806, arp(kPod, own, ip_of("169.254.1.1"))), abi::COUNT_TO_STACK) >= 1);

    std::string flags(4, 0);
    auto to_all = [&](const std::string& message) {
      return ethernet(kAllNodes, kPod, 0x86dd, ip6(ip_of("fe80::2"), ip_of("ff02::1"), 58, message));
    };
    CHECK(sent(to_all(icmp6(134, std::string(12, 0))), abi::DROP_ROUTER_ADVERTISEMENT) == 1);
    CHECK(sent(to_all(icmp6(137, std::string(36, 0))), abi::DROP_ROUTER_ADVERTISEMENT) == 1);
    CHECK(sent(to_all(icmp6(136, flags + bytes(other6))), abi::DROP_FOREIGN_NEIGHBOUR) == 1);
    CHECK(sent(to_all(icmp6(136, flags + bytes(own6))), abi::COUNT_TO_STACK) >= 1);
    // The same behind a destination options header, and to another Pod.
    std::string options = std::string("\x3a\0\x01\x04", 4) + std::string(4, 0);
    CHECK(sent(ethernet(kAllNodes, kPod, 0x86dd,
                        ip6(ip_of("fe80::2"), ip_of("ff02::1"), 60, options + icmp6(134, std::string(12, 0)))),
               abi::DROP_ROUTER_ADVERTISEMENT) == 1);
    CHECK(sent(ethernet(kHost, kPod, 0x86dd, ip6(own6, other6, 58, icmp6(134, std::string(12, 0)))),
               abi::DROP_ROUTER_ADVERTISEMENT) == 1);

    CHECK(sent(ethernet(kHost, kPod, 0x0800, udp4(own, other)), abi::COUNT_TO_PEER) == 1);
    auto honest = receive_udp(listener);
    REQUIRE(honest);
    CHECK(to_string(honest->from) == to_string(Endpoint{own, 9000}));
  }
}

TEST_CASE("a Pod that is gone is unreachable, not a black hole") {
  for (auto attach : kAttaches)
    for (auto fabric : {Fabric::Native, Fabric::Overlay4}) {
      Setup setup{.attach = attach, .fabric = fabric};
      CAPTURE(name_of(setup));
      World world(setup);
      for (auto family : kFamilies) {
        CAPTURE(to_string(family));
        Ip gone_here = family == Family::V4 ? world.a.pods4.address().plus(77) : world.a.pods6.address().plus(77);
        Ip gone_there = family == Family::V4 ? world.b.pods4.address().plus(77) : world.b.pods6.address().plus(77);
        auto unreachable = [&](const Ns& from, Ip to) {
          Fd socket = udp_socket(from, family == Family::V4 ? Ip() : Ip::parse("::").value(), 0);
          want_errors(socket, family);
          send_udp(socket, to, 7, "anybody?");
          return pending_error(socket);
        };
        CHECK(unreachable(world.a1().ns, gone_here) == EHOSTUNREACH);
        CHECK(unreachable(world.a.ns, gone_here) == EHOSTUNREACH);
        if (fabric == Fabric::Overlay4) CHECK(unreachable(world.a1().ns, gone_there) == EHOSTUNREACH);
      }
    }
}

TEST_CASE("VXLAN is taken from known nodes only") {
  World world({.fabric = Fabric::Overlay4});
  // As node b would write it, but from the outside: VNI 1, an inner packet to a1.
  std::string inner = ethernet(Mac{}, Mac{}, 0x0800, udp4(world.b1().ip4, world.a1().ip4));
  std::string vxlan = std::string("\x08\0\0\0\0\0\x01\0", 8) + inner;
  Fd listener = udp_socket(world.a1().ns, Ip(), 9000);
  auto unknown = [&] { return world.a.counted(abi::DROP_PEER_UNKNOWN); };
  auto before = unknown();
  Fd stranger = udp_socket(world.outside, Ip(), 0);
  REQUIRE(send_udp(stranger, world.a.ip4, 4789, vxlan));
  CHECK_FALSE(receive_udp(listener, std::chrono::milliseconds(100)));
  CHECK(unknown() == before + 1);

  Fd known = udp_socket(world.b.ns, Ip(), 0);
  REQUIRE(send_udp(known, world.a.ip4, 4789, vxlan));
  auto arrived = receive_udp(listener);
  REQUIRE(arrived);
  CHECK(to_string(arrived->from.ip) == to_string(world.b1().ip4));
}

}  // namespace causeway::test
