// What is not served: refused so that the client knows at once, or dropped where it shall not know.
#include <doctest/doctest.h>
#include <errno.h>
#include <sys/socket.h>

#include "balancer.h"
#include "talk.h"
#include "world.h"

namespace causeway::test {

namespace {

Ip every(Family family) { return family == Family::V4 ? Ip() : Ip::parse("::").value(); }

// errno of a connect(), within `patience` milliseconds; 0: connected.
int connect_error(const Ns& from, Ip to, uint16_t port, int patience = 3000) {
  In in(from);
  Fd fd(::socket(to.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  timeval wait{.tv_sec = patience / 1000, .tv_usec = patience % 1000 * 1000};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
  sockaddr_storage address{};
  socklen_t length = sizeof(sockaddr_in);
  if (to.is_v4()) {
    auto* in4 = reinterpret_cast<sockaddr_in*>(&address);
    in4->sin_family = AF_INET;
    in4->sin_port = htons(port);
    std::copy(to.bytes().begin(), to.bytes().end(), reinterpret_cast<uint8_t*>(&in4->sin_addr));
  } else {
    auto* in6 = reinterpret_cast<sockaddr_in6*>(&address);
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(port);
    std::copy(to.bytes().begin(), to.bytes().end(), reinterpret_cast<uint8_t*>(&in6->sin6_addr));
    length = sizeof(sockaddr_in6);
  }
  return ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), length) ? errno : 0;
}

int udp_error(const Ns& from, Ip to, uint16_t port, std::chrono::milliseconds patience = std::chrono::seconds(2)) {
  Fd socket = udp_socket(from, every(to.family()), 0);
  want_errors(socket, to.family());
  send_udp(socket, to, port, "anybody?");
  return pending_error(socket, patience);
}

constexpr std::chrono::milliseconds kSilence{150};

}  // namespace

TEST_CASE("a Service without endpoints and an undefined port are refused at once, for Pods, the node and the outside") {
  for (auto attach : kAttaches)
    for (auto family : kFamilies) {
      CAPTURE(to_string(attach));
      CAPTURE(to_string(family));
      World world({.attach = attach, .services = true});
      publish(world, world.a);
      Balancer balancer(world.a);
      Shape rejects{.inside = abi::SERVICE_REJECT};
      for (int protocol : {IPPROTO_TCP, IPPROTO_UDP}) {
        balancer.serve(1, cluster_ip(family), 80, protocol, rejects);
        balancer.serve(
            1, public_ip(family), 80, protocol,
            {.kind = abi::SERVICE_LOAD_BALANCER, .inside = abi::SERVICE_REJECT, .outside = abi::SERVICE_REJECT});
        balancer.serve(1, every(family), 30080, protocol,
                       {.kind = abi::SERVICE_NODE_PORT, .inside = abi::SERVICE_REJECT, .outside = abi::SERVICE_REJECT});
      }
      for (auto* client : {&world.a1().ns, &world.a.ns})
        for (uint16_t port : {uint16_t{80}, uint16_t{81}}) {  // 81: a port that the Service does not have
          CAPTURE(port);
          CHECK(connect_error(*client, cluster_ip(family), port) == ECONNREFUSED);
          CHECK(udp_error(*client, cluster_ip(family), port) == ECONNREFUSED);
        }
      CHECK(connect_error(world.outside, public_ip(family), 80) == ECONNREFUSED);
      CHECK(udp_error(world.outside, public_ip(family), 80) == ECONNREFUSED);
      CHECK(connect_error(world.outside, world.a.ip(family), 30080) == ECONNREFUSED);
      CHECK(udp_error(world.outside, world.a.ip(family), 30080) == ECONNREFUSED);
      CHECK(connect_error(world.a1().ns, world.a.ip(family), 30080) == ECONNREFUSED);
      CHECK(world.a.counted(abi::COUNT_SERVICE_REJECTED) >= 13);
    }
}

TEST_CASE("a Pod and a node of another node are refused at a NodePort here") {
  for (auto attach : kAttaches)
    for (auto fabric : {Fabric::Native, Fabric::Overlay4, Fabric::Overlay6})
      for (auto family : kFamilies) {
        CAPTURE(name_of({.attach = attach, .fabric = fabric}));
        CAPTURE(to_string(family));
        World world({.attach = attach, .fabric = fabric, .services = true});
        Balancer balancer(world.a);
        Shape rejects{.kind = abi::SERVICE_NODE_PORT, .inside = abi::SERVICE_REJECT, .outside = abi::SERVICE_REJECT};
        for (int protocol : {IPPROTO_TCP, IPPROTO_UDP}) balancer.serve(1, every(family), 30080, protocol, rejects);
        for (auto* client : {&world.b1().ns, &world.c1().ns, &world.b.ns}) {
          CHECK(connect_error(*client, world.a.ip(family), 30080) == ECONNREFUSED);
          CHECK(udp_error(*client, world.a.ip(family), 30080) == ECONNREFUSED);
        }
      }
}

TEST_CASE("what nobody may know is dropped: unallocated addresses, Local without endpoints, ClusterIPs from outside") {
  for (auto family : kFamilies) {
    CAPTURE(to_string(family));
    World world({.services = true});
    publish(world, world.a);
    ip(world.router, fmt::format("route replace {} via {}\n", to_string(host_cidr(cluster_ip(family))),
                                 to_string(world.a.ip(family))));
    Balancer balancer(world.a);
    balancer.range(Cidr::parse(family == Family::V4 ? "10.96.0.0/16" : "fd00:96::/112").value());
    balancer.endpoints(1, {{world.a2().ip(family), 80}});
    balancer.serve(1, cluster_ip(family), 80);
    balancer.serve(1, public_ip(family), 80, IPPROTO_TCP,
                   {.kind = abi::SERVICE_LOAD_BALANCER, .outside = abi::SERVICE_DROP});
    for (auto* client : {&world.a1().ns, &world.a.ns}) {
      CHECK(connect_error(*client, cluster_ip(family, 99), 80, 150) == EINPROGRESS);
      CHECK(udp_error(*client, cluster_ip(family, 99), 53, kSilence) == 0);
    }
    CHECK(world.a.counted(abi::DROP_SERVICE_UNALLOCATED) >= 4);
    CHECK(connect_error(world.outside, cluster_ip(family), 80, 150) == EINPROGRESS);
    CHECK(udp_error(world.outside, cluster_ip(family), 81, kSilence) == 0);
    CHECK_FALSE(ping(world.outside, cluster_ip(family)));
    CHECK(world.a.counted(abi::DROP_SERVICE_OUTSIDE) >= 3);
    CHECK(connect_error(world.outside, public_ip(family), 80, 150) == EINPROGRESS);
    CHECK(world.a.counted(abi::DROP_SERVICE_LOCAL) >= 1);
    // Inside, the same Service is served.
    CHECK(talk_tcp(world.a1().ns, world.a2().ns, public_ip(family), 80).error == "");
  }
}

TEST_CASE("loadBalancerSourceRanges: who is not in them is dropped") {
  for (auto family : kFamilies) {
    World world({.services = true});
    publish(world, world.a);
    Balancer balancer(world.a);
    balancer.endpoints(1, {{world.a1().ip(family), 80}});
    Shape shape = load_balancer(false);
    shape.flags = abi::SERVICE_F_SOURCE_RANGES;
    balancer.serve(1, public_ip(family), 80, IPPROTO_TCP, shape);
    balancer.allow(1, Cidr::parse(family == Family::V4 ? "192.0.2.0/24" : "2001:db8:1::/64").value());
    CHECK(connect_error(world.outside, public_ip(family), 80, 150) == EINPROGRESS);
    CHECK(world.a.counted(abi::DROP_SERVICE_SOURCE) >= 1);
    balancer.allow(1, host_cidr(world.outside_ip(family)));
    CHECK(talk_tcp(world.outside, world.a1().ns, public_ip(family), 80).error == "");
  }
}

TEST_CASE("a Service's address answers a ping, from inside") {
  for (auto attach : kAttaches)
    for (auto family : kFamilies) {
      World world({.attach = attach, .services = true});
      Balancer balancer(world.a);
      balancer.endpoints(1, {{world.a2().ip(family), 80}});
      balancer.serve(1, cluster_ip(family), 80);
      for (size_t bytes : {size_t{56}, size_t{1001}}) {
        CHECK(ping(world.a1().ns, cluster_ip(family), 0, bytes));
        CHECK(ping(world.a.ns, cluster_ip(family), 0, bytes));
      }
    }
}

TEST_CASE("a segment of a connection that nobody knows any more is answered with a reset, and not let out") {
  for (auto family : kFamilies) {
    World world({.services = true});
    Balancer balancer(world.a);
    balancer.endpoints(1, {{world.a2().ip(family), 80}});
    balancer.serve(1, cluster_ip(family), 80);
    Fd listener = tcp_listener(world.a2().ns, every(family), 80);
    Fd client = tcp_connect(world.a1().ns, cluster_ip(family), 80);
    REQUIRE(client);
    std::vector<abi::ct_key> keys;
    for (const auto& [key, value] : world.a.plane->conntrack().dump().value()) keys.push_back(key);
    REQUIRE(world.a.plane->conntrack().remove(keys));
    auto sent_out = world.a.counted(abi::COUNT_TO_OUTSIDE);
    REQUIRE(::send(client.get(), "x", 1, MSG_NOSIGNAL) == 1);
    char byte;
    CHECK(::recv(client.get(), &byte, 1, 0) < 0);
    CHECK(errno == ECONNRESET);
    CHECK(world.a.counted(abi::COUNT_TO_OUTSIDE) == sent_out);
  }
}

}  // namespace causeway::test
