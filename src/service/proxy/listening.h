// A server that shall be there: where its address is taken, it is tried again each five seconds, as kube-proxy does.
#pragma once

#include <functional>
#include <memory>

#include "http/server.h"

namespace causeway::service::proxy {

class Listening {
 public:
  static constexpr Duration kAgain = 5s;

  // At an unspecified address: on every address of both families. Borrows loop and handler. `failed` is told each
  // reason once, until it listened.
  Listening(Loop& loop, Endpoint at, http::Handler& handler, std::function<void(const Error&)> failed,
            Duration again = kAgain);

  // Why nobody is served there; "" while all is well.
  const std::string& trouble() const { return trouble_; }
  uint16_t port() const { return server_ ? server_->port() : 0; }

 private:
  void listen();

  Loop& loop_;
  Endpoint at_;
  http::Handler& handler_;
  std::function<void(const Error&)> failed_;
  const Duration again_after_;
  std::string trouble_;
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<Timer> again_;
};

}  // namespace causeway::service::proxy
