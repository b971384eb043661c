#include "service/prober.h"

#include "base/log.h"

namespace causeway::service {

namespace {

// Probes of many endpoints are spread over the interval, each at its own time of it.
Duration first_delay(const ProbeKey& key, const Probe& probe) {
  const size_t hash = std::hash<Ip>()(key.at.ip) ^ (size_t{key.at.port} * 0x9e3779b97f4a7c15);
  return std::chrono::milliseconds(hash % probe.interval_ms);
}

}  // namespace

void Prober::set(const ProbeKey& key, const cluster::ServiceKey& service, const Probe* probe) {
  auto it = watched_.find(key);
  if (it != watched_.end()) {
    if (probe && it->second.probe == *probe && it->second.service == service) return;
    const bool was_unhealthy = !it->second.healthy;
    const cluster::ServiceKey owner = it->second.service;
    watched_.erase(it);
    if (was_unhealthy) {
      auto& unhealthy = unhealthy_[owner];
      if (auto one = unhealthy.find(key.at); one != unhealthy.end()) unhealthy.erase(one);
      tell(owner);
    }
  }
  if (!probe) return;
  Watched& watched = watched_[key];
  watched.service = service;
  watched.probe = *probe;
  watched.scope = std::make_unique<Scope>(loop_);
  watched.scope->spawn("probe", watch(key, watched));
}

Task<Status> Prober::watch(ProbeKey key, Watched& watched) {
  const Probe probe = watched.probe;
  CO_TRY(co_await loop_.sleep(first_delay(key, probe)));
  for (;;) {
    const TimePoint asked = loop_.now();
    const Status answer = co_await door_.ask(key.at, probe);
    if (!answer && answer.error().code() == Errc::Cancelled) co_return answer;
    watched.trouble = answer ? "" : answer.error().message();
    watched.failures = answer ? 0 : watched.failures + 1;
    watched.successes = answer ? watched.successes + 1 : 0;
    const bool healthy = watched.healthy ? watched.failures < probe.failures : watched.successes >= probe.successes;
    if (healthy != watched.healthy) {
      watched.healthy = healthy;
      auto& unhealthy = unhealthy_[watched.service];
      if (healthy) {
        unhealthy.erase(unhealthy.find(key.at));
        log::info("service: endpoint {} of {} answers again", key.at, key.port);
      } else {
        unhealthy.insert(key.at);
        log::warning("service: endpoint {} of {} is unhealthy: {}", key.at, key.port, watched.trouble);
      }
      tell(watched.service);
    }
    const Duration interval = std::chrono::milliseconds(probe.interval_ms), took = loop_.now() - asked;
    if (took < interval) CO_TRY(co_await loop_.sleep(interval - took));
  }
}

void Prober::tell(const cluster::ServiceKey& service) {
  auto it = unhealthy_.find(service);
  if (it == unhealthy_.end()) return;
  std::set<Endpoint> now(it->second.begin(), it->second.end());
  if (now.empty()) unhealthy_.erase(it);
  report_(service, std::move(now));
}

std::string Prober::render() const {
  std::string out;
  for (const auto& [key, watched] : watched_)
    out += fmt::format("{} {} {}{}{}\n", key.port, key.at, watched.healthy ? "healthy" : "unhealthy",
                       watched.trouble.empty() ? "" : ": ", watched.trouble);
  return out;
}

}  // namespace causeway::service
