// The real door, on loopback.
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "base/fd.h"
#include "base/socket_address.h"
#include "service/prober.h"

using namespace causeway;
using namespace causeway::service;

namespace {

// A listening socket whose queue nobody empties: connect() succeeds, nothing answers.
struct Silent {
  Fd fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  Endpoint at;
  Silent() {
    SocketAddress address(Endpoint{Ip::parse("127.0.0.1").value(), 0});
    REQUIRE(::bind(fd.get(), address.get(), address.size) == 0);
    REQUIRE(::listen(fd.get(), 8) == 0);
    ::getsockname(fd.get(), address.get(), &address.size);
    at = address.endpoint();
  }
  // Answers the next connection with these bytes, whatever it asks.
  void answer(const char* text) {
    Fd one(::accept(fd.get(), nullptr, nullptr));
    REQUIRE(::send(one.get(), text, std::strlen(text), 0) > 0);
    char drain[512];
    while (::recv(one.get(), drain, sizeof(drain), 0) > 0) {
    }
  }
};

}  // namespace

TEST_CASE("a TCP probe is answered by whoever listens, and refused by nobody") {
  auto loop = make_loop();
  auto door = open_probe_door(*loop);
  Endpoint at;
  {
    Silent server;
    at = server.at;
    CHECK(run_until_done(*loop, door->ask(at, {.timeout_ms = 5000})));
  }
  loop = make_loop();
  door = open_probe_door(*loop);
  CHECK(run_until_done(*loop, door->ask(at, {.timeout_ms = 5000})).error().message() == "connect: Connection refused");
}

TEST_CASE("an HTTP probe wants a status of 200 to 399, in time") {
  auto ask = [](Silent& server, uint32_t timeout) {
    auto loop = make_loop();
    auto door = open_probe_door(*loop);
    auto answer = run_until_done(*loop, door->ask(server.at, {.http_path = "/healthz", .timeout_ms = timeout}));
    return answer ? std::string("ok") : answer.error().message();
  };
  Silent server;
  auto answered = [&](const char* text) {
    std::thread other([&] { server.answer(text); });
    auto said = ask(server, 20000);
    other.join();
    return said;
  };
  CHECK(answered("HTTP/1.1 204 No Content\r\n\r\n") == "ok");
  CHECK(answered("HTTP/1.1 503 Service Unavailable\r\n\r\n") == "GET /healthz: status 503");
  CHECK(answered("SSH-2.0-OpenSSH_9.2 hello\r\n") == "the answer is not HTTP");
  CHECK(ask(server, 100) == "no answer in 100 ms");
}
