// An HTTP/1.1 server, plain or TLS, on an address or a Unix socket. A Handler gets each request on the loop's thread.
//
//   auto server = TRY(Server::listen(loop, {.tls = ServerTls{pair.certificate_pem, pair.key_pem}}, handler));
//   server->port();
//
// What it promises: limits on sizes, on time and on the number of connections, so that no peer can hold it up; answers
// in order on a connection; a handler is cancelled when its peer goes away or the server is destroyed.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/ip.h"
#include "http/message.h"

namespace causeway::http {

struct ServerTls {
  std::string certificate_pem;  // the server's, and what links it to its CA
  std::string key_pem;
  std::string client_ca_pem;  // empty: clients are not asked for a certificate. One that shows none is still served
};

struct ServerLimits {
  size_t header_bytes = 64 << 10;  // more: 431
  size_t body_bytes = 3 << 20;     // more: 413
  size_t connections = 4096;       // more: refused
  size_t half_open = 256;          // connections without a whole first header; above that the oldest is closed
  Duration handshake = 10s;        // TLS
  Duration header = 10s;           // from its first byte to its last; also to the first byte on a new connection
  Duration body = 60s;
  Duration idle = 180s;  // between two requests of a connection
  Duration write = 60s;  // without a byte taken by the peer
};

struct ServerOptions {
  std::string address = "127.0.0.1";  // numeric, "unix:/path" (replaced), or "fd:3" (inherited, it listens already)
  uint16_t port = 0;                  // 0: any
  std::optional<ServerTls> tls;
  ServerLimits limits;
};

class Server {
 public:
  // `loop` and `handler` outlive the server. Errors: Invalid (address, certificate), Io (bind).
  static Result<std::unique_ptr<Server>> listen(Loop& loop, ServerOptions options, Handler& handler);
  ~Server();

  uint16_t port() const;  // 0: Unix socket
  // "https://127.0.0.1:6443", "http://[::1]:80".
  std::string url() const;
  size_t connections() const;

  struct State;
  explicit Server(std::shared_ptr<State> state);

 private:
  std::shared_ptr<State> state_;
};

}  // namespace causeway::http
