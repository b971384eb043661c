// bench_lab [--runs N] [--json FILE]: how long a lab takes, how many Pods each second, how much memory an agent.
//
// Each run is a new lab: `lab up`, the demo's manifests, all Ready; then 100 Pods more. Memory is VmRSS of the agents,
// idle, and with 1,000 Pods in the API.
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/file.h"
#include "cli/api.h"
#include "cli/apply.h"
#include "cli/wait.h"
#include "figures.h"

using namespace causeway;

namespace {

using Clock = std::chrono::steady_clock;
constexpr const char* kLab = "bench";

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

Status causeway_command(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), CAUSEWAY_PROGRAM);
  std::vector<char*> argv;
  for (auto& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::dup2(STDERR_FILENO, STDOUT_FILENO);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  if (status == 0) return ok();
  return fail(Errc::Io, "causeway {} {} failed", arguments[1], arguments[2]);
}

// A Pod that runs the built-in workload, or one that is only known: assigned to a node that does not exist.
kube::Pod pod(const std::string& name, const std::string& node = {}) {
  kube::Pod out;
  out.metadata.ns = "default";
  out.metadata.name = name;
  out.metadata.labels = {{"app", "bench"}, {"pod-template-hash", "bench"}};
  out.spec.containers = {{.name = "c", .image = "none", .ports = {{.container_port = 8080}}}};
  out.spec.node_name = node;
  return out;
}

Task<Status> create_pods(kube::Client& api, std::string prefix, int from, int to, std::string node) {
  for (int i = from; i < to; ++i) CO_TRY(co_await api.create(pod(prefix + std::to_string(i), node)));
  co_return ok();
}

// From eight clients' worth of requests at once.
Task<Status> create_many(kube::Client& api, std::string prefix, int count, std::string node) {
  Scope scope(api.loop());
  Channel<bool> done(api.loop());
  constexpr int kWays = 8;
  for (int way = 0; way < kWays; ++way)
    scope.spawn("create",
                [](kube::Client& api, std::string prefix, int from, int to, std::string node,
                   Channel<bool> done) -> Task<void> {
                  auto created = co_await create_pods(api, prefix, from, to, node);
                  if (!created) std::fprintf(stderr, "%s\n", created.error().message().c_str());
                  done.push(created.has_value());
                }(api, prefix, count * way / kWays, count * (way + 1) / kWays, node, done));
  bool good = true;
  for (int way = 0; way < kWays; ++way) good = CO_TRY(co_await done.next()) && good;
  if (!good) co_return fail(Errc::Io, "not all Pods could be created");
  co_return ok();
}

Task<Status> wait_ready(kube::Client& api, size_t count) {
  co_return co_await cli::wait_for_pods(api, "", count, 120s, [](const kube::Pod& pod) {
    return pod.status.reason == "SysctlForbidden" || pod.spec.node_name == "elsewhere";
  });
}

Task<Result<size_t>> expected_pods(kube::Client& api) {
  const std::string own = "!pod-template-hash,!controller-revision-hash";
  size_t count = CO_TRY(co_await api.list<kube::Pod>({.label_selector = own})).items.size();
  for (const auto& set : CO_TRY(co_await api.list<kube::StatefulSet>()).items)
    count += static_cast<size_t>(set.spec.replicas.value_or(1));
  for (const auto& deployment : CO_TRY(co_await api.list<kube::Deployment>()).items)
    count += static_cast<size_t>(deployment.spec.replicas.value_or(1));
  co_return count;
}

// VmRSS of the biggest agent, MB.
Result<double> agent_rss() {
  double most = 0;
  for (const auto& node : TRY(lab::observe(kLab)).nodes) {
    const auto text = TRY(read_file(fmt::format("/proc/{}/status", node.agent)));
    const size_t at = text.find("VmRSS:");
    if (at != std::string::npos) most = std::max(most, std::atof(text.c_str() + at + 6) / 1024);
  }
  return most;
}

struct Run {
  double up = 0, demo = 0, pods_per_second = 0, idle = 0, loaded = 0;
};

