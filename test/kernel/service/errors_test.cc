// What is about a packet and not in it: ICMP errors of both directions, path MTU; and checksums that the kernel does
// not keep for us.
#include <doctest/doctest.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "balancer.h"
#include "datapath/conntrack.h"
#include "frame.h"
#include "talk.h"
#include "world.h"

namespace causeway::test {

namespace {

Ip every(Family family) { return family == Family::V4 ? Ip() : Ip::parse("::").value(); }

void probe(const Fd& socket, Family family) {
  int on = family == Family::V4 ? IP_PMTUDISC_PROBE : IPV6_PMTUDISC_PROBE;
  if (family == Family::V4)
    ::setsockopt(socket.get(), IPPROTO_IP, IP_MTU_DISCOVER, &on, sizeof(on));
  else
    ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_MTU_DISCOVER, &on, sizeof(on));
}

// CRC32c as RFC 9260 appendix A has it, bit by bit.
uint32_t crc32c(const std::string& data) {
  uint32_t crc = ~0u;
  for (unsigned char byte : data) {
    crc ^= byte;
    for (int i = 0; i < 8; ++i) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0u);
  }
  return ~crc;
}

std::string sctp(unsigned from, unsigned to, const std::string& chunk) {
  std::string packet = be16(from) + be16(to) + std::string(4, 7) + std::string(4, 0) + chunk;
  uint32_t crc = crc32c(packet);
  packet.replace(8, 4, reinterpret_cast<const char*>(&crc), 4);
  return packet;
}

bool right_crc(std::string packet) {
  uint32_t carried;
  std::memcpy(&carried, packet.data() + 8, 4);
  packet.replace(8, 4, std::string(4, 0));
  return crc32c(packet) == carried;
}

Fd raw_sctp(const Ns& ns, Family family) {
  In in(ns);
  Fd fd(::socket(family == Family::V4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_SCTP));
  return fd;
}

// The next SCTP packet, without the IP header.
struct Received {
  std::string packet;
  Ip from;
};
std::optional<Received> receive_sctp(const Fd& fd, Family family) {
  auto datagram = receive_udp(fd);
  if (!datagram) return std::nullopt;
  return Received{family == Family::V4 ? datagram->payload.substr(20) : datagram->payload, datagram->from.ip};
}

unsigned port_at(const std::string& packet, size_t at) {
  return static_cast<unsigned>(static_cast<uint8_t>(packet[at])) << 8 | static_cast<uint8_t>(packet[at + 1]);
}

// Seconds that the row of the client's direction still lives.
uint32_t seconds_left(World& world, unsigned from) {
  for (const auto& [key, row] : world.a.plane->conntrack().dump().value())
    if (ntohs(key.sport) == from && !(row.flags & abi::CT_F_REPLY)) return row.expires - datapath::monotonic_seconds();
  return 0;
}

}  // namespace

TEST_CASE("an ICMP error by the endpoint, or on the way to it, reaches the client as one about the Service") {
  for (auto attach : kAttaches)
    for (auto fabric : {Fabric::Native, Fabric::Overlay4})
      for (auto family : kFamilies) {
        CAPTURE(name_of({.attach = attach, .fabric = fabric}));
        CAPTURE(to_string(family));
        World world({.attach = attach, .fabric = fabric, .services = true});
        Balancer balancer(world.a);
        for (auto* pod : {&world.a2(), &world.b1(), &world.c1()}) {  // where nobody listens
          balancer.endpoints(1, {{pod->ip(family), 8080}}, IPPROTO_UDP);
          balancer.serve(1, cluster_ip(family), 80, IPPROTO_UDP);
          balancer.serve(1, every(family), 30080, IPPROTO_UDP, node_port(true));
          struct {
            const Ns& client;
            Ip to;
            uint16_t port;
          } asked[] = {{world.a1().ns, cluster_ip(family), 80},
                       {world.a.ns, cluster_ip(family), 80},
                       {world.outside, world.a.ip(family), 30080}};
          for (auto& one : asked) {
            CAPTURE(to_string(pod->ip(family)));
            CAPTURE(to_string(one.to));
            Fd socket = udp_socket(one.client, every(family), 0);
            want_errors(socket, family);
            REQUIRE(send_udp(socket, one.to, one.port, "anybody?"));
            auto error = receive_error(socket);
            REQUIRE(error);
            CHECK(error->error == ECONNREFUSED);
            CHECK(error->from == one.to);  // as if the Service itself had said so
          }
        }
      }
}

