#include "lab/nodelet/sandbox.h"

#include <algorithm>
#include <csignal>

#include "lab/nodelet/files.h"

namespace causeway::lab {
namespace {

// Each try has an id of its own; a text without it repeats, so that its Events are counted instead of piled up.
Error without_id(const Error& error, const std::string& id) {
  std::string text = error.message();
  for (size_t at = 0; (at = text.find(id, at)) != std::string::npos;) text.replace(at, id.size(), "of the sandbox");
  return Error(error.code(), std::move(text));
}

}  // namespace

Sandbox::Sandbox(NodeContext& context, const kube::Pod& pod, std::function<void()> ended)
    : context_(context), pod_(pod), ended_(std::move(ended)) {}

Sandbox::~Sandbox() {
  if (pid_ != 0) context_.children.forget(pid_);
}

CniCall Sandbox::call() const {
  CniCall call{id_, netns_, pod_.metadata.name, pod_.metadata.ns, pod_.metadata.uid, {}, {}, {}};
  // Of all containers: one that starts first may be a sidecar.
  for (const auto* list : {&pod_.spec.init_containers, &pod_.spec.containers})
    for (const auto& container : *list)
      call.ports.insert(call.ports.end(), container.ports.begin(), container.ports.end());
  for (const auto& [name, into] :
       {std::pair{"kubernetes.io/ingress-bandwidth", &call.ingress}, {"kubernetes.io/egress-bandwidth", &call.egress}})
    if (const auto found = pod_.metadata.annotations.find(name); found != pod_.metadata.annotations.end())
      *into = found->second;
  return call;
}

Task<Status> Sandbox::make() {
  if (!pod_.spec.host_network && !context_.network)
    co_return fail(Errc::Unavailable, "the node's network is not ready: no configuration in /etc/cni/net.d");
  id_ = random_id();
  auto child = CO_TRY(start_sandbox(pod_, hostname_of(pod_, context_.node)), "sandbox");
  pid_ = child.pid;
  pidfd_ = std::move(child.pidfd);
  netns_ = fmt::format("/proc/{}/ns/net", pid_);
  context_.children.watch(pid_, [this](ExitStatus) {
    pid_ = 0;
    ended_();
  });
  // The node's own only for a Pod of its network: one that waits for its own has none to show.
  pod_ips_.clear();
  if (pod_.spec.host_network) {
    pod_ips_ = context_.host_ips;
  } else {
    network_used_ = context_.network;
    network_ = CniResult{};
    auto result = co_await context_.cni.add(*network_used_, call());
    if (!result) co_return fail(without_id(result.error(), id_).with("set up the Pod's network"));
    pod_ips_ = result->addresses;
    network_ = std::move(*result);
  }
  ++made_;
  co_return ok();
}

Task<Status> Sandbox::drop() {
  const pid_t pid = std::exchange(pid_, 0);
  if (pid != 0) context_.children.forget(pid);
  auto left = co_await leave_network();
  if (pid != 0) send_signal(pidfd_.get(), SIGKILL);
  pidfd_.reset();
  co_return left;
}

// While its namespace still lives, as container runtimes do: a device that moved into it would die with it.
Task<Status> Sandbox::leave_network() {
  for (Duration pause = 100ms; network_; pause = std::min<Duration>(pause * 2, 5s)) {
    auto deleted = co_await context_.cni.del(*network_used_, call(), network_->json);
    if (deleted) {
      network_.reset();
      break;
    }
    if (deleted.error().code() == Errc::Cancelled) co_return deleted;
    context_.events.record(pod_, kube::EventType::Warning, "FailedKillPod", deleted.error().message());
    CO_TRY(co_await context_.loop.sleep(pause));
  }
  co_return ok();
}

}  // namespace causeway::lab
