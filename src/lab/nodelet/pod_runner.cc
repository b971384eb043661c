#include "lab/nodelet/pod_runner.h"

#include <algorithm>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "lab/nodelet/admission.h"
#include "lab/nodelet/not_done.h"
#include "lab/nodelet/resolver.h"

namespace causeway::lab {
namespace {

constexpr Duration kFirstBackOff = 10s;  // kubelet's, of a container that cannot be made
// Of a sandbox that cannot be made. kubelet tries again every 10 s.
constexpr Duration kFirstSandboxPause = 1s;
constexpr Duration kLastSandboxPause = 10s;

}  // namespace

PodRunner::PodRunner(NodeContext& context, kube::Pod pod, std::function<void()> removed)
    : context_(context),
      pod_(std::move(pod)),
      spec_(pod_.spec),
      removed_(std::move(removed)),
      volumes_(context, pod_),
      sandbox_(context, pod_, [this] { sandbox_ended(); }),
      status_(context, [this] { return view(); }),
      inbox_(context.loop),
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
  scope_.spawn("status of Pod " + kube::full_name(pod_.metadata), status_.run());
  scope_.spawn("Pod " + kube::full_name(pod_.metadata), run());
}

PodRunner::~PodRunner() {
  for (auto* list : {&init_, &main_})
    for (auto& container : *list)
      if (container->pid != 0) context_.children.forget(container->pid);
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
  ending_ = true;
  CO_TRY(co_await stop_all(vanished_ ? Duration{}
                                     : std::chrono::seconds(pod_.metadata.deletion_grace_period_seconds.value_or(
                                           spec_.termination_grace_period_seconds.value_or(30)))));
  CO_TRY(co_await sandbox_.drop());
  changed();
  while (!wants_end()) CO_TRY(co_await inbox_.next());
  if (!vanished_) CO_TRY(co_await remove_from_api());
  remove_leftovers(pod_, true);
  volumes_.remove();
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
    refuse("SysctlForbidden", allowed.error().message());
    co_return ok();
  }
  if (std::string conflict = context_.port_conflict(pod_); !conflict.empty()) {
    refuse(kNodePorts, std::move(conflict));
    co_return ok();
  }
  slow_ = context_.loop.call_after(200ms, [this] { changed(); });
  // Containers that ended with their sandbox start again in the next one, however often that fails to be made.
  bool remaking = false;
  while (!wants_end() && ((remaking && failed_reason_.empty()) || !over())) {
    if (sandbox_.pid() == 0) {
      remaking = true;
      CO_TRY(co_await stop_all(Duration{}));
      CO_TRY(co_await sandbox_.drop());
      network_changed_ = false;
      // Volumes first, as kubelet has it: a Pod that cannot have them takes no address.
      const auto mounted = co_await volumes_.make();
      auto made = mounted ? co_await make_sandbox() : mounted;
      if (!made) {
        if (made.error().code() == Errc::Cancelled) co_return made;
        context_.events.record(pod_, kube::EventType::Warning, mounted ? "FailedCreatePodSandBox" : "FailedMount",
                               made.error().message());
        log::warning("Pod {}: {}", kube::full_name(pod_.metadata), made.error().message());
        CO_TRY(co_await sandbox_.drop());
        changed();
        CO_TRY(co_await wait_to_retry());
        continue;
      }
      sandbox_pause_ = {};
      remaking = false;
    }
    CO_TRY(co_await start_due());
    if (!std::exchange(said_not_done_, true)) {
      scope_.spawn("what is not done for Pod " + kube::full_name(pod_.metadata), say_not_done());
      scope_.spawn("volumes of Pod " + kube::full_name(pod_.metadata), volumes_.follow());
    }
    if (wants_end() || over()) break;
    CO_TRY(co_await inbox_.next());
    while (inbox_.try_next()) {
    }
  }
  co_return ok();
}

