// One request that libcurl works on. libcurl's callbacks only collect here; the task that awaits the exchange takes
// what came outside of libcurl, so that it may do anything then, also drop the exchange.
#pragma once

#include <curl/curl.h>

#include <optional>
#include <string>

#include "async/event.h"
#include "http/client.h"

namespace causeway::http {

struct Exchange {
  explicit Exchange(Loop& loop) : loop(loop) {}
  ~Exchange() {
    curl_slist_free_all(headers);
    curl_slist_free_all(connect_to);
  }
  Exchange(const Exchange&) = delete;

  Loop& loop;
  CURL* easy = nullptr;
  curl_slist* headers = nullptr;
  curl_slist* connect_to = nullptr;
  Request request;
  std::string url;
  std::string error_text;  // libcurl's, CURL_ERROR_SIZE
  Response response;       // status and headers; the body is in `body`
  std::string body;        // came and was not taken yet
  size_t body_limit = 0;
  bool over_limit = false;
  bool streaming = false;  // its task takes the body piece by piece
  bool headers_done = false;
  std::optional<CURLcode> result;
  bool timed_out = false;
  std::optional<OneShot<bool>> waiter;

  void wake() {
    if (waiter) waiter->set(true);
  }
};

// Where requests go, worked out once from the options.
struct Route {
  std::string base;        // in front of each target
  std::string connect_to;  // libcurl's CURLOPT_CONNECT_TO; empty: the host of `base`
};
// With a TLS server name, that name becomes the URL's host (it decides SNI and what is verified) and the real host is
// connected to. Errors: Invalid.
Result<Route> parse_route(const ClientOptions& options);

// Fills in all options of the easy handle.
void prepare(Exchange& exchange, const ClientOptions& options, const Route& route, const std::string& token);
// The error of a failed exchange.
Error error_of(const Exchange& exchange, const ClientOptions& options);

}  // namespace causeway::http
