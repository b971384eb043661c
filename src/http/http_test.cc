// Client and server over loopback.
#include <doctest/doctest.h>

#include "http/test_world.h"

using namespace causeway;
using namespace causeway::http;

TEST_CASE("requests and answers pass whole, over one connection") {
  World world;
  Client client(*world.loop, to(world));
  CHECK(world.send(client, "POST", "/echo", "hello") == "200 hello");
  CHECK(world.send(client, "GET", "/echo?status=404") == "404 ");
  CHECK(world.send(client, "DELETE", "/echo", "{}") == "200 {}");
  CHECK(world.send(client, "PUT", "/echo", "") == "200 ");
  CHECK(world.send(client, "HEAD", "/echo") == "200 ");
  CHECK(world.server->connections() == 1);
}

TEST_CASE("a large answer and a large request pass whole") {
  World world;
  Client client(*world.loop, to(world));
  CHECK(world.send(client, "GET", "/big").size() == 4 + (20 << 20));
  const std::string body(2 << 20, 'b');
  CHECK(world.send(client, "POST", "/echo", body) == "200 " + body);
}

TEST_CASE("TLS: the CA is trusted, and nobody else") {
  const Certificates certificates;
  World world(certificates.options());
  auto options = to(world);
  options.tls.ca_pem = certificates.ca.pair().certificate_pem;
  Client client(*world.loop, options);
  CHECK(world.send(client, "POST", "/echo", "secret") == "200 secret");
  CHECK(world.send(client, "GET", "/big").size() == 4 + (20 << 20));

  const Certificates others;
  options.tls.ca_pem = others.ca.pair().certificate_pem;
  Client stranger(*world.loop, options);
  Request request;
  auto refused = run_until_done(*world.loop, stranger.send(request));
  REQUIRE(!refused);
  CHECK(refused.error().code() == Errc::Denied);

  options.tls = ClientTls{.insecure = true};
  Client careless(*world.loop, options);
  CHECK(world.send(careless, "POST", "/echo", "secret") == "200 secret");
}

TEST_CASE("TLS: the server name is verified in place of the address") {
  Certificates certificates;
  certificates.server =
      certificates.ca.issue({.common_name = "s", .dns_names = {"api.test"}, .server = true}, now()).value();
  World world(certificates.options());
  auto options = to(world);
  options.tls.ca_pem = certificates.ca.pair().certificate_pem;
  Client by_address(*world.loop, options);
  CHECK(!run_until_done(*world.loop, by_address.send({})));
  options.tls.server_name = "api.test";
  Client by_name(*world.loop, options);
  CHECK(world.send(by_name, "POST", "/echo", "x") == "200 x");
}

TEST_CASE("TLS: the handler learns who holds the client certificate") {
  const Certificates certificates, others;
  World world(certificates.options(true));
  auto options = to(world);
  options.tls.ca_pem = certificates.ca.pair().certificate_pem;
  Client nobody(*world.loop, options);
  CHECK(world.send(nobody, "GET", "/who") == "200  ");
  options.tls.certificate_pem = certificates.client.certificate_pem;
  options.tls.key_pem = certificates.client.key_pem;
  Client ada(*world.loop, options);
  CHECK(world.send(ada, "GET", "/who") == "200 ada system:masters");
  options.tls.certificate_pem = others.client.certificate_pem;
  options.tls.key_pem = others.client.key_pem;
  Client impostor(*world.loop, options);
  CHECK(!run_until_done(*world.loop, impostor.send({})));
}

TEST_CASE("a certificate says what was asked for, and a CA reads back") {
  const Certificates certificates;
  const auto facts = parse_certificate(certificates.client.certificate_pem).value();
  CHECK(facts.common_name == "ada");
  CHECK(facts.organizations == std::vector<std::string>{"system:masters"});
  CHECK(parse_certificate(certificates.server.certificate_pem)->names == std::vector<std::string>{"127.0.0.1"});
  CHECK(CertificateAuthority::load(certificates.ca.pair()).has_value());
  const Certificates others;
  CHECK(CertificateAuthority::load({certificates.ca.pair().certificate_pem, others.ca.pair().key_pem})
            .error()
            .message() == "the CA's key does not belong to its certificate");
  CHECK(CertificateAuthority::load(certificates.client).error().message() == "the CA's certificate is not one of a CA");
  CHECK(!parse_certificate("nonsense"));
}

