// HTTP requests and responses as values, and the two seams: Transport (client side) and Handler (server side).
// A simulation connects one to the other without a socket.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "async/loop.h"
#include "base/result.h"

namespace causeway::http {

// Names compare without case (RFC 9110 section 5.1).
struct NameLess {
  using is_transparent = void;
  bool operator()(std::string_view a, std::string_view b) const;
};
using Headers = std::map<std::string, std::string, NameLess>;

// Who sent a request, as the server saw it.
struct Peer {
  std::string address;                     // "10.0.0.1:4711", or "unix"
  std::string common_name;                 // subject of its verified client certificate; empty: it showed none
  std::vector<std::string> organizations;  // the same subject's O entries
};

struct Request {
  std::string method = "GET";
  std::string target;  // path and query, percent-encoded: "/api/v1/pods?watch=true"
  Headers headers;
  std::string body;
  Duration timeout = 30s;  // client side: of a whole exchange; of a stream, until the headers are there
  Peer peer;               // server side
};

struct Response {
  int status = 200;
  Headers headers;
  std::string body;
};

// The client's side of a connection to one server.
class Transport {
 public:
  virtual ~Transport() = default;
  // One exchange. An HTTP error status is a Response, not an Error.
  virtual Task<Result<Response>> send(Request request) = 0;
  // A long answer: `on_data` gets the body of a 2xx answer piece by piece, in order; an error of its own ends the
  // stream and is returned. A non-2xx answer is returned whole, as by send(). Returns the Response (2xx: empty body) at
  // the end of the stream. `idle` ends it with Timeout when no byte came for so long.
  virtual Task<Result<Response>> stream(Request request, std::move_only_function<Status(std::string_view)> on_data,
                                        Duration idle) = 0;
};

// Percent-decoded path and query of a target, in the order of the query.
struct Target {
  std::string path;
  std::vector<std::pair<std::string, std::string>> query;
  // First value of the name, or empty.
  std::string_view get(std::string_view name) const;
  bool has(std::string_view name) const;
};
Result<Target> parse_target(std::string_view target);
std::string percent_encode(std::string_view text);

// Where a Handler puts its answer: one send(), or begin() and then write() as often as it likes. Errors: the peer is
// gone (Unavailable).
class ResponseWriter {
 public:
  virtual ~ResponseWriter() = default;
  virtual Task<Status> send(Response response) = 0;
  virtual Task<Status> begin(int status, Headers headers) = 0;  // chunked body follows
  virtual Task<Status> write(std::string chunk) = 0;            // waits while the peer is slow
};

// The server's side. serve() is cancelled when the peer goes away.
class Handler {
 public:
  virtual ~Handler() = default;
  virtual Task<Status> serve(Request request, ResponseWriter& writer) = 0;
};

}  // namespace causeway::http
