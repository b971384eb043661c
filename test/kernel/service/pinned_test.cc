// Connected UDP sockets: connect() found an endpoint by the socket hooks, and the endpoint goes.
#include <doctest/doctest.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "services.h"
#include "sockets.h"
#include "talk.h"
#include "world.h"

namespace causeway::test {

namespace {

// A question to the server and its answer; whom the client hears it from.
Endpoint exchange(const Fd& client, const Fd& server) {
  REQUIRE(::send(client.get(), "ask", 3, 0) == 3);
  auto got = receive_udp(server);
  REQUIRE(got);
  REQUIRE(send_udp(server, got->from.ip, got->from.port, "answer"));
  auto answer = receive_udp(client);
  REQUIRE(answer);
  CHECK(answer->payload == "answer");
  return answer->from;
}

}  // namespace

TEST_CASE(
    "a connected UDP socket of a Pod or the node leaves an endpoint that is gone, and is refused when none is left") {
  for (auto attach : kAttaches)
    for (auto family : kFamilies)
      for (bool local : {false, true}) {
        CAPTURE(to_string(attach));
        CAPTURE(to_string(family));
        CAPTURE(local);
        World world({.attach = attach, .services = true, .socket_cgroup = own_cgroup()});
        ServiceRows rows(world.a);
        rows.client(world.a1());
        const Ip vip = Ip::parse(family == Family::V4 ? "10.96.0.10" : "fd00:96::10").value();
        const Ip any = Ip::parse(family == Family::V4 ? "0.0.0.0" : "::").value();
        Pod &first = local ? world.a2() : world.b1(), &second = local ? world.b1() : world.a2();
        for (const Ns* client : {&world.a1().ns, &world.a.ns}) {
          CAPTURE(client == &world.a.ns);
          ServiceSpec spec{.ip = vip,
                           .port = 53,
                           .proto = IPPROTO_UDP,
                           .backends = {{first.ip(family), 8053}, {second.ip(family), 8054}}};
          uint32_t id = rows.add(spec), number = ServiceRows::first_backend(id);
          rows.flip(spec, id, {number});
          Fd old = udp_socket(first.ns, any, 8053), next = udp_socket(second.ns, any, 8054);
          Dialled socket = dial(*client, SOCK_DGRAM, {vip, 53});
          REQUIRE(socket.error == 0);
          REQUIRE(translated(world.a, socket.fd));
          exchange(socket.fd, old);
          rows.flip(spec, id, {number + 1});
          exchange(socket.fd, old);  // it still serves
          rows.set_state(number, abi::BACKEND_GONE);
          exchange(socket.fd, next);
          exchange(socket.fd, next);
          rows.set_state(number + 1, abi::BACKEND_GONE);
          REQUIRE(::send(socket.fd.get(), "ask", 3, 0) == 3);
          char byte;
          CHECK(::recv(socket.fd.get(), &byte, 1, 0) < 0);
          CHECK(errno == ECONNREFUSED);
        }
        CHECK(world.a.counted(abi::COUNT_SERVICE_RESTEERED) >= 4);
      }
}

TEST_CASE("a connected UDP socket leaves an endpoint outside of the cluster, to which it was masqueraded") {
  for (auto attach : kAttaches)
    for (auto family : kFamilies) {
      CAPTURE(to_string(attach));
      CAPTURE(to_string(family));
      World world({.attach = attach, .track_node_flows = true, .services = true, .socket_cgroup = own_cgroup()});
      ServiceRows rows(world.a);
      rows.client(world.a1());
      const Ip vip = Ip::parse(family == Family::V4 ? "10.96.0.10" : "fd00:96::10").value();
      const Ip any = Ip::parse(family == Family::V4 ? "0.0.0.0" : "::").value();
      Fd old = udp_socket(world.outside, any, 8053), inside = udp_socket(world.b1().ns, any, 8054),
         last = udp_socket(world.outside, any, 8055);
      for (const Ns* client : {&world.a1().ns, &world.a.ns}) {
        CAPTURE(client == &world.a.ns);
        ServiceSpec spec{
            .ip = vip,
            .port = 53,
            .proto = IPPROTO_UDP,
            .backends = {
                {world.outside_ip(family), 8053}, {world.b1().ip(family), 8054}, {world.outside_ip(family), 8055}}};
        uint32_t id = rows.add(spec), number = ServiceRows::first_backend(id);
        rows.flip(spec, id, {number});
        Dialled socket = dial(*client, SOCK_DGRAM, {vip, 53});
        REQUIRE(socket.error == 0);
        exchange(socket.fd, old);
        rows.flip(spec, id, {number + 1});
        exchange(socket.fd, old);  // it still serves
        rows.set_state(number, abi::BACKEND_GONE);
        exchange(socket.fd, inside);
        exchange(socket.fd, inside);
        rows.flip(spec, id, {number + 2});
        rows.set_state(number + 1, abi::BACKEND_GONE);
        exchange(socket.fd, last);
        exchange(socket.fd, last);
      }
    }
}

TEST_CASE(
    "a connected UDP socket of the node, to itself by whatever loopback address, leaves an endpoint that is gone") {
  for (const std::string text : {"127.0.0.1", "127.0.0.5", "0.0.0.0", "::1", "::"}) {
    CAPTURE(text);
    const Ip to = Ip::parse(text).value(), any = Ip::parse(to.is_v4() ? "0.0.0.0" : "::").value();
    World world({.services = true, .socket_cgroup = own_cgroup()});
    ServiceRows rows(world.a);
    rows.node_address(Ip::parse(to.is_v4() ? "127.0.0.1" : "::1").value());
    ServiceSpec spec{.ip = any,
                     .port = 30053,
                     .proto = IPPROTO_UDP,
                     .kind = abi::SERVICE_NODE_PORT,
                     .backends = {{world.a2().ip(to.family()), 8053}, {world.b1().ip(to.family()), 8054}}};
    uint32_t id = rows.add(spec), number = ServiceRows::first_backend(id);
    rows.flip(spec, id, {number});
    Fd old = udp_socket(world.a2().ns, any, 8053), next = udp_socket(world.b1().ns, any, 8054);
    REQUIRE(ping(world.a.ns, world.b1().ip(to.family())));  // its neighbour is known: no datagram waits for that
    Dialled socket = dial(world.a.ns, SOCK_DGRAM, {to, 30053});
    REQUIRE(socket.error == 0);
    REQUIRE(::send(socket.fd.get(), "ask", 3, 0) == 3);
    CHECK(receive_udp(old));
    rows.flip(spec, id, {number + 1});
    rows.set_state(number, abi::BACKEND_GONE);
    CHECK(exchange(socket.fd, next) == Endpoint{to, 30053});
  }
}

}  // namespace causeway::test
