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
          auto exchange = [&](const Fd& server) {
            REQUIRE(::send(socket.fd.get(), "ask", 3, 0) == 3);
            auto got = receive_udp(server);
            REQUIRE(got);
            REQUIRE(send_udp(server, got->from.ip, got->from.port, "answer"));
            auto answer = receive_udp(socket.fd);
            REQUIRE(answer);
            CHECK(answer->payload == "answer");
          };
          exchange(old);
          rows.flip(spec, id, {number + 1});
          exchange(old);  // it still serves
          rows.set_state(number, abi::BACKEND_GONE);
          exchange(next);
          exchange(next);
          rows.set_state(number + 1, abi::BACKEND_GONE);
          REQUIRE(::send(socket.fd.get(), "ask", 3, 0) == 3);
          char byte;
          CHECK(::recv(socket.fd.get(), &byte, 1, 0) < 0);
          CHECK(errno == ECONNREFUSED);
        }
        CHECK(world.a.counted(abi::COUNT_SERVICE_RESTEERED) >= 4);
      }
}

}  // namespace causeway::test