TEST_CASE("an ICMP error by the client, or on the way to it, reaches the endpoint") {
  for (auto family : kFamilies)
    for (bool masquerade : {false, true}) {
      World world({.services = true});
      Balancer balancer(world.a);
      auto& endpoint = masquerade ? world.b1() : world.a2();
      balancer.endpoints(1, {{endpoint.ip(family), 8080}}, IPPROTO_UDP);
      balancer.serve(1, cluster_ip(family), 80, IPPROTO_UDP);
      balancer.serve(1, every(family), 30080, IPPROTO_UDP, node_port(masquerade));
      Fd server = udp_socket(endpoint.ns, every(family), 8080);
      want_errors(server, family);
      struct {
        const Ns& client;
        Ip to;
        uint16_t port;
      } asked[] = {{world.a1().ns, cluster_ip(family), 80}, {world.outside, world.a.ip(family), 30080}};
      for (auto& one : asked) {
        Fd client = udp_socket(one.client, every(family), 5000);
        REQUIRE(send_udp(client, one.to, one.port, "hello"));
        auto got = receive_udp(server);
        REQUIRE(got);
        client.reset();
        REQUIRE(send_udp(server, got->from.ip, got->from.port, "too late"));
        auto error = receive_error(server);
        REQUIRE(error);
        CHECK(error->error == ECONNREFUSED);
      }
    }
}

