// libcurl's multi handle on our loop: its sockets are watched and its one timer is kept here.
#pragma once

#include <map>
#include <vector>

#include "http/exchange.h"

namespace causeway::http {

class Client::Multi {
 public:
  Multi(Loop& loop, ClientOptions options);
  ~Multi();

  Loop& loop() { return loop_; }
  const ClientOptions& options() const { return options_; }
  // Starts it. The exchange stays where it is until remove().
  Status add(Exchange& exchange, const std::string& token);
  void remove(Exchange& exchange);  // idempotent; drops it when it is not done

 private:
  class Socket;

  static int on_socket(CURL*, curl_socket_t socket, int what, void* context, void*);
  static int on_timer(CURLM*, long milliseconds, void* context);
  void act(curl_socket_t socket, int events);
  void read_results();

  Loop& loop_;
  ClientOptions options_;
  Result<Route> route_;
  CURLM* multi_;
  std::map<curl_socket_t, std::shared_ptr<Socket>> sockets_;
  std::unique_ptr<Timer> timer_;
  std::vector<CURL*> idle_;  // easy handles to use again
};

}  // namespace causeway::http
