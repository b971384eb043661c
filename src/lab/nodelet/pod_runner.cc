#include "lab/nodelet/pod_runner.h"

#include <algorithm>
#include <csignal>

#include "base/log.h"
#include "lab/nodelet/files.h"
#include "lab/nodelet/probe.h"

namespace causeway::lab {
namespace {

// kubelet's: 10 s, doubled up to 5 min, forgotten after 10 min of running.
constexpr Duration kFirstBackOff = 10s;
constexpr Duration kLastBackOff = 5min;
constexpr Duration kForgetBackOff = 10min;

enum ProbeKind { kReadiness, kLiveness, kStartup };

// The values of a Secret, which are base64 on the wire; the API server has refused what is none.
kube::StringMap decoded(const kube::StringMap& data) {
  kube::StringMap out;
  for (const auto& [key, text] : data) {
    std::string& value = out[key];
    uint32_t bits = 0;
    int count = 0;
    for (const char c : text) {
      const size_t digit = std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/").find(c);
      if (digit == std::string_view::npos) continue;
      bits = bits << 6 | static_cast<uint32_t>(digit);
      if ((count += 6) >= 8) value += static_cast<char>(bits >> (count -= 8) & 0xff);
    }
  }
  return out;
}

Task<Status> nap(Loop& loop, Duration time) { co_return co_await loop.sleep(time); }

}  // namespace

PodRunner::PodRunner(NodeContext& context, kube::Pod pod, std::function<void()> removed)
    : context_(context),
      pod_(std::move(pod)),
      spec_(pod_.spec),
      removed_(std::move(removed)),
      inbox_(context.loop),
      dirty_(context.loop),
      scope_(context.loop) {
  auto adopt = [&](const std::vector<kube::Container>& specs, const std::vector<kube::ContainerStatus>& statuses,
                   auto& out) {
    for (const auto& spec : specs) {
      auto container = std::make_unique<Container>();
      container->spec = container->view.spec = &spec;
      // A status from before the node started anew: that process is gone with the machine.
      for (const auto& status : statuses)
        if (status.name == spec.name &&
            (status.state.running || status.state.terminated || status.last_state.terminated)) {
          container->view.restarts = status.restart_count + 1;
          container->view.last_state = status.last_state;
          if (status.state.terminated) container->view.last_state.terminated = status.state.terminated;
          if (status.state.running)
            container->view.last_state.terminated =
                kube::ContainerStateTerminated{.exit_code = 137,
                                               .reason = "ContainerStatusUnknown",
                                               .message = "the node started anew",
                                               .started_at = status.state.running->started_at,
                                               .finished_at = now(),
                                               .container_id = status.container_id};
        }
      out.push_back(std::move(container));
    }
  };
  adopt(spec_.init_containers, pod_.status.init_container_statuses, init_);
  adopt(spec_.containers, pod_.status.container_statuses, main_);
  start_time_ = pod_.status.start_time.value_or(now());
  scope_.spawn("status of Pod " + kube::full_name(pod_.metadata), write_statuses());
  scope_.spawn("Pod " + kube::full_name(pod_.metadata), run());
}

PodRunner::~PodRunner() {
  for (auto* list : {&init_, &main_})
    for (auto& container : *list)
      if (container->pid != 0) context_.children.forget(container->pid);
  if (sandbox_pid_ != 0) context_.children.forget(sandbox_pid_);
}

kube::Time PodRunner::now() const {
  return std::chrono::time_point_cast<std::chrono::microseconds>(context_.loop.wall_now());
}

void PodRunner::update(const kube::Pod& pod) {
  pod_ = pod;
  inbox_.push(true);
}

void PodRunner::vanish() {
  vanished_ = true;
  inbox_.push(true);
}

std::optional<int> PodRunner::current_log(const std::string& name) const {
  for (const auto* list : {&init_, &main_})
    for (const auto& container : *list)
      if (container->spec->name == name) return container->view.restarts;
  return std::nullopt;
}

bool PodRunner::running_container(const std::string& name) const {
  for (const auto* list : {&init_, &main_})
    for (const auto& container : *list)
      if (container->spec->name == name) return container->pid != 0;
  return false;
}

// ---- the life of the Pod

Task<Status> PodRunner::run() {
  auto lived = co_await live();
  if (!lived && lived.error().code() == Errc::Cancelled) co_return lived;
  if (!lived) log::error("Pod {}: {}", kube::full_name(pod_.metadata), lived.error().message());
  CO_TRY(co_await stop_all(vanished_ ? Duration{}
                                     : std::chrono::seconds(pod_.metadata.deletion_grace_period_seconds.value_or(
                                           spec_.termination_grace_period_seconds.value_or(30)))));
  CO_TRY(co_await drop_sandbox());
  changed();
  while (!wants_end()) CO_TRY(co_await inbox_.next());
  if (!vanished_) CO_TRY(co_await remove_from_api());
  remove_leftovers(pod_, true);
  context_.loop.post([removed = removed_] { removed(); });
  co_return ok();
}

// Returns when the Pod shall end or has ended by itself.
Task<Status> PodRunner::live() {
  if (kube::is_finished(pod_)) {
    failed_reason_ = pod_.status.reason;
    co_return ok();
  }
  if (auto allowed = check_sysctls(pod_); !allowed) {
    refuse(allowed.error());
    co_return ok();
  }
  slow_ = context_.loop.call_after(200ms, [this] { changed(); });
  while (!wants_end() && !over()) {
    if (sandbox_pid_ == 0) {
      CO_TRY(co_await stop_all(Duration{}));
      CO_TRY(co_await drop_sandbox());
      if (auto made = co_await make_sandbox(); !made) {
        if (made.error().code() == Errc::Cancelled) co_return made;
        context_.events.record(pod_, kube::EventType::Warning, "FailedCreatePodSandBox", made.error().message());
        log::warning("Pod {}: {}", kube::full_name(pod_.metadata), made.error().message());
        CO_TRY(co_await drop_sandbox());
        // The agent says itself when it is back (the network configuration), else a second later.
        auto retry = context_.loop.call_after(1s, [this] { wake(); });
        CO_TRY(co_await inbox_.next());
        continue;
      }
    }
    CO_TRY(co_await start_due());
    if (wants_end() || over()) break;
    CO_TRY(co_await inbox_.next());
    while (inbox_.try_next()) {
    }
  }
  co_return ok();
}

void PodRunner::refuse(const Error& error) {
  failed_reason_ = "SysctlForbidden";
  failed_message_ = error.message();
  context_.events.record(pod_, kube::EventType::Warning, failed_reason_, failed_message_);
  changed();
}

bool PodRunner::over() const {
  if (!failed_reason_.empty()) return true;
  for (const auto& container : init_)
    if (container->life == Life::Done && container->view.state.terminated &&
        container->view.state.terminated->exit_code != 0)
      return true;
  return std::ranges::all_of(main_, [](const auto& container) { return container->life == Life::Done; });
}

bool PodRunner::running() const {
  auto runs = [](const auto& container) { return container->pid != 0; };
  return std::ranges::any_of(init_, runs) || std::ranges::any_of(main_, runs);
}

// ---- sandbox and network

Task<Status> PodRunner::make_sandbox() {
  if (!spec_.host_network && !context_.network)
    co_return fail(Errc::Unavailable, "the node's network is not ready: no configuration in /etc/cni/net.d");
  sandbox_id_ = random_id();
  auto child = CO_TRY(start_sandbox(pod_, hostname_of(pod_, context_.node)), "sandbox");
  sandbox_pid_ = child.pid;
  sandbox_pidfd_ = std::move(child.pidfd);
  netns_ = fmt::format("/proc/{}/ns/net", sandbox_pid_);
  context_.children.watch(sandbox_pid_, [this](ExitStatus) {
    sandbox_pid_ = 0;
    context_.events.record(pod_, kube::EventType::Normal, "SandboxChanged",
                           "Pod sandbox changed, it will be killed and re-created.");
    inbox_.push(true);
  });
  pod_ips_ = context_.host_ips;
  if (!spec_.host_network) {
    network_used_ = context_.network;
    network_ = CniResult{};
    auto result = co_await context_.cni.add(
        *network_used_, {sandbox_id_, netns_, pod_.metadata.name, pod_.metadata.ns, pod_.metadata.uid});
    if (!result) co_return fail(std::move(result.error()).with("set up the Pod's network"));
    pod_ips_ = result->addresses;
    network_ = std::move(*result);
  }
  // Containers of an earlier sandbox start again in this one.
  if (sandboxes_++ > 0)
    for (auto* list : {&init_, &main_})
      for (auto& container : *list) {
        if (container->life == Life::Waiting) continue;
        container->life = Life::Waiting;
        ++container->view.restarts;
        if (container->view.state.terminated) container->view.last_state = container->view.state;
        container->view.state = {};
        container->back_off = {};
        container->timer.reset();
      }
  co_return ok();
}

Task<Status> PodRunner::drop_sandbox() {
  if (sandbox_pid_ != 0) {
    context_.children.forget(sandbox_pid_);
    send_signal(sandbox_pidfd_.get(), SIGKILL);
    sandbox_pid_ = 0;
  }
  sandbox_pidfd_.reset();
  // DEL is repeated until it succeeds: else the address would leak.
  for (Duration pause = 100ms; network_; pause = std::min<Duration>(pause * 2, 5s)) {
    auto deleted = co_await context_.cni.del(
        *network_used_, {sandbox_id_, netns_, pod_.metadata.name, pod_.metadata.ns, pod_.metadata.uid}, network_->json);
    if (deleted) {
      network_.reset();
      break;
    }
    if (deleted.error().code() == Errc::Cancelled) co_return deleted;
    context_.events.record(pod_, kube::EventType::Warning, "FailedKillPod", deleted.error().message());
    CO_TRY(co_await nap(context_.loop, pause));
  }
  co_return ok();
}

// ---- containers

Task<Status> PodRunner::start_due() {
  for (auto& container : init_) {
    if (container->life == Life::Done) continue;
    const bool sidecar = container->spec->restart_policy == "Always";
    if (container->life == Life::Waiting || (container->life == Life::BackOff && container->due <= context_.loop.now()))
      CO_TRY(co_await start(*container));
    if (!sidecar || container->life != Life::Running) co_return ok();
  }
  for (auto& container : main_)
    if (container->life == Life::Waiting || (container->life == Life::BackOff && container->due <= context_.loop.now()))
      CO_TRY(co_await start(*container));
  changed();
  co_return ok();
}

Task<Result<ContainerFacts>> PodRunner::facts_for(const kube::Container& container) {
  ContainerFacts facts{
      .pod_ips = pod_ips_, .host_ips = context_.host_ips, .hostname = hostname_of(pod_, context_.node)};
  for (const auto& name : config_maps_of(container)) {
    auto object = co_await context_.api.get<kube::ConfigMap>({pod_.metadata.ns, name});
    if (object)
      facts.config_maps[name] = object->data;
    else if (object.error().code() != Errc::NotFound)
      co_return fail(std::move(object.error()));
  }
  for (const auto& name : secrets_of(container)) {
    auto object = co_await context_.api.get<kube::Secret>({pod_.metadata.ns, name});
    if (object)
      facts.secrets[name] = decoded(object->data);
    else if (object.error().code() != Errc::NotFound)
      co_return fail(std::move(object.error()));
  }
  co_return facts;
}

// Ok also when it could not start: that is the container's state then, and it is tried again.
Task<Status> PodRunner::start(Container& container) {
  auto facts = co_await facts_for(*container.spec);
  if (!facts && facts.error().code() == Errc::Cancelled) co_return fail(std::move(facts.error()));
  std::string reason = "CreateContainerConfigError";
  Status problem = ok();
  Result<ProcessImage> image = facts ? compile_process(pod_, *container.spec, *facts) : fail(facts.error());
  const bool workload = container.spec->command.empty();
  if (!image) {
    problem = fail(image.error());
  } else {
    if (!container.announced) {
      container.announced = true;
      context_.events.record(
          pod_, kube::EventType::Normal, "Pulled",
          fmt::format("Container image \"{}\" is not pulled: this machine's root file system stands in for it{}",
                      container.spec->image,
                      !workload ? ""
                      : container.spec->args.empty()
                          ? ", and the built-in workload for its command"
                          : ", and the built-in workload for its command; its args are not used"));
    }
    auto child = start_container(
        {.pod = pod_,
         .container = *container.spec,
         .image = std::move(*image),
         .sandbox = sandbox_pid_,
         .node = context_.node,
         .restart = container.view.restarts,
         .files = pod_files(pod_, pod_ips_, context_.node, context_.node_hosts, context_.node_resolv_conf),
         .submounts = context_.submounts});
    if (child) {
      container.pid = child->pid;
      container.pidfd = std::move(child->pidfd);
      container.life = Life::Running;
      container.started_at = now();
      container.liveness_failed = false;
      container.view.id = random_id();
      container.view.state = {.running = kube::ContainerStateRunning{container.started_at}};
      context_.children.watch(container.pid, [this, raw = &container](ExitStatus status) { ended(*raw, status); });
      context_.events.record(pod_, kube::EventType::Normal, "Started", "Started container " + container.spec->name);
      start_probes(container);
      changed();
      co_return ok();
    }
    reason = "RunContainerError";
    problem = fail(std::move(child.error()));
  }
  container.view.state = {.waiting = kube::ContainerStateWaiting{reason, problem.error().message()}};
  context_.events.record(pod_, kube::EventType::Warning, "Failed", "Error: " + problem.error().message());
  container.life = Life::BackOff;
  container.due = context_.loop.now() + kFirstBackOff;
  container.timer = context_.loop.call_at(container.due, [this] { wake(); });
  changed();
  co_return ok();
}

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
  // This may be called for a process whose probe just asked for its end: not from within that probe.
  context_.loop.post([probes = std::shared_ptr<Scope>(std::move(container.probes))] {});
  container.view.ready = container.view.started = false;
  const kube::ContainerStateTerminated terminated{.exit_code = status.code,
                                                  .signal = status.signal,
                                                  .reason = status.code == 0 ? "Completed" : "Error",
                                                  .started_at = container.started_at,
                                                  .finished_at = now(),
                                                  .container_id = "causeway-lab://" + container.view.id};
  container.view.state = {.terminated = terminated};
  const bool again = sandbox_pid_ != 0 && !wants_end() && failed_reason_.empty() && restarts(container, status.code);
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

Task<Status> PodRunner::stop_all(Duration grace) {
  auto each = [this](int signal) {
    for (auto* list : {&init_, &main_})
      for (auto& container : *list)
        if (container->pid != 0) send_signal(container->pidfd.get(), signal);
  };
  if (!running()) co_return ok();
  if (grace > Duration{}) {
    for (auto& container : main_)
      if (container->pid != 0)
        context_.events.record(pod_, kube::EventType::Normal, "Killing", "Stopping container " + container->spec->name);
    each(SIGTERM);
    const auto deadline = context_.loop.now() + grace;
    auto timer = context_.loop.call_at(deadline, [this] { wake(); });
    while (running() && context_.loop.now() < deadline && !vanished_) CO_TRY(co_await inbox_.next());
  }
  each(SIGKILL);
  while (running()) CO_TRY(co_await inbox_.next());
  co_return ok();
}

// ---- probes

void PodRunner::start_probes(Container& container) {
  container.probes = std::make_unique<Scope>(context_.loop);
  const auto& spec = *container.spec;
  container.view.started = !spec.startup_probe;
  container.view.ready = !spec.readiness_probe && container.view.started;
  if (spec.startup_probe) container.probes->spawn("startup probe", probe(container, *spec.startup_probe, kStartup));
  if (spec.readiness_probe)
    container.probes->spawn("readiness probe", probe(container, *spec.readiness_probe, kReadiness));
  if (spec.liveness_probe) container.probes->spawn("liveness probe", probe(container, *spec.liveness_probe, kLiveness));
}

Task<Status> PodRunner::probe(Container& container, kube::Probe probe, int kind) {
  const int failures = probe.failure_threshold > 0 ? probe.failure_threshold : 3;
  const int successes = probe.success_threshold > 0 ? probe.success_threshold : 1;
  const Duration period = std::chrono::seconds(probe.period_seconds > 0 ? probe.period_seconds : 10);
  int good = 0, bad = 0;
  if (probe.exec)
    context_.events.record(pod_, kube::EventType::Warning, "ProbeNotRun",
                           fmt::format("container {}: the lab runs TCP and HTTP probes; an exec probe counts as passed",
                                       container.spec->name));
  // A process that has not yet begun is not a dead one.
  if (kind == kLiveness) CO_TRY(co_await context_.loop.sleep(period));
  if (probe.initial_delay_seconds > 0)
    CO_TRY(co_await context_.loop.sleep(std::chrono::seconds(probe.initial_delay_seconds)));
  for (bool first = true;; first = false) {
    // The process has only just been started: its port comes a moment later, and a failure now would cost a period.
    if (!first)
      CO_TRY(co_await context_.loop.sleep(
          good + bad <= 5 && good == 0 && kind != kLiveness ? std::min<Duration>(period, 50ms * (1 << bad)) : period));
    if (kind != kStartup && !container.view.started) continue;
    auto result = co_await probe_once(context_.loop, probe, *container.spec, pod_ips_.front());
    if (!result && result.error().code() == Errc::Cancelled) co_return result;
    if (result) {
      bad = 0;
      if (++good < successes) continue;
      if (kind == kStartup) {
        container.view.started = true;
        if (!container.spec->readiness_probe) container.view.ready = true;
        changed();
        co_return ok();
      }
      if (kind == kReadiness && !container.view.ready) {
        container.view.ready = true;
        changed();
      }
      continue;
    }
    good = 0;
    ++bad;
    const bool starting = kind == kReadiness && !container.view.ready && bad <= 5;
    if (!starting)
      context_.events.record(pod_, kube::EventType::Warning, "Unhealthy",
                             fmt::format("{} probe failed: {}",
                                         kind == kReadiness  ? "Readiness"
                                         : kind == kLiveness ? "Liveness"
                                                             : "Startup",
                                         result.error().message()));
    if (bad < failures) continue;
    if (kind == kReadiness) {
      if (container.view.ready) {
        container.view.ready = false;
        changed();
      }
    } else if (container.pid != 0) {
      context_.events.record(pod_, kube::EventType::Normal, "Killing",
                             fmt::format("Container {} failed {} probe, will be restarted", container.spec->name,
                                         kind == kLiveness ? "liveness" : "startup"));
      send_signal(container.pidfd.get(), SIGTERM);
      CO_TRY(co_await context_.loop.sleep(std::chrono::seconds(spec_.termination_grace_period_seconds.value_or(30))));
      if (container.pid != 0) send_signal(container.pidfd.get(), SIGKILL);
      co_return ok();
    }
  }
}

// ---- the API

PodView PodRunner::view() const {
  PodView view{.pod = &pod_,
               .sandbox = sandbox_pid_ != 0 && (network_ || spec_.host_network),
               .pod_ips = pod_ips_,
               .host_ips = context_.host_ips,
               .start_time = start_time_,
               .now = now(),
               .failed_reason = failed_reason_,
               .failed_message = failed_message_};
  for (const auto& container : init_) view.init_containers.push_back(container->view);
  for (const auto& container : main_) view.containers.push_back(container->view);
  return view;
}

// Writes the newest status whenever it changed; a burst of changes is one write.
Task<Status> PodRunner::write_statuses() {
  for (;;) {
    CO_TRY(co_await dirty_.next());
    for (Duration pause = 100ms;; pause = std::min<Duration>(pause * 2, 2s)) {
      while (dirty_.try_next()) {
      }
      auto written = co_await write_status();
      if (written || written.error().code() == Errc::NotFound || written.error().code() == Errc::Conflict) break;
      if (written.error().code() == Errc::Cancelled) co_return written;
      log::warning("{}", written.error().message());
      CO_TRY(co_await nap(context_.loop, pause));
    }
  }
}

Task<Status> PodRunner::write_status() {
  if (vanished_ || (kube::is_finished(pod_) && sandboxes_ == 0)) co_return ok();
  kube::Pod shell;
  shell.metadata.uid = pod_.metadata.uid;
  shell.status = build_status(view());
  std::string body = kube::encode(shell);
  if (body == written_) co_return ok();
  auto answer =
      co_await context_.api.patch<kube::Pod>(kube::ref_of(pod_.metadata), kube::PatchType::Merge, body, "status");
  if (!answer) co_return fail(std::move(answer.error()));
  written_ = std::move(body);
  co_return ok();
}

Task<Status> PodRunner::remove_from_api() {
  for (Duration pause = 100ms;; pause = std::min<Duration>(pause * 2, 2s)) {
    auto final_status = co_await write_status();
    if (!final_status && final_status.error().code() == Errc::Cancelled) co_return final_status;
    auto gone = co_await context_.api.remove<kube::Pod>(kube::ref_of(pod_.metadata),
                                                        {.uid = pod_.metadata.uid, .grace_period_seconds = 0});
    if (gone || gone.error().code() == Errc::NotFound || gone.error().code() == Errc::Conflict || vanished_)
      co_return ok();
    if (gone.error().code() == Errc::Cancelled) co_return gone;
    log::warning("{}", gone.error().message());
    CO_TRY(co_await nap(context_.loop, pause));
  }
}

}  // namespace causeway::lab
