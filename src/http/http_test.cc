// Client and server over loopback.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "async/scope.h"
#include "base/fd.h"
#include "http/client.h"
#include "http/server.h"
#include "http/tls.h"

using namespace causeway;
using namespace causeway::http;

namespace {

// What a test asks of it stands in the path.
class Echo : public Handler {
 public:
  explicit Echo(Loop& loop) : loop_(loop) {}

  Task<Status> serve(Request request, ResponseWriter& writer) override {
    ++requests;
    const auto target = CO_TRY(parse_target(request.target));
    if (target.path == "/count") co_return co_await count(writer, std::stoi(std::string(target.get("n"))));
    if (target.path == "/ever") co_return co_await ever(writer);
    if (target.path == "/flood") co_return co_await flood(writer);
    if (target.path == "/fail") co_return fail(Errc::Internal, "it broke");
    if (target.path == "/half") co_return co_await half(writer);
    if (target.path == "/silent") {
      co_await loop_.sleep(1h);
      ++cancelled;
      co_return ok();
    }
    Response response;
    response.status = target.has("status") ? std::stoi(std::string(target.get("status"))) : 200;
    if (target.path == "/token" && request.headers["Authorization"] != "Bearer good") response.status = 401;
    response.headers["X-Method"] = request.method;
    response.body = target.path == "/big" ? std::string(20 << 20, 'x')
                    : target.path == "/who"
                        ? fmt::format("{} {}", request.peer.common_name,
                                      request.peer.organizations.empty() ? "" : request.peer.organizations[0])
                        : request.body;
    co_return co_await writer.send(std::move(response));
  }

  int requests = 0;
  int cancelled = 0;
  size_t flooded = 0;

 private:
  Task<Status> count(ResponseWriter& writer, int to) {
    Headers headers;
    headers["Content-Type"] = "text/plain";
    CO_TRY(co_await writer.begin(200, std::move(headers)));
    for (int i = 0; i < to; ++i) CO_TRY(co_await writer.write(std::to_string(i) + "\n"));
    co_return ok();
  }
  Task<Status> ever(ResponseWriter& writer) {
    CO_TRY(co_await writer.begin(200, {}));
    CO_TRY(co_await writer.write("first\n"));
    auto slept = co_await loop_.sleep(1h);
    if (!slept) ++cancelled;
    co_return slept;
  }
  Task<Status> flood(ResponseWriter& writer) {
    CO_TRY(co_await writer.begin(200, {}));
    for (;;) {
      auto written = co_await writer.write(std::string(64 << 10, 'f'));
      if (!written) {
        ++cancelled;
        co_return written;
      }
      flooded += 64 << 10;
    }
  }
  Task<Status> half(ResponseWriter& writer) {
    CO_TRY(co_await writer.begin(200, {}));
    CO_TRY(co_await writer.write("half"));
    co_return fail(Errc::Internal, "the other half is missing");
  }
  Loop& loop_;
};

struct World {
  explicit World(ServerOptions options = {}) : server(Server::listen(*loop, std::move(options), echo).value()) {}

  std::unique_ptr<Loop> loop = make_loop();
  Echo echo{*loop};
  std::unique_ptr<Server> server;

  // "200 body", or the error.
  std::string send(Client& client, std::string method, std::string target, std::string body = {}) {
    Request request;
    request.method = std::move(method);
    request.target = std::move(target);
    request.body = std::move(body);
    auto response = run_until_done(*loop, client.send(std::move(request)));
    return response ? fmt::format("{} {}", response->status, response->body) : response.error().message();
  }
  void run_for(Duration delay) {
    auto timer = loop->call_after(delay, [this] { loop->stop(); });
    loop->run();
  }
  template <class Condition>
  void run_until(Condition condition) {
    for (int i = 0; i < 1000 && !condition(); ++i) run_for(5ms);
    REQUIRE(condition());
  }
};

// A peer that speaks bytes.
class Raw {
 public:
  explicit Raw(uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  }
  void say(std::string_view text) { REQUIRE(::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL) == ssize_t(text.size())); }
  void hang_up() {
    heard();
    fd_.reset();
  }
  // All that came by now; sets ended when the server closed.
  std::string heard() {
    if (!fd_) return text_;
    char buffer[65536];
    for (ssize_t n; (n = ::recv(fd_.get(), buffer, sizeof buffer, MSG_DONTWAIT)) >= 0;) {
      if (n == 0) {
        ended = true;
        break;
      }
      text_.append(buffer, static_cast<size_t>(n));
    }
    return text_;
  }
  bool ended = false;

 private:
  Fd fd_;
  std::string text_;
};

WallTime now() { return std::chrono::system_clock::now(); }

struct Certificates {
  CertificateAuthority ca = CertificateAuthority::create("test-ca", now()).value();
  KeyPair server = ca.issue({.common_name = "server", .addresses = {*Ip::parse("127.0.0.1")}, .server = true}, now()).value();
  KeyPair client = ca.issue({.common_name = "ada", .organizations = {"system:masters"}, .client = true}, now()).value();
  ServerOptions options(bool ask_clients = false) const {
    ServerOptions options;
    options.tls = ServerTls{server.certificate_pem, server.key_pem, ask_clients ? ca.pair().certificate_pem : ""};
    return options;
  }
};

ClientOptions to(const World& world) {
  ClientOptions options;
  options.url = world.server->url();
  return options;
}

}  // namespace

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
  certificates.server = certificates.ca.issue({.common_name = "s", .dns_names = {"api.test"}, .server = true}, now()).value();
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
  CHECK(CertificateAuthority::load({certificates.ca.pair().certificate_pem, others.ca.pair().key_pem}).error().message() ==
        "the CA's key does not belong to its certificate");
  CHECK(CertificateAuthority::load(certificates.client).error().message() == "the CA's certificate is not one of a CA");
  CHECK(!parse_certificate("nonsense"));
}

