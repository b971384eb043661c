#include "lab/nodelet/hooks.h"

#include "lab/nodelet/probe.h"

namespace causeway::lab {

Task<Status> run_command(NodeContext& context, ContainerProcess process, std::vector<std::string> command,
                         Duration limit) {
  auto result = CO_TRY(co_await exec_in(context, std::move(process), std::move(command), limit));
  while (result.output.ends_with('\n')) result.output.pop_back();
  if (result.code == 0) co_return ok();
  if (result.output.empty()) co_return fail(Errc::Unavailable, "command exited with {}", result.code);
  co_return fail(Errc::Unavailable, "command exited with {}: {}", result.code, result.output);
}

Task<Status> run_hook(NodeContext& context, kube::LifecycleHandler hook, kube::Container container,
                      ContainerProcess process, Ip address, Duration limit) {
  if (hook.exec) co_return co_await run_command(context, std::move(process), hook.exec->command, limit);
  if (hook.sleep)
    co_return co_await context.loop.sleep(std::min<Duration>(std::chrono::seconds(hook.sleep->seconds), limit));
  kube::Probe probe{.http_get = hook.http_get,
                    .tcp_socket = hook.tcp_socket,
                    .timeout_seconds = static_cast<int32_t>(std::max<int64_t>(1, limit / 1s))};
  co_return co_await probe_once(context.loop, std::move(probe), std::move(container), address);
}

}  // namespace causeway::lab