// The kernel takes a lab's namespaces apart after `down` has returned, and whoever makes one meanwhile waits for it:
// that is the cost of the lab before, so the next one begins when a namespace is made at once again.
void wait_for_quiet_kernel() {
  for (int i = 0; i < 100; ++i) {
    const auto start = Clock::now();
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(::unshare(CLONE_NEWNET) == 0 ? 0 : 1);
    ::waitpid(pid, nullptr, 0);
    const bool quiet = seconds_since(start) < 0.01;
    ::usleep(300'000);
    if (quiet) return;
  }
}

Result<Run> one_run(bool with_memory) {
  const std::string examples = std::string(CAUSEWAY_SOURCE) + "/examples";
  (void)lab::down(kLab);
  wait_for_quiet_kernel();
  Run run;
  const auto start = Clock::now();
  TRY(causeway_command({"lab", "up", "--name", kLab}));
  run.up = seconds_since(start);
  auto api = TRY(cli::connect_api(kLab));
  auto manifests = TRY(cli::read_manifests(examples + "/seeds"));
  for (auto& manifest : TRY(cli::read_manifests(examples + "/shop"))) manifests.push_back(std::move(manifest));
  TRY(run_until_done(*api.loop, cli::apply(*api.client, std::move(manifests))));
  const size_t before = TRY(run_until_done(*api.loop, expected_pods(*api.client)));
  TRY(run_until_done(*api.loop, wait_ready(*api.client, before)));
  run.demo = seconds_since(start);
  run.idle = TRY(agent_rss());
  const auto pods_start = Clock::now();
  TRY(run_until_done(*api.loop, create_many(*api.client, "bench-", 100, "")));
  TRY(run_until_done(*api.loop, wait_ready(*api.client, before + 100)));
  run.pods_per_second = 100 / seconds_since(pods_start);
  if (with_memory) {
    TRY(run_until_done(*api.loop, create_many(*api.client, "known-", 900 - static_cast<int>(before), "elsewhere")));
    // The agents read the same watch as this client, and a moment later they have it too.
    TRY(run_until_done(*api.loop, wait_ready(*api.client, 1000)));
    ::sleep(2);
    run.loaded = TRY(agent_rss());
  }
  return run;
}

}  // namespace

int main(int argc, char** argv) {
  int runs = 5;
  for (int i = 1; i + 1 < argc; ++i)
    if (std::strcmp(argv[i], "--runs") == 0) runs = std::atoi(argv[i + 1]);
  bench::Figures figures;
  std::vector<double> up, demo, rate;
  double idle = 0, loaded = 0;
  (void)one_run(false);  // warms the machine's caches
  for (int i = 0; i < runs; ++i) {
    auto run = one_run(i + 1 == runs);
    if (!run) {
      std::fprintf(stderr, "%s\n", run.error().message().c_str());
      continue;
    }
    up.push_back(run->up);
    demo.push_back(run->demo);
    rate.push_back(run->pods_per_second);
    idle = std::max(idle, run->idle);
    loaded = std::max(loaded, run->loaded);
  }
  if (auto ended = lab::down(kLab); !ended) std::fprintf(stderr, "%s\n", ended.error().message().c_str());
  if (demo.empty()) {
    figures.missing("lab up, three nodes, to all demo Pods Ready", "no run succeeded");
  } else {
    figures.value("lab up, three nodes Ready", "s", bench::median(up));
    figures.value("lab up, three nodes, to all demo Pods Ready", "s", bench::median(demo), bench::AtMost{2.0});
    figures.value("100 Pods, created to Ready", "Pods/s", bench::median(rate), bench::AtLeast{50});
    figures.value("agent RSS, demo running", "MB", idle, bench::AtMost{30});
    if (loaded > 0) {
      figures.value("agent RSS, 1,000 Pods known", "MB", loaded, bench::AtMost{50});
    } else {
      figures.missing("agent RSS, 1,000 Pods known", "the last run failed");
    }
  }
  return figures.finish(argc, argv);
}