TEST_CASE("a stream hands over its pieces and ends") {
  World world;
  Client client(*world.loop, to(world));
  std::string heard;
  Request request;
  request.target = "/count?n=1000";
  auto response = run_until_done(*world.loop, client.stream(request, [&](std::string_view data) { heard += data; return ok(); }, 5s));
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
  auto response = run_until_done(*world.loop, client.stream(request, [&](std::string_view data) { heard += data; return ok(); }, 5s));
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
  world.run_until([&] { return world.echo.cancelled == 1; });
}

TEST_CASE("a consumer's own error ends the stream") {
  World world;
  Client client(*world.loop, to(world));
  Request request;
  request.target = "/ever";
  auto response = run_until_done(*world.loop, client.stream(request, [](std::string_view) -> Status { return fail(Errc::Invalid, "no"); }, 5s));
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
    world.run_until([&] { return world.echo.requests == 1; });
  }
  world.run_until([&] { return world.echo.cancelled == 1; });
  CHECK(world.send(client, "POST", "/echo", "still") == "200 still");
}

TEST_CASE("a server that ends cancels its handlers") {
  World world;
  Raw peer(world.server->port());
  peer.say("GET /silent HTTP/1.1\r\nHost: x\r\n\r\n");
  world.run_until([&] { return world.echo.requests == 1; });
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
  world.run_until([&] { return world.echo.flooded > 0 && std::exchange(before, world.echo.flooded) == world.echo.flooded; });
  CHECK(world.echo.flooded < (64 << 20));
  Client client(*world.loop, to(world));
  CHECK(world.send(client, "POST", "/echo", "quick") == "200 quick");
  slow.hang_up();
  world.run_until([&] { return world.echo.cancelled == 1; });
}

TEST_CASE("pipelined requests are answered in order") {
  World world;
  Raw peer(world.server->port());
  peer.say("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nonePOST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\ntwo"
           "GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  world.run_until([&] { peer.heard(); return peer.ended; });
  const auto text = peer.heard();
  CHECK(text.find("one") < text.find("two"));
  CHECK(text.find("two") != std::string::npos);
  CHECK(text.find("Connection: close") > text.find("two"));
}

TEST_CASE("a client that expects 100-continue gets it") {
  World world;
  Raw peer(world.server->port());
  peer.say("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  world.run_until([&] { return peer.heard() == "HTTP/1.1 100 Continue\r\n\r\n"; });
  peer.say("ok");
  world.run_until([&] { return peer.heard().ends_with("\r\n\r\nok"); });
}

TEST_CASE("HTTP/1.0 gets a stream that ends with the connection") {
  World world;
  Raw peer(world.server->port());
  peer.say("GET /count?n=3 HTTP/1.0\r\n\r\n");
  world.run_until([&] { peer.heard(); return peer.ended; });
  CHECK(peer.heard().ends_with("\r\n\r\n0\n1\n2\n"));
  CHECK(peer.heard().find("chunked") == std::string::npos);
}

static std::string refused(ServerLimits limits, const std::string& text) {
  ServerOptions options;
  options.limits = limits;
  World world(options);
  Raw peer(world.server->port());
  peer.say(text);
  world.run_until([&] { peer.heard(); return peer.ended; });
  CHECK(world.echo.requests == 0);
  peer.hang_up();
  world.run_until([&] { return world.server->connections() == 0; });
  return peer.heard().substr(0, peer.heard().find('\r'));
}

TEST_CASE("what is too large or broken is refused") {
  CHECK(refused({.body_bytes = 10}, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n") == "HTTP/1.1 413 Content Too Large");
  CHECK(refused({.body_bytes = 10}, "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n12345678901\r\n") == "HTTP/1.1 413 Content Too Large");
  CHECK(refused({.header_bytes = 100}, "GET /" + std::string(200, 'a') + " HTTP/1.1\r\n\r\n") == "HTTP/1.1 431 Request Header Fields Too Large");
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
  world.run_until([&] { return world.server->connections() == 1; });
  Raw second(world.server->port());
  world.run_until([&] { return world.server->connections() == 2; });
  Raw third(world.server->port());
  world.run_until([&] { first.heard(); return first.ended; });
  CHECK(world.server->connections() == 2);
  Client client(*world.loop, to(world));
  CHECK(world.send(client, "POST", "/echo", "in") == "200 in");
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

TEST_CASE("a wrong server configuration is refused with its reason") {
  auto loop = make_loop();
  Echo echo(*loop);
  ServerOptions options;
  options.address = "10.0.0.300";
  CHECK(!Server::listen(*loop, options, echo));
  options.address = "127.0.0.1";
  options.tls = ServerTls{"no certificate", "", ""};
  CHECK(Server::listen(*loop, options, echo).error().message().starts_with("listen on 127.0.0.1: the server's certificate: "));
  const Certificates one, two;
  options.tls = ServerTls{one.server.certificate_pem, two.server.key_pem, ""};
  CHECK(Server::listen(*loop, options, echo).error().message().starts_with("listen on 127.0.0.1: the server's key: "));
  World world;
  ServerOptions taken;
  taken.port = world.server->port();
  CHECK(Server::listen(*loop, taken, echo).error().message() ==
        fmt::format("listen on 127.0.0.1 port {}: Address already in use", taken.port));
}
