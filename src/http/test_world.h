// A server on loopback, whose handler does what stands in the path, and a peer that speaks bytes.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

#include "async/scope.h"
#include "base/fd.h"
#include "http/client.h"
#include "http/server.h"
#include "http/tls.h"

namespace causeway::http {

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
  bool run_until(Condition condition) {  // false: not within five seconds
    for (int i = 0; i < 1000 && !condition(); ++i) run_for(5ms);
    return condition();
  }
};

// A peer that speaks bytes.
class Raw {
  static void need(bool done) {
    if (!done) std::abort();
  }

 public:
  explicit Raw(uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    need(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  }
  void say(std::string_view text) {
    need(::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL) == ssize_t(text.size()));
  }
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

inline WallTime now() { return std::chrono::system_clock::now(); }

struct Certificates {
  CertificateAuthority ca = CertificateAuthority::create("test-ca", now()).value();
  KeyPair server =
      ca.issue({.common_name = "server", .addresses = {*Ip::parse("127.0.0.1")}, .server = true}, now()).value();
  KeyPair client = ca.issue({.common_name = "ada", .organizations = {"system:masters"}, .client = true}, now()).value();
  ServerOptions options(bool ask_clients = false) const {
    ServerOptions options;
    options.tls = ServerTls{server.certificate_pem, server.key_pem, ask_clients ? ca.pair().certificate_pem : ""};
    return options;
  }
};

inline ClientOptions to(const World& world) {
  ClientOptions options;
  options.url = world.server->url();
  return options;
}

}  // namespace causeway::http
