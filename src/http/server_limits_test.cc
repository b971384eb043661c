// What the server does to peers that speak bytes of their own.
#include <doctest/doctest.h>

#include "http/test_world.h"

using namespace causeway;
using namespace causeway::http;

TEST_CASE("pipelined requests are answered in order") {
  World world;
  Raw peer(world.server->port());
  peer.say(
      "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nonePOST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: "
      "3\r\n\r\ntwo"
      "GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  REQUIRE(world.run_until([&] {
    peer.heard();
    return peer.ended;
  }));
  const auto text = peer.heard();
  CHECK(text.find("one") < text.find("two"));
  CHECK(text.find("two") != std::string::npos);
  CHECK(text.find("Connection: close") > text.find("two"));
}

TEST_CASE("a client that expects 100-continue gets it") {
  World world;
  Raw peer(world.server->port());
  peer.say("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  REQUIRE(world.run_until([&] { return peer.heard() == "HTTP/1.1 100 Continue\r\n\r\n"; }));
  peer.say("ok");
  REQUIRE(world.run_until([&] { return peer.heard().ends_with("\r\n\r\nok"); }));
}

TEST_CASE("HTTP/1.0 gets a stream that ends with the connection") {
  World world;
  Raw peer(world.server->port());
  peer.say("GET /count?n=3 HTTP/1.0\r\n\r\n");
  REQUIRE(world.run_until([&] {
    peer.heard();
    return peer.ended;
  }));
  CHECK(peer.heard().ends_with("\r\n\r\n0\n1\n2\n"));
  CHECK(peer.heard().find("chunked") == std::string::npos);
}

static std::string refused(ServerLimits limits, const std::string& text) {
  ServerOptions options;
  options.limits = limits;
  World world(options);
  Raw peer(world.server->port());
  peer.say(text);
  REQUIRE(world.run_until([&] {
    peer.heard();
    return peer.ended;
  }));
  CHECK(world.echo.requests == 0);
  peer.hang_up();
  REQUIRE(world.run_until([&] { return world.server->connections() == 0; }));
  return peer.heard().substr(0, peer.heard().find('\r'));
}

TEST_CASE("what is too large or broken is refused") {
  CHECK(refused({.body_bytes = 10}, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n") ==
        "HTTP/1.1 413 Content Too Large");
  CHECK(refused({.body_bytes = 10}, "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n12345678901\r\n") ==
        "HTTP/1.1 413 Content Too Large");
  CHECK(refused({.header_bytes = 100}, "GET /" + std::string(200, 'a') + " HTTP/1.1\r\n\r\n") ==
        "HTTP/1.1 431 Request Header Fields Too Large");
  CHECK(refused({}, "\x16\x03\x01\x02\r\n\r\n") == "HTTP/1.1 400 Bad Request");
  CHECK(refused({}, "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n") == "HTTP/1.1 400 Bad Request");
  CHECK(refused({}, "GET / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n") == "HTTP/1.1 400 Bad Request");
}

TEST_CASE("a peer that does not go on is dropped") {
  CHECK(refused({.header = 50ms}, "GET / HTTP/1.1\r\nX-Slow: ") == "");
  CHECK(refused({.body = 50ms}, "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab") == "");
}

TEST_CASE("of too many half-open connections the oldest goes") {
  ServerOptions options;
  options.limits.half_open = 2;
  World world(options);
  Raw first(world.server->port());
  REQUIRE(world.run_until([&] { return world.server->connections() == 1; }));
  Raw second(world.server->port());
  REQUIRE(world.run_until([&] { return world.server->connections() == 2; }));
  Raw third(world.server->port());
  REQUIRE(world.run_until([&] {
    first.heard();
    return first.ended;
  }));
  CHECK(world.server->connections() == 2);
  Client client(*world.loop, to(world));
  CHECK(world.send(client, "POST", "/echo", "in") == "200 in");
}