TEST_CASE("the path MTU toward an endpoint is learnt through the Service, and toward a client through it too") {
  for (auto fabric : {Fabric::Overlay4, Fabric::Overlay6})
    for (auto family : kFamilies) {
      CAPTURE(name_of({.fabric = fabric}));
      CAPTURE(to_string(family));
      World world({.fabric = fabric, .pod_mtu = 1500, .services = true});
      Balancer balancer(world.a);
      size_t headers = family == Family::V4 ? 28 : 48;
      uint32_t mtu = fabric == Fabric::Overlay6 ? 1430 : 1450;
      balancer.endpoints(1, {{world.b1().ip(family), 8080}}, IPPROTO_UDP);
      balancer.serve(1, cluster_ip(family), 80, IPPROTO_UDP);
      balancer.serve(1, every(family), 30080, IPPROTO_UDP, node_port(true));
      Fd server = udp_socket(world.b1().ns, every(family), 8080);
      struct {
        const Ns& client;
        Ip to;
        uint16_t port;
      } asked[] = {{world.a1().ns, cluster_ip(family), 80}, {world.outside, world.a.ip(family), 30080}};
      for (auto& one : asked) {
        CAPTURE(to_string(one.to));
        Fd client = udp_socket(one.client, every(family), 0);
        want_errors(client, family);
        probe(client, family);
        REQUIRE(send_udp(client, one.to, one.port, std::string(mtu - headers, 'x')));
        REQUIRE(receive_udp(server));
        REQUIRE(send_udp(client, one.to, one.port, std::string(mtu - headers + 1, 'x')));
        auto error = receive_error(client);
        REQUIRE(error);
        CHECK(error->error == EMSGSIZE);
        CHECK(error->info == mtu);
      }
      balancer.endpoints(2, {{world.b1().ip(family), 8081}});
      balancer.serve(2, every(family), 30081, IPPROTO_TCP, node_port(true));
      // A narrow link beyond the router: what the endpoint sends has to become smaller.
      shell(world.router, "ip link set out mtu 1300");
      shell(world.outside, "ip link set eth0 mtu 1300");
      CHECK(talk_tcp(world.outside, world.b1().ns, world.a.ip(family), 30081, 300'000, 0, 8081).error == "");
      Fd narrow = udp_socket(world.outside, every(family), 0);
      REQUIRE(send_udp(narrow, world.a.ip(family), 30080, "hello"));
      auto got = receive_udp(server);
      REQUIRE(got);
      want_errors(server, family);
      probe(server, family);
      REQUIRE(send_udp(server, got->from.ip, got->from.port, std::string(1301 - headers, 'x')));
      auto error = receive_error(server);
      REQUIRE(error);
      CHECK(error->error == EMSGSIZE);
      CHECK(error->info == 1300);
    }
}

TEST_CASE("SCTP: addresses and ports change, and the checksum follows, whatever the size") {
  for (auto attach : kAttaches)
    for (auto family : kFamilies) {
      World world({.attach = attach, .services = true});
      Balancer balancer(world.a);
      unsigned from = 50000;
      for (auto* pod : {&world.a2(), &world.b1(), &world.c1()}) {
        balancer.endpoints(1, {{pod->ip(family), 8080}}, IPPROTO_SCTP);
        balancer.serve(1, cluster_ip(family), 80, IPPROTO_SCTP);
        balancer.serve(1, every(family), 30080, IPPROTO_SCTP, node_port(true));
        Fd server = raw_sctp(pod->ns, family);
        struct {
          const Ns& client;
          Ip to;
          unsigned port;
        } asked[] = {{world.a1().ns, cluster_ip(family), 80},
                     {world.a.ns, cluster_ip(family), 80},
                     {world.outside, world.a.ip(family), 30080}};
        for (auto& one : asked)
          for (size_t bytes : {4, 61, 1200}) {
            CAPTURE(to_string(one.to));
            CAPTURE(bytes);
            Fd client = raw_sctp(one.client, family);
            REQUIRE(send_udp(client, one.to, 0, sctp(++from, one.port, std::string(bytes, 'c'))));
            auto got = receive_sctp(server, family);
            REQUIRE(got);
            CHECK(right_crc(got->packet));
            CHECK(port_at(got->packet, 2) == 8080);
            REQUIRE(send_udp(server, got->from, 0, sctp(8080, port_at(got->packet, 0), std::string(bytes, 's'))));
            auto answer = receive_sctp(client, family);
            REQUIRE(answer);
            CHECK(right_crc(answer->packet));
            CHECK(answer->from == one.to);
            CHECK(port_at(answer->packet, 0) == one.port);
            CHECK(port_at(answer->packet, 2) == from);
          }
      }
    }
}

// Anybody gets an answer to an INIT: flows that are only that must not fill conntrack.
TEST_CASE("SCTP: an association that its opener never confirms is forgotten soon, one that he does lives on") {
  for (auto family : kFamilies) {
    CAPTURE(to_string(family));
    World world({.services = true});
    Balancer balancer(world.a);
    balancer.endpoints(1, {{world.a2().ip(family), 8080}}, IPPROTO_SCTP);
    balancer.serve(1, cluster_ip(family), 80, IPPROTO_SCTP);
    Fd server = raw_sctp(world.a2().ns, family), client = raw_sctp(world.a1().ns, family);
    auto ask = [&] { return send_udp(client, cluster_ip(family), 0, sctp(50000, 80, "cccc")); };
    REQUIRE(ask());
    auto got = receive_sctp(server, family);
    REQUIRE(got);
    CHECK(seconds_left(world, 50000) <= abi::CT_SCTP_OPENING);
    REQUIRE(send_udp(server, got->from, 0, sctp(8080, 50000, "ssss")));
    REQUIRE(receive_sctp(client, family));
    CHECK(seconds_left(world, 50000) <= abi::CT_SCTP_OPENING);
    CHECK(seconds_left(world, 50000) > 0);
    REQUIRE(ask());
    REQUIRE(receive_sctp(server, family));
    CHECK(seconds_left(world, 50000) > abi::CT_SCTP_OPENING);
  }
}

}  // namespace causeway::test
