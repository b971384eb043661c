// One connection of the server: the seam between server.cc, which accepts, and connection.cc, which speaks HTTP.
#pragma once

#include <memory>

#include "base/fd.h"
#include "http/server.h"
#include "http/tls.h"

namespace causeway::http {

// What all connections of a server share.
struct ConnectionContext {
  Loop& loop;
  Handler& handler;
  ServerLimits limits;
  SslContext tls;  // null: plain
};

class Connection {
 public:
  virtual ~Connection() = default;
  virtual void start() = 0;
  // Cancels its handler and closes at once; on_close is not called for it.
  virtual void close() = 0;
  // No whole header has been read yet.
  virtual bool half_open() const = 0;
};

// `on_close` is called once, from the loop, when the connection ends by itself.
std::shared_ptr<Connection> make_connection(std::shared_ptr<const ConnectionContext> context, Fd socket,
                                            std::string peer, std::move_only_function<void(Connection*)> on_close);

}  // namespace causeway::http