// Longer each time; the agent says itself when it is back (the network configuration).
Task<Status> PodRunner::wait_to_retry() {
  sandbox_pause_ = sandbox_pause_ == Duration{} ? kFirstSandboxPause : std::min(sandbox_pause_ * 2, kLastSandboxPause);
  const auto due = context_.loop.now() + sandbox_pause_;
  auto timer = context_.loop.call_at(due, [this] { wake(); });
  while (!wants_end() && !network_changed_ && context_.loop.now() < due) CO_TRY(co_await inbox_.next());
  co_return ok();
}

Task<Status> PodRunner::say_not_done() {
  const auto node_file = read_file("/etc/resolv.conf");
  for (const auto& [reason, sentence] :
       compile_resolver(pod_, node_file ? *node_file : "", context_.cluster_dns).events)
    context_.events.record(pod_, kube::EventType::Warning, reason, sentence);
  auto text =
      co_await context_.api.request("GET", kube::object_path(kube::Pod::kKind, pod_.metadata.ns, pod_.metadata.name));
  if (!text && text.error().code() == Errc::NotFound) co_return ok();  // over already
  for (const auto& sentence : not_done(CO_TRY(std::move(text))))
    context_.events.record(pod_, kube::EventType::Warning, "NotSupported", sentence);
  co_return ok();
}

void PodRunner::sandbox_ended() {
  context_.events.record(pod_, kube::EventType::Normal, "SandboxChanged",
                         "Pod sandbox changed, it will be killed and re-created.");
  inbox_.push(true);
}

