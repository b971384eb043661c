#include "observe/endpoint.h"

namespace causeway::observe {

namespace {
http::Response text(int status, std::string body) {
  return {.status = status, .headers = {{"Content-Type", "text/plain; charset=utf-8"}}, .body = std::move(body)};
}

http::Response refusal(const Error& error) {
  http::Response response = text(error.code() == Errc::Invalid    ? 400
                                 : error.code() == Errc::NotFound ? 404
                                                                  : 503,
                                 error.message() + "\n");
  response.headers["Causeway-Error"] = std::string(to_string(error.code()));
  return response;
}
}  // namespace

http::Response Endpoint::answer(const http::Request& request) const {
  auto target = http::parse_target(request.target);
  if (!target) return text(400, target.error().message() + "\n");
  if (request.method != "GET" && request.method != "HEAD") return text(405, "only GET is answered here\n");
  if (target->path == "/metrics")
    return {.headers = {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}},
            .body = render_metrics(collectors_)};
  if (target->path == "/healthz") return text(200, "ok\n");
  if (target->path == "/readyz") {
    bool ready = true;
    std::string body;
    for (const Check& check : checks_) {
      const std::string trouble = check.trouble();
      ready &= trouble.empty();
      body += trouble.empty() ? "[+]" + check.name + " ok\n" : "[-]" + check.name + " failed: " + trouble + "\n";
    }
    return text(ready ? 200 : 503, body + (ready ? "ready\n" : "not ready\n"));
  }
  if (audience_ == Audience::All) {
    if (auto page = pages_.find(target->path); page != pages_.end()) return text(200, page->second());
    if (auto page = asked_.find(target->path); page != asked_.end()) {
      auto said = page->second([&](std::string_view name) { return target->get(name); });
      return said ? text(200, std::move(*said)) : refusal(said.error());
    }
    std::string known = "/metrics\n/healthz\n/readyz\n";
    for (const auto& [path, page] : pages_) known += path + "\n";
    for (const auto& [path, page] : asked_) known += path + "?\n";
    for (const auto& [path, page] : awaited_) known += path + "?\n";
    return text(target->path == "/" ? 200 : 404, known);
  }
  return text(404, "here are /metrics, /healthz and /readyz\n");
}

Task<Status> Endpoint::serve(http::Request request, http::ResponseWriter& writer) {
  if (auto target = http::parse_target(request.target);
      target && audience_ == Audience::All && (request.method == "GET" || request.method == "HEAD"))
    if (auto page = awaited_.find(target->path); page != awaited_.end()) {
      auto said = co_await page->second(std::move(*target));
      if (!said && said.error().code() == Errc::Cancelled) co_return fail(std::move(said.error()));
      co_return co_await writer.send(said ? text(200, std::move(*said)) : refusal(said.error()));
    }
  http::Response response = answer(request);
  co_return co_await writer.send(std::move(response));
}

}  // namespace causeway::observe
