// For tests: a server on a virtual loop with its store in memory, and requests to it as one-liners.
#pragma once

#include <boost/json.hpp>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

#include "apiserver/server.h"
#include "async/virtual_loop.h"

namespace causeway::apiserver {

// What a handler answered, whole or in pieces. While `stalled`, writes wait as with a client that does not read.
class RecordingWriter final : public http::ResponseWriter {
 public:
  explicit RecordingWriter(Loop& loop) : resume_(loop) {}

  Task<Status> send(http::Response answer) override {
    response = std::move(answer);
    co_return ok();
  }
  Task<Status> begin(int status, http::Headers headers) override {
    response.status = status;
    response.headers = std::move(headers);
    co_return ok();
  }
  Task<Status> write(std::string chunk) override {
    if (stalled) CO_TRY(co_await resume_.next());
    response.body += chunk;
    co_return ok();
  }
  // What came since the last call.
  std::string take() { return std::exchange(response.body, {}); }

  http::Response response;
  bool stalled = false;

 private:
  Channel<char> resume_;
};

class ServerFixture {
 public:
  // A request that goes on: a watch.
  struct Stream {
    explicit Stream(Loop& loop) : writer(loop), scope(loop) {}
    RecordingWriter writer;
    std::optional<Status> ended;
    Scope scope;
  };

  explicit ServerFixture(std::function<void(ServerOptions&)> change = {}) {
    ServerOptions options{.threads = 0, .seed = 1};
    if (change) change(options);
    server = *Server::open(loop, std::move(options));
    Scope scope(loop);
    std::optional<Status> started;
    scope.spawn("start", [](Server& server, std::optional<Status>& started) -> Task<void> {
      started = co_await server.start();
    }(*server, started));
    loop.run_ready();
    if (!started || !*started)
      throw std::runtime_error(started ? started->error().message() : "the server's start waits for something");
  }

  http::Response request(std::string method, std::string target, std::string body = {}, http::Headers headers = {}) {
    auto stream = open(std::move(method), std::move(target), std::move(body), std::move(headers));
    return std::move(stream->writer.response);
  }
  std::unique_ptr<Stream> open(std::string method, std::string target, std::string body = {},
                               http::Headers headers = {}) {
    auto stream = std::make_unique<Stream>(loop);
    if (!body.empty() && !headers.contains("Content-Type")) headers["Content-Type"] = "application/json";
    stream->scope.spawn("request", run(*server,
                                       {.method = std::move(method),
                                        .target = std::move(target),
                                        .headers = std::move(headers),
                                        .body = std::move(body)},
                                       *stream));
    loop.run_ready();
    return stream;
  }

  // The answer in one line: "201 {...}", with what differs from run to run taken out.
  std::string text(const http::Response& response) {
    return fmt::format("{} {}", response.status, scrub(response.body));
  }
  std::string get(std::string target) { return text(request("GET", std::move(target))); }
  std::string post(std::string target, std::string body) {
    return text(request("POST", std::move(target), std::move(body)));
  }
  std::string put(std::string target, std::string body) {
    return text(request("PUT", std::move(target), std::move(body)));
  }
  std::string remove(std::string target, std::string body = {}) {
    return text(request("DELETE", std::move(target), std::move(body)));
  }
  std::string patch(std::string target, std::string type, std::string body) {
    return text(request("PATCH", std::move(target), std::move(body), {{"Content-Type", "application/" + type}}));
  }
  boost::json::object tree(std::string target) {
    return boost::json::parse(request("GET", std::move(target)).body).as_object();
  }
  std::string message(const http::Response& response) {
    auto tree = boost::json::parse(response.body).as_object();
    return fmt::format("{} {}", response.status, std::string_view(tree["message"].as_string()));
  }

  VirtualLoop loop;
  std::unique_ptr<Server> server;

 private:
  static Task<void> run(Server& server, http::Request request, Stream& stream) {
    stream.ended = co_await server.serve(std::move(request), stream.writer);
  }
  // uids and times become U and T.
  static std::string scrub(std::string text);
};

inline std::string ServerFixture::scrub(std::string text) {
  auto replace = [&](std::string_view member, std::string_view with) {
    const std::string start = fmt::format("\"{}\":\"", member);
    for (size_t at = text.find(start); at != std::string::npos; at = text.find(start, at + 1)) {
      const size_t from = at + start.size();
      text.replace(from, text.find('"', from) - from, with);
    }
  };
  replace("uid", "U");
  for (std::string_view time : {"creationTimestamp", "deletionTimestamp"}) replace(time, "T");
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace causeway::apiserver
