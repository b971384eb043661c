// Segments that no connection expects: late ones, ones outside of the window, fragments that come alone.
#include <doctest/doctest.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <chrono>
#include <cstring>

#include "balancer.h"
#include "base/socket_address.h"
#include "frame.h"
#include "talk.h"
#include "world.h"

namespace causeway::test {

namespace {

enum { SYN_ACK = 0x12, ACK = 0x10, RST = 0x04 };

Ip every(Family family) { return family == Family::V4 ? Ip() : Ip::parse("::").value(); }

std::string segment(uint16_t from, uint16_t to, uint32_t sequence, unsigned flags) {
  return be16(from) + be16(to) + be16(sequence >> 16) + be16(sequence & 0xffff) + be16(0) + be16(1) +
         be16(0x5000 | flags) + be16(1000) + be16(0) + be16(0);
}

bool send_ip(const Ns& ns, Ip from, Ip to, const std::string& payload) {
  In in(ns);
  SocketAddress target({to, 0});
  Fd raw(::socket(target.family(), SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
  const std::string whole = packet(from, to, IPPROTO_TCP, 64, payload);
  return ::sendto(raw.get(), whole.data(), whole.size(), 0, target.get(), target.size) ==
         static_cast<ssize_t>(whole.size());
}

// Hears every TCP segment that reaches a namespace.
class Ear {
 public:
  Ear(const Ns& ns, Family family) : family_(family) {
    In in(ns);
    fd_ = Fd(::socket(family == Family::V4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP));
    timeval patience{.tv_sec = 2};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  }
  // Who sent the segment with this sequence number, as it arrived; nothing within 2 s.
  std::optional<Endpoint> from(uint32_t sequence) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(2);
    while (std::chrono::steady_clock::now() < deadline) {
      uint8_t data[2048];
      SocketAddress sender;
      const ssize_t size = ::recvfrom(fd_.get(), data, sizeof(data), 0, sender.get(), &sender.size);
      const ssize_t head = family_ == Family::V4 ? 20 : 0;
      if (size < head + 20) continue;
      const uint8_t* tcp = data + head;
      const uint32_t seen = uint32_t{tcp[4]} << 24 | uint32_t{tcp[5]} << 16 | uint32_t{tcp[6]} << 8 | tcp[7];
      if (seen == sequence) return Endpoint{sender.endpoint().ip, static_cast<uint16_t>(tcp[0] << 8 | tcp[1])};
    }
    return std::nullopt;
  }

 private:
  Family family_;
  Fd fd_;
};

bool answers(const Fd& client, const Fd& server) {
  char byte = 'x';
  return ::send(client.get(), &byte, 1, MSG_NOSIGNAL) == 1 && ::recv(server.get(), &byte, 1, 0) == 1 &&
         ::send(server.get(), &byte, 1, MSG_NOSIGNAL) == 1 && ::recv(client.get(), &byte, 1, 0) == 1;
}

Fd accept_one(const Fd& listener) {
  timeval patience{.tv_sec = 2};
  ::setsockopt(listener.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  return Fd(::accept(listener.get(), nullptr, nullptr));
}

}  // namespace

TEST_CASE("retry: what an endpoint that was left says late reaches nobody, and the connection goes on") {
  World world({.services = true});
  Balancer balancer(world.a);
  for (auto family : kFamilies) {
    CAPTURE(to_string(family));
    const uint32_t id = family == Family::V4 ? 1 : 2;
    balancer.endpoints(id, {{world.b1().ip(family), 8080}, {world.a2().ip(family), 8080}});
    balancer.serve(id, cluster_ip(family), 80, IPPROTO_TCP,
                   {.flags = abi::SERVICE_F_RETRY | abi::SERVICE_F_PER_PACKET, .algorithm = abi::SERVICE_ROUND_ROBIN});
    Fd listener = tcp_listener(world.a2().ns, every(family), 8080);
    ip(world.b1().ns, "link set eth0 down\n");  // it keeps silent: turns begin anywhere, so one of two goes there
    const auto retried = world.a.counted(abi::COUNT_SERVICE_RETRIED);
    uint16_t moved = 0;
    Fd client, server;
    for (uint16_t port : {5000, 5001}) {
      if (moved) break;
      client = tcp_connect(world.a1().ns, cluster_ip(family), 80, port);
      REQUIRE(client);
      server = accept_one(listener);
      REQUIRE(server);
      if (world.a.counted(abi::COUNT_SERVICE_RETRIED) == retried + 1) moved = port;
    }
    REQUIRE(moved);
    Ear ear(world.a1().ns, family);
    const auto swallowed = world.a.counted(abi::DROP_SERVICE_SWALLOWED);
    for (unsigned flags : {SYN_ACK, RST}) {
      // From the node's side of that Pod's wire: where it comes from makes no difference to who hears it.
      REQUIRE(send_ip(world.b.ns, world.b1().ip(family), world.a1().ip(family), segment(8080, moved, 77, flags)));
    }
    CHECK_FALSE(ear.from(77));
    CHECK(world.a.counted(abi::DROP_SERVICE_SWALLOWED) == swallowed + 2);
    CHECK(answers(client, server));
  }
}

TEST_CASE("segments outside of the window, either way, are translated: no endpoint's own address is seen") {
  World world({.services = true});
  Balancer balancer(world.a);
  for (auto family : kFamilies) {
    CAPTURE(to_string(family));
    const uint32_t id = family == Family::V4 ? 1 : 2;
    balancer.endpoints(id, {{world.b1().ip(family), 8080}});
    balancer.serve(id, cluster_ip(family), 80);
    Fd listener = tcp_listener(world.b1().ns, every(family), 8080);
    Fd client = tcp_connect(world.a1().ns, cluster_ip(family), 80, 5000);
    REQUIRE(client);
    Fd server = accept_one(listener);
    REQUIRE(server);
    Ear at_client(world.a1().ns, family), at_endpoint(world.b1().ns, family);
    for (uint32_t sequence : {0x11111111u, 0x91111111u}) {
      REQUIRE(send_ip(world.a1().ns, world.a1().ip(family), cluster_ip(family), segment(5000, 80, sequence, ACK)));
      CHECK(at_endpoint.from(sequence) == Endpoint{world.a1().ip(family), 5000});
      REQUIRE(send_ip(world.b1().ns, world.b1().ip(family), world.a1().ip(family), segment(8080, 5000, sequence, ACK)));
      CHECK(at_client.from(sequence) == Endpoint{cluster_ip(family), 80});
    }
    CHECK(answers(client, server));
  }
}

TEST_CASE("a later fragment of a segment that opened nothing is dropped and opens nothing") {
  World world({.services = true});
  Balancer balancer(world.a);
  balancer.endpoints(1, {{world.b1().ip4, 8080}});
  balancer.serve(1, cluster_ip(Family::V4), 80);
  const std::string whole = segment(5000, 80, 1, ACK) + std::string(28, 'x');
  const auto send_part = [&](size_t at, unsigned fragment) {
    In in(world.a1().ns);
    SocketAddress target({cluster_ip(Family::V4), 0});
    Fd raw(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
    std::string part = packet(world.a1().ip4, cluster_ip(Family::V4), IPPROTO_TCP, 64, whole.substr(at, 24));
    part.replace(4, 4, be16(4711) + be16(fragment));
    return ::sendto(raw.get(), part.data(), part.size(), 0, target.get(), target.size) ==
           static_cast<ssize_t>(part.size());
  };
  REQUIRE(send_part(0, 0x2000));
  REQUIRE(send_part(24, 3));
  CHECK(world.a.counted(abi::COUNT_SERVICE_REJECTED) == 1);  // the first one: a reset
  CHECK(world.a.counted(abi::DROP_FRAGMENT_EARLY) == 1);
  CHECK(world.a.counted(abi::COUNT_SERVICE_OPENED) == 0);
  CHECK(world.a.plane->conntrack().dump().value().empty());
}

}  // namespace causeway::test
