// Our own API server, on a loop in a thread of its own: it and the client under test share nothing but the socket.
#include <cstdio>
#include <cstdlib>
#include <future>
#include <thread>

#include "api_under_test.h"
#include "apiserver/server.h"
#include "http/server.h"
#include "http/tls.h"

namespace causeway::test {
namespace {

template <class T>
T need(Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "start the embedded API server: %s\n", result.error().message().c_str());
  std::exit(1);
}
void need(Status status) {
  if (!status) need(Result<int>(fail(status.error())));
}

class EmbeddedApi : public ApiUnderTest {
 public:
  EmbeddedApi() {
    std::promise<void> started;
    thread_ = std::thread([this, &started] { run(started); });
    started.get_future().wait();
  }
  ~EmbeddedApi() override {
    loop_->post([this] { loop_->stop(); });
    thread_.join();
  }

  kube::Config config() override { return config_; }
  void forget_history() override {
    std::promise<void> done;
    loop_->post([this, &done] { scope_->spawn("compact", compact(done)); });
    done.get_future().wait();
  }

 private:
  void run(std::promise<void>& started) {
    loop_ = make_loop();
    const auto now = std::chrono::system_clock::now();
    const auto ca = need(http::CertificateAuthority::create("test", now));
    const auto pair =
        need(ca.issue({.common_name = "api", .addresses = {*Ip::parse("127.0.0.1")}, .server = true}, now));
    apiserver::ServerOptions options;
    options.users = {{"admin", "secret"}};
    options.retention = {.at_least = 0, .age = 0s};  // compact() forgets all; by itself it comes once a minute
    server_ = need(apiserver::Server::open(*loop_, std::move(options)));
    need(run_until_done(*loop_, server_->start()));
    http::ServerOptions listen;
    listen.tls = http::ServerTls{pair.certificate_pem, pair.key_pem, ""};
    auto listener = need(http::Server::listen(*loop_, listen, *server_));
    scope_.emplace(*loop_);
    config_.server = listener->url();
    config_.tls.ca_pem = ca.pair().certificate_pem;
    config_.token = "secret";
    started.set_value();
    loop_->run();
    scope_.reset();
    listener.reset();
    server_.reset();
  }
  Task<Status> compact(std::promise<void>& done) {
    auto status = co_await server_->store().compact();
    done.set_value();
    co_return status;
  }

  std::unique_ptr<Loop> loop_;
  std::unique_ptr<apiserver::Server> server_;
  std::optional<Scope> scope_;
  kube::Config config_;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<ApiUnderTest> start_api() { return std::make_unique<EmbeddedApi>(); }

}  // namespace causeway::test
