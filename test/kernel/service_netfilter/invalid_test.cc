// What conntrack calls invalid is not translated, and so must not arrive (kubernetes#74839).
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstring>

#include "services.h"

namespace causeway::test {

namespace {

Fd raw_tcp(const Ns& ns) {
  In in(ns);
  return Fd(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP));
}

uint16_t checksum_of(const Ip& from, const Ip& to, const tcphdr& tcp) {
  uint32_t sum = IPPROTO_TCP + sizeof tcp;
  const auto add = [&](const void* data, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 2) {
      const auto* at = static_cast<const uint8_t*>(data) + i;
      sum += uint32_t(at[0] << 8 | at[1]);
    }
  };
  add(from.bytes().data(), 4);
  add(to.bytes().data(), 4);
  add(&tcp, sizeof tcp);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return htons(uint16_t(~sum));
}

tcphdr segment(const Ip& from, uint16_t from_port, const Ip& to, uint16_t to_port, uint32_t sequence) {
  tcphdr tcp{};
  tcp.source = htons(from_port);
  tcp.dest = htons(to_port);
  tcp.seq = htonl(sequence);
  tcp.ack_seq = htonl(1);
  tcp.doff = sizeof tcp / 4;
  tcp.ack = 1;
  tcp.window = htons(1000);
  tcp.check = checksum_of(from, to, tcp);
  return tcp;
}

// Segments far from the connection's window, from its endpoint. Only one that is ahead of it is invalid, one behind it
// is taken for a late copy; which is which depends on the connection's first number, so both go.
void send_strays(const Ns& endpoint, const Ip& from, uint16_t from_port, const Ip& to, uint16_t to_port) {
  Fd fd = raw_tcp(endpoint);
  sockaddr_in address{.sin_family = AF_INET};
  std::memcpy(&address.sin_addr, to.bytes().data(), 4);
  for (const uint32_t sequence : {1u, 0x80000001u}) {
    const tcphdr tcp = segment(from, from_port, to, to_port, sequence);
    REQUIRE(::sendto(fd.get(), &tcp, sizeof tcp, 0, reinterpret_cast<sockaddr*>(&address), sizeof address) ==
            sizeof tcp);
  }
}

// Whether a segment of this address arrives within half a second.
bool hears(const Fd& fd, const Ip& from) {
  for (;;) {
    pollfd poll{fd.get(), POLLIN, 0};
    if (::poll(&poll, 1, 500) != 1) return false;
    char packet[2048];
    if (::recv(fd.get(), packet, sizeof packet, 0) >= 20 && std::memcmp(packet + 12, from.bytes().data(), 4) == 0)
      return true;
  }
}

}  // namespace

TEST_CASE("an endpoint's segment out of its window reaches no client under the endpoint's own address") {
  ServiceWorld s;
  World& w = s.world;
  Wanted wanted(w.a);
  wanted.cluster_ip("web", Family::V4, 1, {Wanted::at(w.b1().ip4, 8080)});
  REQUIRE(s.service.apply(wanted.tables) == "");
  const std::pair<const Ns*, Ip> clients[] = {{&w.a1().ns, w.a1().ip4}, {&w.a.ns, w.a.ip4}};
  for (const auto& [client, address] : clients) {
    const bool pod = address == w.a1().ip4;
    const Pod& endpoint = pod ? w.b1() : w.a2();
    if (!pod) {
      wanted.cluster_ip("web", Family::V4, 1, {Wanted::at(endpoint.ip4, 8080, true)});
      REQUIRE(s.service.apply(wanted.tables) == "");
    }
    Asker open(*client, Way::Tcp, virtual_ip(Family::V4, 1), 80, {}, 40404);
    const std::string answer = open.ask();
    REQUIRE(answer.ends_with(to_string(address)));
    Fd ear = raw_tcp(*client);
    send_strays(endpoint.ns, endpoint.ip4, 8080, address, 40404);
    CHECK_FALSE(hears(ear, endpoint.ip4));
    CHECK(open.ask() == answer);
    // Without the rule it would.
    shell(w.a.ns, "nft flush chain inet causeway services-forward; nft flush chain inet causeway services-input");
    send_strays(endpoint.ns, endpoint.ip4, 8080, address, 40404);
    CHECK(hears(ear, endpoint.ip4));
    s.service.applier.forget();
    REQUIRE(s.service.apply() == "");
  }
}

}  // namespace causeway::test
