// An API server for tests: the test answers each request by hand, on virtual time.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "async/event.h"
#include "http/message.h"

namespace causeway::kube {

class ScriptedApi : public http::Transport {
 public:
  explicit ScriptedApi(Loop& loop) : loop_(loop) {}

  // One request that waits for its answer. Copies share it.
  class Pending {
   public:
    Pending(Loop& loop, http::Request request)
        : request_(std::make_shared<http::Request>(std::move(request))), pieces_(loop) {}
    const http::Request& request() const { return *request_; }
    // "GET /api/v1/pods?x=y body"
    std::string text() const {
      return request_->method + " " + request_->target + (request_->body.empty() ? "" : " " + request_->body);
    }
    void answer(int status, std::string body, http::Headers headers = {}) {
      pieces_.push({{}, http::Response{status, std::move(headers), std::move(body)}});
    }
    void data(std::string piece) { pieces_.push({std::move(piece), {}}); }
    void line(std::string text) { data(std::move(text) + "\n"); }
    void end() { answer(200, ""); }
    void break_off(Errc code = Errc::Unavailable, std::string why = "connection reset") {
      pieces_.close(Error(code, std::move(why)));
    }

   private:
    friend class ScriptedApi;
    struct Piece {
      std::string data;
      std::optional<http::Response> response;
    };
    std::shared_ptr<http::Request> request_;
    Channel<Piece> pieces_;
  };

  Task<Result<http::Response>> send(http::Request request) override {
    return exchange(admit(std::move(request)), nullptr, Duration::max(), loop_);
  }
  Task<Result<http::Response>> stream(http::Request request, std::move_only_function<Status(std::string_view)> on_data,
                                      Duration idle) override {
    return exchange(admit(std::move(request)), std::move(on_data), idle, loop_);
  }

  // Every request so far, as text().
  std::vector<std::string> log;
  // The request that waits for an answer; the oldest.
  Pending next() {
    auto pending = std::move(waiting_.front());
    waiting_.pop_front();
    return pending;
  }
  bool waits() const { return !waiting_.empty(); }

 private:
  using OnData = std::move_only_function<Status(std::string_view)>;

  Pending admit(http::Request request) {
    Pending pending(loop_, std::move(request));
    log.push_back(pending.text());
    waiting_.push_back(pending);
    return pending;
  }
  static Task<Result<http::Response>> exchange(Pending pending, OnData on_data, Duration idle, Loop& loop) {
    for (;;) {
      std::unique_ptr<Timer> timer;
      if (idle != Duration::max())
        timer = loop.call_after(idle, [pending]() mutable { pending.break_off(Errc::Timeout, "idle"); });
      auto piece = CO_TRY(co_await pending.pieces_.next());
      if (!piece.response) {
        CO_TRY(on_data(piece.data));
        continue;
      }
      if (on_data && piece.response->status / 100 == 2 && !piece.response->body.empty()) {
        CO_TRY(on_data(piece.response->body));
        piece.response->body.clear();
      }
      co_return std::move(*piece.response);
    }
  }

  Loop& loop_;
  std::deque<Pending> waiting_;
};

}  // namespace causeway::kube
