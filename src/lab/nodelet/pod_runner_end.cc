// How containers end, and whether they start again.
#include <algorithm>
#include <csignal>
#include <utility>

#include "base/file.h"
#include "lab/nodelet/pod_runner.h"

namespace causeway::lab {
namespace {

// kubelet's: 10 s, doubled up to 5 min, forgotten after 10 min of running.
constexpr Duration kFirstBackOff = 10s;
constexpr Duration kLastBackOff = 5min;
constexpr Duration kForgetBackOff = 10min;

}  // namespace

bool PodRunner::restarts(const Container& container, int exit_code) const {
  if (container.spec->restart_policy == "Always") return true;
  const bool init = std::ranges::any_of(init_, [&](const auto& entry) { return entry.get() == &container; });
  if (init && exit_code == 0) return false;
  if (spec_.restart_policy == "Never") return false;
  if (spec_.restart_policy == "OnFailure" || init) return exit_code != 0;
  return true;
}

void PodRunner::ended(Container& container, ExitStatus status) {
  container.pid = 0;
  container.pidfd.reset();
  container.hooked = false;
  // This may be called for a process whose probe just asked for its end: not from within that probe.
  context_.loop.post([probes = std::shared_ptr<Probes>(std::move(container.probes))] {});
  container.view.ready = container.view.started = false;
  const kube::ContainerStateTerminated terminated{.exit_code = status.code,
                                                  .signal = status.signal,
                                                  .reason = status.code == 0 ? "Completed" : "Error",
                                                  .message = last_words(container, status.code),
                                                  .started_at = container.started_at,
                                                  .finished_at = now(),
                                                  .container_id = "causeway-lab://" + container.view.id};
  container.view.state = {.terminated = terminated};
  const bool again =
      sandbox_.pid() != 0 && !wants_end() && !ending_ && failed_reason_.empty() && restarts(container, status.code);
  if (again) {
    container.view.last_state = container.view.state;
    ++container.view.restarts;
    if (now() - container.started_at > kForgetBackOff) container.back_off = {};
    if (container.back_off == Duration{}) {
      container.life = Life::Waiting;  // the first restart is at once
      container.view.state = {};
      container.back_off = kFirstBackOff;
    } else {
      container.life = Life::BackOff;
      container.due = context_.loop.now() + container.back_off;
      container.timer = context_.loop.call_at(container.due, [this] { wake(); });
      container.view.state = {
          .waiting = kube::ContainerStateWaiting{
              "CrashLoopBackOff",
              fmt::format("back-off {}s restarting failed container={} pod={}_{}({})", container.back_off / 1s,
                          container.spec->name, pod_.metadata.name, pod_.metadata.ns, pod_.metadata.uid)}};
      context_.events.record(pod_, kube::EventType::Warning, "BackOff",
                             fmt::format("Back-off restarting failed container {}", container.spec->name));
      container.back_off = std::min<Duration>(container.back_off * 2, kLastBackOff);
    }
  } else {
    container.life = Life::Done;
  }
  changed();
  inbox_.push(true);
}

// What it left in its message file; of one that failed the end of its log, if it asks for that (4096 and 2048 bytes, as
// kubelet's).
std::string PodRunner::last_words(const Container& container, int code) const {
  auto text = read_file(container.message_file);
  std::string words = text ? *text : "";
  if (words.size() > 4096) words.resize(4096);
  if (!words.empty() || code == 0 || container.spec->termination_message_policy != "FallbackToLogsOnError")
    return words;
  auto log = read_file(log_path(pod_, container.spec->name, container.view.restarts));
  if (!log) return {};
  return log->size() > 2048 ? log->substr(log->size() - 2048) : *log;
}

// A probe or a hook asks for it; the container starts again by its restart policy.
Task<Status> PodRunner::end(Container& container, std::string why, Duration grace) {
  const pid_t run = container.pid;
  if (run == 0) co_return ok();
  context_.events.record(pod_, kube::EventType::Normal, "Killing", std::move(why));
  const auto deadline = context_.loop.now() + grace;
  CO_TRY(co_await ask_to_end(container, grace));
  CO_TRY(co_await context_.loop.sleep(std::max<Duration>(deadline - context_.loop.now(), Duration{})));
  if (container.pid == run) send_signal(container.pidfd.get(), SIGKILL);
  co_return ok();
}

// preStop, at most for `limit`, then the signal that ends it.
Task<Status> PodRunner::ask_to_end(Container& container, Duration limit) {
  const pid_t run = container.pid;
  if (run == 0 || std::exchange(container.stopping, true)) co_return ok();
  if (container.spec->lifecycle && container.spec->lifecycle->pre_stop && limit > Duration{}) {
    auto done = co_await run_hook(context_, *container.spec->lifecycle->pre_stop, *container.spec, container.process,
                                  sandbox_.pod_ips().front(), limit);
    if (!done && done.error().code() == Errc::Cancelled) co_return done;
    if (!done && container.pid == run)
      context_.events.record(
          pod_, kube::EventType::Warning, "FailedPreStopHook",
          fmt::format("PreStopHook of container {} failed: {}", container.spec->name, done.error().message()));
  }
  if (container.pid == run) send_signal(container.pidfd.get(), container.stop_signal);
  co_return ok();
}

// The containers, then the sidecars from the last to the first (KEP-753), all within one grace period.
Task<Status> PodRunner::stop_all(Duration grace) {
  const auto deadline = context_.loop.now() + grace;
  std::vector<Container*> first;
  for (auto& container : main_) first.push_back(container.get());
  for (auto& container : init_)
    if (!is_sidecar(*container)) first.push_back(container.get());
  CO_TRY(co_await stop(std::move(first), deadline));
  for (auto at = init_.rbegin(); at != init_.rend(); ++at) {
    std::vector<Container*> one{at->get()};
    CO_TRY(co_await stop(std::move(one), deadline));
  }
  co_return ok();
}

Task<Status> PodRunner::stop(std::vector<Container*> containers, TimePoint deadline) {
  const auto runs = [&] { return std::ranges::any_of(containers, [](const auto* one) { return one->pid != 0; }); };
  if (!runs()) co_return ok();
  if (deadline > context_.loop.now()) {
    for (auto* container : containers) {
      if (container->pid == 0) continue;
      context_.events.record(pod_, kube::EventType::Normal, "Killing", "Stopping container " + container->spec->name);
      scope_.spawn("end of " + container->spec->name, ask_to_end(*container, deadline - context_.loop.now()));
    }
    auto timer = context_.loop.call_at(deadline, [this] { wake(); });
    while (runs() && context_.loop.now() < deadline && !vanished_) CO_TRY(co_await inbox_.next());
  }
  for (auto* container : containers)
    if (container->pid != 0) send_signal(container->pidfd.get(), SIGKILL);
  while (runs()) CO_TRY(co_await inbox_.next());
  co_return ok();
}

}  // namespace causeway::lab