TEST_CASE("a stream hands over its pieces and ends") {
  World world;
  Client client(*world.loop, to(world));
  std::string heard;
  Request request;
  request.target = "/count?n=1000";
  auto response = run_until_done(*world.loop, client.stream(
                                                  request,
                                                  [&](std::string_view data) {
                                                    heard += data;
                                                    return ok();
                                                  },
                                                  5s));
  REQUIRE(response);
  CHECK(response->status == 200);
  CHECK(response->body.empty());
  CHECK(heard.size() == 3890);
  CHECK(heard.ends_with("998\n999\n"));
  request.target = "/echo?status=410";
  request.body = "too old";
  response = run_until_done(*world.loop, client.stream(request, [&](std::string_view) { return ok(); }, 5s));
  CHECK(response->status == 410);
  CHECK(response->body == "too old");
}

TEST_CASE("an answer that breaks off is an error, not an end") {
  World world;
  Client client(*world.loop, to(world));
  Request request;
  request.target = "/half";
  std::string heard;
  auto response = run_until_done(*world.loop, client.stream(
                                                  request,
                                                  [&](std::string_view data) {
                                                    heard += data;
                                                    return ok();
                                                  },
                                                  5s));
  CHECK(heard == "half");
  REQUIRE(!response);
  CHECK(response.error().code() == Errc::Unavailable);
  CHECK(world.send(client, "GET", "/fail") == "500 it broke\n");
}

TEST_CASE("a stream without a byte ends with Timeout, and its handler is cancelled") {
  World world;
  Client client(*world.loop, to(world));
  Request request;
  request.target = "/ever";
  auto response = run_until_done(*world.loop, client.stream(request, [](std::string_view) { return ok(); }, 30ms));
  REQUIRE(!response);
  CHECK(response.error().code() == Errc::Timeout);
  REQUIRE(world.run_until([&] { return world.echo.cancelled == 1; }));
}

TEST_CASE("a consumer's own error ends the stream") {
  World world;
  Client client(*world.loop, to(world));
  Request request;
  request.target = "/ever";
  auto response = run_until_done(
      *world.loop, client.stream(request, [](std::string_view) -> Status { return fail(Errc::Invalid, "no"); }, 5s));
  CHECK(response.error().message() == "no");
}

TEST_CASE("cancelling the awaiting task drops the exchange") {
  World world;
  Client client(*world.loop, to(world));
  {
    Scope scope(*world.loop);
    Request request;
    request.target = "/silent";
    scope.spawn("wait", [](Client& client, Request request) -> Task<Status> {
      CO_TRY(co_await client.send(std::move(request)));
      co_return ok();
    }(client, request));
    REQUIRE(world.run_until([&] { return world.echo.requests == 1; }));
  }
  REQUIRE(world.run_until([&] { return world.echo.cancelled == 1; }));
  CHECK(world.send(client, "POST", "/echo", "still") == "200 still");
}

TEST_CASE("a server that ends cancels its handlers") {
  World world;
  Raw peer(world.server->port());
  peer.say("GET /silent HTTP/1.1\r\nHost: x\r\n\r\n");
  REQUIRE(world.run_until([&] { return world.echo.requests == 1; }));
  world.server.reset();
  CHECK(world.echo.cancelled == 1);
}

TEST_CASE("no server, no answer") {
  World world;
  auto options = to(world);
  world.server.reset();
  Client client(*world.loop, options);
  auto response = run_until_done(*world.loop, client.send({}));
  REQUIRE(!response);
  CHECK(response.error().code() == Errc::Unavailable);
  options.url = "ftp://x";
  Client wrong(*world.loop, options);
  CHECK(run_until_done(*world.loop, wrong.send({})).error().message() ==
        "the server's URL \"ftp://x\" is neither https nor http");
}

