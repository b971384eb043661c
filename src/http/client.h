// An HTTP client of one server (libcurl): HTTP/2 where the server offers it, else kept-alive HTTP/1.1 connections; TLS
// with our own CA and client certificate; a bearer token. All on the loop, nothing blocks it, names are resolved in a
// thread of libcurl's.
//
// Cancelling the task that awaits send() or stream() drops the exchange. Proxies of the environment are ignored: a
// cluster's address means the same for every process.
#pragma once

#include <memory>
#include <string>

#include "http/message.h"

namespace causeway::http {

struct ClientTls {
  std::string ca_pem;                       // whom to trust; empty: the machine's CAs
  std::function<std::string()> current_ca;  // asked at each request instead, when set: CAs are rotated
  std::string certificate_pem;              // with key_pem: who we are
  std::string key_pem;
  std::string server_name;  // verified and sent as SNI instead of the URL's host; empty: the URL's host
  bool insecure = false;    // anybody may be the server
};

struct ClientOptions {
  std::string url;  // "https://10.0.0.1:6443", "http://[::1]:8080/prefix"; what a Request's target is appended to
  ClientTls tls;
  std::string user_agent = "causeway";
  std::string proxy;        // "http://proxy:3128", "socks5://..."; empty: none
  std::string unix_socket;  // connect there instead of to the URL's host
  // The token of each request; empty: none. Called again with refresh = true after a 401; another token is then tried.
  std::function<Result<std::string>(bool refresh)> bearer;
  Duration connect_timeout = 10s;
  size_t response_bytes = size_t{512} << 20;  // of send(); more is an error
};

class Client : public Transport {
 public:
  // Borrows `loop`, which outlives it. Everything sent by it has ended before it is destroyed.
  Client(Loop& loop, ClientOptions options);
  ~Client() override;

  // Errors: Unavailable (no connection, or it broke), Timeout, Denied (a certificate is not trusted), Invalid (URL).
  Task<Result<Response>> send(Request request) override;
  Task<Result<Response>> stream(Request request, std::move_only_function<Status(std::string_view)> on_data,
                                Duration idle) override;

  const std::string& url() const;
  class Multi;

 private:
  std::unique_ptr<Multi> multi_;
};

}  // namespace causeway::http
