#include "http/client.h"

#include "base/log.h"
#include "http/deadline.h"
#include "http/exchange.h"
#include "http/multi.h"

namespace causeway::http {
namespace {

// Takes an exchange out of libcurl on every way out of a coroutine.
class Running {
 public:
  Running(Client::Multi& multi, Request request) : multi_(multi), exchange_(std::make_unique<Exchange>(multi.loop())) {
    exchange_->request = std::move(request);
  }
  ~Running() { multi_.remove(*exchange_); }
  Running(const Running&) = delete;
  Exchange* operator->() { return exchange_.get(); }
  Exchange& operator*() { return *exchange_; }

 private:
  Client::Multi& multi_;
  std::unique_ptr<Exchange> exchange_;
};

Deadline make_deadline(Client::Multi& multi, Exchange& exchange) {
  return Deadline(multi.loop(), [&exchange] {
    exchange.timed_out = true;
    exchange.wake();
  });
}

// Waits until libcurl or the deadline has something new.
Task<Status> wait(Exchange& exchange) {
  exchange.waiter.emplace(exchange.loop);
  auto woken = co_await exchange.waiter->get();
  exchange.waiter.reset();
  if (!woken) co_return fail(std::move(woken.error()));
  co_return ok();
}

Error timeout_of(const Exchange& exchange, const ClientOptions& options, Duration patience) {
  return Error(Errc::Timeout, fmt::format("{} {}{}: nothing came for {} ms", exchange.request.method, options.url,
                                          exchange.request.target.substr(0, exchange.request.target.find('?')),
                                          std::chrono::duration_cast<std::chrono::milliseconds>(patience).count()));
}

Task<Result<Response>> send_once(Client::Multi& multi, Request request, std::string token) {
  Running running(multi, std::move(request));
  running->body_limit = multi.options().response_bytes;
  const auto patience = running->request.timeout;
  auto deadline = make_deadline(multi, *running);
  deadline.set(patience);
  CO_TRY(multi.add(*running, token));
  while (!running->result && !running->timed_out) CO_TRY(co_await wait(*running));
  if (!running->result) co_return fail(timeout_of(*running, multi.options(), patience));
  if (*running->result != CURLE_OK) co_return fail(error_of(*running, multi.options()));
  running->response.body = std::move(running->body);
  co_return std::move(running->response);
}

using OnData = std::move_only_function<Status(std::string_view)>;

Task<Result<Response>> stream_once(Client::Multi& multi, Request request, std::string token, OnData& on_data,
                                   Duration idle) {
  Running running(multi, std::move(request));
  running->streaming = true;
  running->body_limit = multi.options().response_bytes;
  const auto patience = running->request.timeout;
  auto deadline = make_deadline(multi, *running);
  deadline.set(patience);
  CO_TRY(multi.add(*running, token));
  for (bool begun = false;;) {
    const bool good = running->headers_done && running->response.status / 100 == 2;
    if (good && (!begun || !running->body.empty())) {
      begun = true;
      deadline.set(idle);
    }
    if (good && !running->body.empty()) {
      const auto data = std::exchange(running->body, {});
      CO_TRY(on_data(data));
      continue;
    }
    if (running->result) break;
    if (running->timed_out) co_return fail(timeout_of(*running, multi.options(), begun ? idle : patience));
    CO_TRY(co_await wait(*running));
  }
  if (*running->result != CURLE_OK) co_return fail(error_of(*running, multi.options()));
  running->response.body = std::move(running->body);
  co_return std::move(running->response);
}

Result<std::string> token_of(const ClientOptions& options, bool refresh) {
  if (!options.bearer) return std::string();
  return TRY(options.bearer(refresh), "token");
}

// The token to try after a 401, when there is another one.
std::optional<std::string> other_token(const ClientOptions& options, const std::string& refused) {
  if (!options.bearer) return std::nullopt;
  auto token = options.bearer(true);
  if (token && *token != refused) return std::move(*token);
  return std::nullopt;
}

}  // namespace

Client::Client(Loop& loop, ClientOptions options) : multi_(std::make_unique<Multi>(loop, std::move(options))) {}
Client::~Client() = default;
const std::string& Client::url() const { return multi_->options().url; }

Task<Result<Response>> Client::send(Request request) {
  auto& multi = *multi_;
  auto token = CO_TRY(token_of(multi.options(), false));
  auto response = CO_TRY(co_await send_once(multi, request, token));
  if (response.status == 401)
    if (auto other = other_token(multi.options(), token))
      co_return co_await send_once(multi, std::move(request), *other);
  co_return response;
}

Task<Result<Response>> Client::stream(Request request, OnData on_data, Duration idle) {
  auto& multi = *multi_;
  auto token = CO_TRY(token_of(multi.options(), false));
  auto response = CO_TRY(co_await stream_once(multi, request, token, on_data, idle));
  if (response.status == 401)
    if (auto other = other_token(multi.options(), token))
      co_return co_await stream_once(multi, std::move(request), *other, on_data, idle);
  co_return response;
}

}  // namespace causeway::http