TEST_CASE("a refused token is read again") {
  World world;
  auto options = to(world);
  int reads = 0;
  options.bearer = [&](bool refresh) -> Result<std::string> {
    ++reads;
    return std::string(refresh ? "good" : "old");
  };
  Client client(*world.loop, options);
  CHECK(world.send(client, "POST", "/token", "x") == "200 x");
  CHECK(reads == 2);
}

TEST_CASE("a slow reader slows its handler and nobody else") {
  World world;
  Raw slow(world.server->port());
  slow.say("GET /flood HTTP/1.1\r\nHost: x\r\n\r\n");
  size_t before = 1;
  REQUIRE(world.run_until(
      [&] { return world.echo.flooded > 0 && std::exchange(before, world.echo.flooded) == world.echo.flooded; }));
  CHECK(world.echo.flooded < (64 << 20));
  Client client(*world.loop, to(world));
  CHECK(world.send(client, "POST", "/echo", "quick") == "200 quick");
  slow.hang_up();
  REQUIRE(world.run_until([&] { return world.echo.cancelled == 1; }));
}

TEST_CASE("a Unix socket serves like an address") {
  const auto path = fmt::format("/tmp/causeway-http-test-{}.sock", ::getpid());
  ServerOptions server;
  server.address = "unix:" + path;
  {
    World world(server);
    ClientOptions options;
    options.url = world.server->url();
    options.unix_socket = path;
    Client client(*world.loop, options);
    CHECK(world.send(client, "POST", "/echo", "local") == "200 local");
  }
  CHECK(::access(path.c_str(), F_OK) != 0);
}

TEST_CASE("a listening socket can be inherited") {
  auto loop = make_loop();
  Echo echo(*loop);
  Fd listener(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(listener.get(), 5) == 0);
  ServerOptions options;
  options.address = fmt::format("fd:{}", listener.release());
  World world(options);
  Client client(*world.loop, to(world));
  CHECK(world.send(client, "POST", "/echo", "handed down") == "200 handed down");
  options.address = "fd:0";
  CHECK(Server::listen(*loop, options, echo).error().message() == "listen on fd:0: not an inherited listening socket");
}

TEST_CASE("a wrong server configuration is refused with its reason") {
  auto loop = make_loop();
  Echo echo(*loop);
  ServerOptions options;
  options.address = "10.0.0.300";
  CHECK(!Server::listen(*loop, options, echo));
  options.address = "127.0.0.1";
  options.tls = ServerTls{"no certificate", "", ""};
  CHECK(Server::listen(*loop, options, echo)
            .error()
            .message()
            .starts_with("listen on 127.0.0.1: the server's certificate: "));
  const Certificates one, two;
  options.tls = ServerTls{one.server.certificate_pem, two.server.key_pem, ""};
  CHECK(Server::listen(*loop, options, echo).error().message().starts_with("listen on 127.0.0.1: the server's key: "));
  World world;
  ServerOptions taken;
  taken.port = world.server->port();
  CHECK(Server::listen(*loop, taken, echo).error().message() ==
        fmt::format("listen on 127.0.0.1 port {}: Address already in use", taken.port));
}

TEST_CASE("a body over the limit is answered with the limit, over TLS too, while the client still sends") {
  const Certificates certificates;
  ServerOptions server;
  SUBCASE("plain") {}
  SUBCASE("TLS") { server = certificates.options(); }
  const bool tls = server.tls.has_value();
  server.limits.body_bytes = 1000;
  World world(std::move(server));
  auto options = to(world);
  if (tls) options.tls.ca_pem = certificates.ca.pair().certificate_pem;
  Client sender(*world.loop, options);
  CHECK(world.send(sender, "POST", "/echo", std::string(20 << 20, 'x')) ==
        "413 Content Too Large: the limit is 1000 bytes\n");
  CHECK(world.echo.requests == 0);
}
