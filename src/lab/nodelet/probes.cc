#include "lab/nodelet/probes.h"

#include <algorithm>

#include "lab/nodelet/probe.h"

namespace causeway::lab {

Probes::Probes(NodeContext& context, Probed probed)
    : context_(context), probed_(std::move(probed)), scope_(context.loop) {
  const auto& spec = probed_.container;
  probed_.view.started = !spec.startup_probe;
  probed_.view.ready = !spec.readiness_probe && probed_.view.started;
  if (spec.startup_probe) scope_.spawn("startup probe", run(*spec.startup_probe, Kind::Startup));
  if (spec.readiness_probe) scope_.spawn("readiness probe", run(*spec.readiness_probe, Kind::Readiness));
  if (spec.liveness_probe) scope_.spawn("liveness probe", run(*spec.liveness_probe, Kind::Liveness));
}

Task<Status> Probes::run(kube::Probe probe, Kind kind) {
  const int failures = probe.failure_threshold > 0 ? probe.failure_threshold : 3;
  const int successes = probe.success_threshold > 0 ? probe.success_threshold : 1;
  const Duration period = std::chrono::seconds(probe.period_seconds > 0 ? probe.period_seconds : 10);
  int good = 0, bad = 0;
  // A process that has not yet begun is not a dead one.
  if (kind == Kind::Liveness) CO_TRY(co_await context_.loop.sleep(period));
  if (probe.initial_delay_seconds > 0)
    CO_TRY(co_await context_.loop.sleep(std::chrono::seconds(probe.initial_delay_seconds)));
  for (bool first = true;; first = false) {
    // The process has only just been started: its port comes a moment later, and a failure now would cost a period.
    if (!first) {
      const bool young = good + bad <= 5 && good == 0 && kind != Kind::Liveness;
      CO_TRY(co_await context_.loop.sleep(young ? std::min<Duration>(period, 50ms * (1 << bad)) : period));
    }
    if (kind != Kind::Startup && !probed_.view.started) continue;
    auto result = co_await ask(probe);
    if (!result && result.error().code() == Errc::Cancelled) co_return result;
    if (result) {
      bad = 0;
      if (++good >= successes && succeeded(kind) == Next::Ended) co_return ok();
      continue;
    }
    good = 0;
    ++bad;
    const bool starting = kind == Kind::Readiness && !probed_.view.ready && bad <= 5;
    if (!starting) say_failed(kind, result.error());
    if (bad < failures) continue;
    if (kind != Kind::Readiness) co_return co_await probed_.end(kind == Kind::Liveness ? "liveness" : "startup", probe);
    set_ready(false);
  }
}

Task<Status> Probes::ask(kube::Probe probe) {
  if (!probe.exec) co_return co_await probe_once(context_.loop, probe, probed_.container, probed_.address);
  const Duration limit = std::chrono::seconds(probe.timeout_seconds > 0 ? probe.timeout_seconds : 1);
  co_return co_await probed_.exec(probe.exec->command, limit);
}

Probes::Next Probes::succeeded(Kind kind) {
  switch (kind) {
    case Kind::Readiness: set_ready(true); return Next::Again;
    case Kind::Liveness: return Next::Again;
    case Kind::Startup:
      probed_.view.started = true;
      if (!probed_.container.readiness_probe) probed_.view.ready = true;
      probed_.changed();
      return Next::Ended;
  }
  return Next::Ended;
}

void Probes::set_ready(bool ready) {
  if (probed_.view.ready == ready) return;
  probed_.view.ready = ready;
  probed_.changed();
}

void Probes::say_failed(Kind kind, const Error& error) {
  const std::string_view name = kind == Kind::Readiness ? "Readiness" : kind == Kind::Liveness ? "Liveness" : "Startup";
  context_.events.record(probed_.pod, kube::EventType::Warning, "Unhealthy",
                         fmt::format("{} probe failed: {}", name, error.message()));
}

}  // namespace causeway::lab
