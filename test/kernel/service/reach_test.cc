// Who reaches which endpoint of a Service by packets, and whom the endpoint sees.
#include <doctest/doctest.h>

#include "balancer.h"
#include "talk.h"
#include "world.h"

namespace causeway::test {

namespace {

constexpr size_t kBulk = 300'000;

// Both protocols; the endpoint's port is another one than the Service's.
void serve(Balancer& balancer, Ip ip, Endpoint endpoint, const Shape& shape = {}) {
  balancer.endpoints(1, {endpoint});
  balancer.serve(1, ip, 80, IPPROTO_TCP, shape);
  balancer.endpoints(2, {endpoint}, IPPROTO_UDP);
  balancer.serve(2, ip, 80, IPPROTO_UDP, shape);
}

// Both protocols, small and large; who the endpoint saw.
Ip talk(const Ns& client, const Ns& server, Ip address, uint16_t at_port = 8080, size_t bulk = kBulk) {
  auto tcp = talk_tcp(client, server, address, 80, bulk, 0, at_port);
  CHECK(tcp.error == "");
  auto udp = talk_udp(client, server, address, 80, 100, 0, at_port);
  CHECK(udp.error == "");
  CHECK(udp.client.ip == tcp.client.ip);
  // In fragments. Where the path MTU is smaller, the first teaches the sender.
  Seen large = talk_udp(client, server, address, 80, 5000, 0, at_port);
  for (int again = 0; again < 2 && !large.ok(); ++again)
    large = talk_udp(client, server, address, 80, 5000, 0, at_port);
  CHECK(large.error == "");
  return tcp.client.ip;
}

}  // namespace

TEST_CASE("a Pod reaches a ClusterIP's endpoint on its node, on another, behind the overlay, and is seen as itself") {
  for (auto attach : kAttaches)
    for (auto fabric : {Fabric::Native, Fabric::Overlay4, Fabric::Overlay6}) {
      World world({.attach = attach, .fabric = fabric, .services = true});
      Balancer balancer(world.a);
      for (auto family : kFamilies)
        for (auto* pod : {&world.a2(), &world.b1(), &world.c1()}) {
          CAPTURE(name_of({.attach = attach, .fabric = fabric}));
          CAPTURE(to_string(pod->ip(family)));
          serve(balancer, cluster_ip(family), {pod->ip(family), 8080});
          CHECK(talk(world.a1().ns, pod->ns, cluster_ip(family)) == world.a1().ip(family));
        }
      CHECK(world.a.counted(abi::COUNT_SERVICE_OPENED) > 0);
    }
}

TEST_CASE("a Pod reaches a node, its own and another, that is an endpoint, and one outside of the cluster") {
  World world({.services = true});
  Balancer balancer(world.a);
  for (auto family : kFamilies) {
    CAPTURE(to_string(family));
    serve(balancer, cluster_ip(family), {world.a.ip(family), 8080});
    CHECK(talk(world.a1().ns, world.a.ns, cluster_ip(family)) == world.a1().ip(family));
    serve(balancer, cluster_ip(family), {world.b.ip(family), 8080});
    CHECK(talk(world.a1().ns, world.b.ns, cluster_ip(family)) == world.a1().ip(family));
    serve(balancer, cluster_ip(family), {world.outside_ip(family), 8080});
    CHECK(talk(world.a1().ns, world.outside, cluster_ip(family)) == world.a.ip(family));  // masqueraded
  }
}

TEST_CASE("a Pod reaches itself through a Service, and sees the node") {
  for (auto family : kFamilies) {
    World world({.services = true});
    Balancer balancer(world.a);
    serve(balancer, cluster_ip(family), {world.a1().ip(family), 8080});
    CHECK(talk(world.a1().ns, world.a1().ns, cluster_ip(family)) == world.a.ip(family));
  }
}

TEST_CASE("NodePort, policy Cluster: from outside to an endpoint anywhere, which sees the node") {
  for (auto attach : kAttaches)
    for (auto fabric : {Fabric::Native, Fabric::Overlay4, Fabric::Overlay6}) {
      World world({.attach = attach, .fabric = fabric, .services = true});
      Balancer balancer(world.a);
      for (auto family : kFamilies) {
        Ip every = family == Family::V4 ? Ip() : Ip::parse("::").value();
        for (auto* pod : {&world.a1(), &world.b1(), &world.c1()}) {
          CAPTURE(name_of({.attach = attach, .fabric = fabric}));
          CAPTURE(to_string(pod->ip(family)));
          serve(balancer, every, {pod->ip(family), 8080}, node_port(true));
          CHECK(talk(world.outside, pod->ns, world.a.ip(family)) == world.a.ip(family));
        }
        serve(balancer, every, {world.b.ip(family), 8080}, node_port(true));
        CHECK(talk(world.outside, world.b.ns, world.a.ip(family)) == world.a.ip(family));
        // The node itself as endpoint sees the client: its answers come by here anyway.
        serve(balancer, every, {world.a.ip(family), 8080}, node_port(true));
        CHECK(talk(world.outside, world.a.ns, world.a.ip(family)) == world.outside_ip(family));
      }
    }
}

TEST_CASE("NodePort and load balancer, policy Local: the endpoint sees the client") {
  for (auto attach : kAttaches)
    for (auto family : kFamilies) {
      World world({.attach = attach, .services = true});
      publish(world, world.a);
      Balancer balancer(world.a);
      Ip every = family == Family::V4 ? Ip() : Ip::parse("::").value();
      serve(balancer, every, {world.a1().ip(family), 8080}, node_port(false));
      CHECK(talk(world.outside, world.a1().ns, world.a.ip(family)) == world.outside_ip(family));
      serve(balancer, public_ip(family), {world.a1().ip(family), 8080}, load_balancer(false));
      CHECK(talk(world.outside, world.a1().ns, public_ip(family)) == world.outside_ip(family));
      serve(balancer, public_ip(family), {world.b1().ip(family), 8080}, load_balancer(true));
      CHECK(talk(world.outside, world.b1().ns, public_ip(family)) == world.a.ip(family));
    }
}

TEST_CASE("a Pod and a node of another node reach a NodePort here") {
  for (auto fabric : {Fabric::Native, Fabric::Overlay4})
    for (auto family : kFamilies) {
      World world({.fabric = fabric, .services = true});
      CAPTURE(name_of({.fabric = fabric}));
      CAPTURE(to_string(family));
      Balancer balancer(world.a);
      Ip every = family == Family::V4 ? Ip() : Ip::parse("::").value();
      for (auto* pod : {&world.a1(), &world.b1()}) {
        serve(balancer, every, {pod->ip(family), 8080}, node_port(true));
        CAPTURE(to_string(pod->ip(family)));
        // Out of one tunnel into another: between namespaces a large send keeps the marks of the first (vxlan.h).
        CHECK(talk(world.c1().ns, pod->ns, world.a.ip(family), 8080, 1000) == world.a.ip(family));
        CAPTURE("from the node");
        CHECK(talk(world.c.ns, pod->ns, world.a.ip(family)) == world.a.ip(family));
      }
      serve(balancer, every, {world.a2().ip(family), 8080}, node_port(false));
      CHECK(talk(world.c1().ns, world.a2().ns, world.a.ip(family)) == world.c1().ip(family));
      // A Pod of this node, at its node's address.
      CHECK(talk(world.a1().ns, world.a2().ns, world.a.ip(family)) == world.a1().ip(family));
    }
}

TEST_CASE("the node itself reaches a ClusterIP by packets") {
  for (auto fabric : {Fabric::Native, Fabric::Overlay4})
    for (auto family : kFamilies) {
      World world({.fabric = fabric, .services = true});
      CAPTURE(name_of({.fabric = fabric}));
      CAPTURE(to_string(family));
      Balancer balancer(world.a);
      for (auto* pod : {&world.a1(), &world.b1(), &world.c1()}) {
        CAPTURE(to_string(pod->ip(family)));
        serve(balancer, cluster_ip(family), {pod->ip(family), 8080});
        CHECK(talk(world.a.ns, pod->ns, cluster_ip(family)) == world.a.ip(family));
      }
      serve(balancer, cluster_ip(family), {world.b.ip(family), 8080});
      CHECK(talk(world.a.ns, world.b.ns, cluster_ip(family)) == world.a.ip(family));
      // Its own process cannot see it as itself: it would answer past us.
      serve(balancer, cluster_ip(family), {world.a.ip(family), 8080});
      CHECK(talk(world.a.ns, world.a.ns, cluster_ip(family)) == cluster_ip(family));
    }
}

TEST_CASE("affinity keeps a client with its endpoint, and endpoints share the others") {
  World world({.services = true});
  Balancer balancer(world.a);
  Fd here = tcp_listener(world.a2().ns, Ip(), 8080), there = tcp_listener(world.b1().ns, Ip(), 8080);
  balancer.endpoints(1, {{world.a2().ip4, 8080}, {world.b1().ip4, 8080}});
  balancer.serve(1, cluster_ip(Family::V4), 80, IPPROTO_TCP, {.affinity = 60});
  balancer.serve(1, cluster_ip(Family::V4, 11), 80);
  auto got = [&](Ip address) {
    Fd client = tcp_connect(world.a1().ns, address, 80);
    CHECK(client);
    Fd a(::accept4(here.get(), nullptr, nullptr, SOCK_NONBLOCK));
    if (a) return 1;
    Fd b(::accept4(there.get(), nullptr, nullptr, SOCK_NONBLOCK));
    return b ? 2 : 0;
  };
  for (auto* listener : {&here, &there}) {
    timeval patience{.tv_sec = 0, .tv_usec = 50000};
    ::setsockopt(listener->get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  }
  int first = got(cluster_ip(Family::V4));
  for (int i = 0; i < 10; ++i) CHECK(got(cluster_ip(Family::V4)) == first);
  int seen[3] = {};
  for (int i = 0; i < 30; ++i) ++seen[got(cluster_ip(Family::V4, 11))];
  CHECK(seen[1] > 0);
  CHECK(seen[2] > 0);
}

}  // namespace causeway::test