void PodRunner::refuse(std::string reason, std::string message) {
  failed_reason_ = std::move(reason);
  failed_message_ = std::move(message);
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

// Containers of an earlier sandbox start again in the new one.
Task<Status> PodRunner::make_sandbox() {
  CO_TRY(co_await sandbox_.make());
  if (sandbox_.made() == 1) co_return ok();
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

// ---- containers

// Init containers one after another; a sidecar lets the next one begin when it has started (KEP-753). A postStart hook
// holds up those behind it, as kubelet's.
Task<Status> PodRunner::start_due() {
  for (auto& container : init_) {
    if (container->life == Life::Done) continue;
    if (container->life == Life::Waiting || (container->life == Life::BackOff && container->due <= context_.loop.now()))
      CO_TRY(co_await start(*container));
    if (!is_sidecar(*container) || container->life != Life::Running || !container->view.started) co_return ok();
  }
  for (auto& container : main_) {
    if (container->life == Life::Waiting || (container->life == Life::BackOff && container->due <= context_.loop.now()))
      CO_TRY(co_await start(*container));
    if (container->hooked) co_return ok();
  }
  changed();
  co_return ok();
}

// Ok also when it could not start: that is the container's state then, and it is tried again.
Task<Status> PodRunner::start(Container& container) {
  auto prepared = co_await prepare_container(context_, pod_, *container.spec, volumes_, sandbox_.pod_ips(),
                                             sandbox_.pid(), container.view.restarts);
  if (!prepared && prepared.error().code() == Errc::Cancelled) co_return fail(std::move(prepared.error()));
  if (prepared) co_return co_await begin(container, std::move(*prepared));
  retry_later(container, "CreateContainerConfigError", prepared.error());
  co_return ok();
}

void PodRunner::retry_later(Container& container, std::string reason, const Error& error) {
  container.view.state = {.waiting = kube::ContainerStateWaiting{std::move(reason), error.message()}};
  context_.events.record(pod_, kube::EventType::Warning, "Failed", "Error: " + error.message());
  container.life = Life::BackOff;
  container.due = context_.loop.now() + kFirstBackOff;
  container.timer = context_.loop.call_at(container.due, [this] { wake(); });
  changed();
}

Task<Status> PodRunner::begin(Container& container, PreparedContainer prepared) {
  if (container.pulled != prepared.pulled)
    context_.events.record(pod_, kube::EventType::Normal, "Pulled", container.pulled = prepared.pulled);
  container.view.image_id = prepared.image_id;
  auto child = start_container(prepared.start);
  if (!child) {
    retry_later(container, "RunContainerError", child.error());
    co_return ok();
  }
  container.pid = child->pid;
  container.pidfd = std::move(child->pidfd);
  container.life = Life::Running;
  container.started_at = now();
  container.process = {.pid = container.pid,
                       .cgroup = container_cgroup(pod_, container.spec->name),
                       .env = prepared.start.process.env,
                       .directory = prepared.start.directory,
                       .identity = prepared.start.identity};
  container.message_file = prepared.message_file;
  container.stop_signal = prepared.stop_signal;
  container.stopping = false;
  container.view.id = random_id();
  container.view.state = {.running = kube::ContainerStateRunning{container.started_at}};
  context_.children.watch(container.pid, [this, raw = &container](ExitStatus status) { ended(*raw, status); });
  context_.events.record(pod_, kube::EventType::Normal, "Started", "Started container " + container.spec->name);
  container.hooked = container.spec->lifecycle && container.spec->lifecycle->post_start;
  if (container.hooked)
    scope_.spawn("postStart of " + container.spec->name, post_start(container));
  else
    watch_probes(container);
  changed();
  co_return ok();
}

Task<Status> PodRunner::post_start(Container& container) {
  const pid_t run = container.pid;
  auto done = co_await run_hook(context_, *container.spec->lifecycle->post_start, *container.spec, container.process,
                                sandbox_.pod_ips().front(), 1h);
  if (!done && done.error().code() == Errc::Cancelled) co_return done;
  if (container.pid != run) co_return ok();  // it has ended meanwhile
  container.hooked = false;
  if (done) {
    watch_probes(container);
    wake();
    co_return ok();
  }
  context_.events.record(
      pod_, kube::EventType::Warning, "FailedPostStartHook",
      fmt::format("PostStartHook of container {} failed: {}", container.spec->name, done.error().message()));
  co_return co_await end(container, "FailedPostStartHook",
                         std::chrono::seconds(spec_.termination_grace_period_seconds.value_or(30)));
}

void PodRunner::watch_probes(Container& container) {
  container.probes = std::make_unique<Probes>(
      context_,
      Probed{.pod = pod_,
             .container = *container.spec,
             .view = container.view,
             .address = sandbox_.pod_ips().front(),
             .changed =
                 [this, raw = &container] {
                   changed();
                   if (is_sidecar(*raw)) wake();  // the next container waits for it
                 },
             .end =
                 [this, raw = &container](std::string_view which, const kube::Probe& probe) {
                   const auto grace = probe.termination_grace_period_seconds
                                          ? *probe.termination_grace_period_seconds
                                          : spec_.termination_grace_period_seconds.value_or(30);
                   return end(*raw,
                              fmt::format("Container {} failed {} probe, will be restarted", raw->spec->name, which),
                              std::chrono::seconds(grace));
                 },
             .exec = [this, raw = &container](
                         std::vector<std::string> command,
                         Duration limit) { return run_command(context_, raw->process, std::move(command), limit); }});
}

// ---- the API

std::optional<PodView> PodRunner::view() const {
  if (vanished_ || (kube::is_finished(pod_) && sandbox_.made() == 0)) return std::nullopt;
  PodView view{.pod = &pod_,
               .sandbox = sandbox_.ready(),
               .pod_ips = sandbox_.pod_ips(),
               .host_ips = context_.host_ips,
               .start_time = start_time_,
               .now = now(),
               .failed_reason = failed_reason_,
               .failed_message = failed_message_};
  for (const auto& container : init_) view.init_containers.push_back(container->view);
  for (const auto& container : main_) view.containers.push_back(container->view);
  return view;
}

Task<Status> PodRunner::remove_from_api() {
  for (Duration pause = 100ms;; pause = std::min<Duration>(pause * 2, 2s)) {
    auto final_status = co_await status_.write();
    if (!final_status && final_status.error().code() == Errc::Cancelled) co_return final_status;
    auto gone = co_await context_.api.remove<kube::Pod>(kube::ref_of(pod_.metadata),
                                                        {.uid = pod_.metadata.uid, .grace_period_seconds = 0});
    if (gone || gone.error().code() == Errc::NotFound || gone.error().code() == Errc::Conflict || vanished_)
      co_return ok();
    if (gone.error().code() == Errc::Cancelled) co_return gone;
    log::warning("{}", gone.error().message());
    CO_TRY(co_await context_.loop.sleep(pause));
  }
}

}  // namespace causeway::lab
