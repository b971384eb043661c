#include "service/proxy/handlers.h"

#include <fmt/chrono.h>

namespace causeway::service::proxy {

namespace {

http::Response not_found() {
  return {.status = 404, .headers = {{"Content-Type", "text/plain; charset=utf-8"}}, .body = "404 page not found\n"};
}

http::Response json(int status, std::string body) {
  return {.status = status,
          .headers = {{"Content-Type", "application/json"}, {"X-Content-Type-Options", "nosniff"}},
          .body = std::move(body)};
}

// RFC 3339 with nanoseconds; Go's zero time where there is none yet.
std::string text_of(std::optional<WallTime> time) {
  if (!time) return "\"0001-01-01T00:00:00Z\"";
  const auto seconds = std::chrono::floor<std::chrono::seconds>(*time);
  return fmt::format("\"{:%Y-%m-%dT%H:%M:%S}.{:09}Z\"", fmt::gmtime(seconds.time_since_epoch().count()),
                     (*time - seconds).count());
}

std::string body_of(const Health& health, std::optional<bool> eligible) {
  // Healthy: "updated" is now, though nothing changed for a while, as it ever was.
  const bool well = health.healthy && eligible.value_or(true);
  std::string out = fmt::format("{{\"lastUpdated\":{},\"currentTime\":{}", text_of(well ? health.now : health.updated),
                                text_of(health.now));
  if (eligible) out += fmt::format(",\"nodeEligible\":{}", *eligible);
  out += fmt::format(",\"healthy\":{}", health.healthy);
  std::string families;
  if (health.updated)
    for (Family family : health.families)
      families += fmt::format("{}\"{}\":{{\"lastUpdated\":{},\"healthy\":{}}}", families.empty() ? "" : ",",
                              name_of(family), text_of(health.updated), health.healthy);
  if (!families.empty()) out += ",\"status\":{" + families + "}";
  return out + "}";
}

}  // namespace

http::Response HealthHandler::answer(const http::Request& request) {
  const auto target = http::parse_target(request.target);
  const bool live = target && target->path == "/livez";
  if (!live && (!target || target->path != "/healthz")) return not_found();
  const Health health = state_.health(loop_.wall_now());
  std::optional<bool> eligible;
  if (!live) eligible = eligible_();
  const int status = health.healthy && eligible.value_or(true) ? 200 : 503;
  state_.count_probe(live, status);
  return json(status, body_of(health, eligible));
}

Task<Status> HealthHandler::serve(http::Request request, http::ResponseWriter& writer) {
  http::Response response = answer(request);
  co_return co_await writer.send(std::move(response));
}

http::Response CheckHandler::answer() const {
  const bool healthy = state_.health(loop_.wall_now()).healthy;
  // Names of objects need no escaping.
  http::Response out =
      json(check_.local_endpoints > 0 && healthy ? 200 : 503,
           fmt::format("{{\n\t\"service\": {{\n\t\t\"namespace\": \"{}\",\n\t\t\"name\": \"{}\"\n\t}},\n"
                       "\t\"localEndpoints\": {},\n\t\"serviceProxyHealthy\": {}\n}}",
                       check_.service.ns, check_.service.name, check_.local_endpoints, healthy));
  out.headers["X-Load-Balancing-Endpoint-Weight"] = std::to_string(check_.local_endpoints);
  return out;
}

Task<Status> CheckHandler::serve(http::Request, http::ResponseWriter& writer) {
  http::Response response = answer();
  co_return co_await writer.send(std::move(response));
}

http::Response StatusHandler::answer(const http::Request& request) const {
  const auto target = http::parse_target(request.target);
  if (!target) return not_found();
  const auto page = pages_.find(target->path);
  if (page == pages_.end()) return not_found();
  return {.headers = {{"Content-Type", page->second.type}, {"X-Content-Type-Options", "nosniff"}},
          .body = page->second.text()};
}

Task<Status> StatusHandler::serve(http::Request request, http::ResponseWriter& writer) {
  http::Response response = answer(request);
  co_return co_await writer.send(std::move(response));
}

}  // namespace causeway::service::proxy
