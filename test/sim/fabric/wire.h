// A client's connection to a server in the same process, with the faults of a network: latency, and a server that is
// away.
#pragma once

#include <random>

#include "http/message.h"

namespace causeway::test {

class Wire final : public http::Transport {
 public:
  Wire(Loop& loop, http::Handler& server, unsigned seed) : loop_(loop), server_(server), random_(seed) {}

  bool down = false;  // requests fail, streams break at their next piece
  uint64_t requests = 0;

  Task<Result<http::Response>> send(http::Request request) override {
    CO_TRY(co_await reach());
    Answer answer(*this, nullptr);
    auto served = co_await server_.serve(std::move(request), answer);
    if (down) co_return fail(Errc::Unavailable, "connection reset");
    if (!served) co_return fail(std::move(served.error()));
    co_return std::move(answer.response);
  }
  Task<Result<http::Response>> stream(http::Request request, std::move_only_function<Status(std::string_view)> on_data,
                                      Duration) override {
    CO_TRY(co_await reach());
    Answer answer(*this, &on_data);
    auto served = co_await server_.serve(std::move(request), answer);
    if (answer.refused) co_return fail(std::move(*answer.refused));
    if (!served) co_return fail(std::move(served.error()));
    co_return std::move(answer.response);
  }

 private:
  struct Answer final : http::ResponseWriter {
    Answer(Wire& wire, std::move_only_function<Status(std::string_view)>* on_data) : wire(wire), on_data(on_data) {}
    Wire& wire;
    std::move_only_function<Status(std::string_view)>* on_data;
    http::Response response;
    std::optional<Error> refused;

    Status take(std::string_view piece) {
      if (wire.down)
        refused.emplace(Errc::Unavailable, "connection reset");
      else if (!on_data || response.status / 100 != 2)
        response.body += piece;
      else if (auto taken = (*on_data)(piece); !taken)
        refused = std::move(taken.error());
      return refused ? Status(fail(*refused)) : ok();
    }
    Task<Status> send(http::Response whole) override {
      response.status = whole.status;
      response.headers = std::move(whole.headers);
      co_return take(whole.body);
    }
    Task<Status> begin(int status, http::Headers headers) override {
      response.status = status;
      response.headers = std::move(headers);
      co_return ok();
    }
    Task<Status> write(std::string chunk) override {
      CO_TRY(co_await wire.loop_.sleep(wire.latency()));
      co_return take(chunk);
    }
  };

  Duration latency() { return std::chrono::microseconds(random_() % 5000); }
  Task<Status> reach() {
    ++requests;
    CO_TRY(co_await loop_.sleep(latency()));
    if (down) co_return fail(Errc::Unavailable, "connection refused");
    co_return ok();
  }

  Loop& loop_;
  http::Handler& server_;
  std::mt19937 random_;
};

}  // namespace causeway::test
