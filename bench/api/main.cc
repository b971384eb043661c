// The embedded API server's figures: durable writes, delivery to watchers, a big list. The server is a process of its
// own with its store on the disk of the working directory; the clients are here.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "apps/apiserver.h"
#include "async/scope.h"
#include "base/fd.h"
#include "figures.h"
#include "kube/client/config.h"
#include "load.h"

namespace causeway::bench {

namespace {

constexpr int kPods = 10'000;
constexpr int kRounds = 5;
constexpr int kWriters = 128;
constexpr int kWatchers = 100;
constexpr int kWatchedWrites = 200;

// The server's process and its directory; both end with it.
class ServerProcess {
 public:
  Status start(const char* program) {
    char directory[] = "bench-api-XXXXXX";
    if (!::mkdtemp(directory)) return fail_errno(errno, "make a directory for the server");
    directory_ = std::filesystem::absolute(directory);
    pid_ = ::fork();
    if (pid_ < 0) return fail_errno(errno, "start the server");
    if (pid_ == 0) {
      ::execl(program, program, "serve", directory_.c_str(), nullptr);
      ::_exit(127);
    }
    return ok();
  }
  ~ServerProcess() {
    if (pid_ > 0) {
      ::kill(pid_, SIGTERM);
      ::waitpid(pid_, nullptr, 0);
    }
    std::error_code ignored;
    if (!directory_.empty()) std::filesystem::remove_all(directory_, ignored);
  }
  std::string kubeconfig() const { return directory_ + "/admin.kubeconfig"; }

 private:
  std::string directory_;
  pid_t pid_ = -1;
};

double percentile(std::vector<double> samples, double part) {
  std::sort(samples.begin(), samples.end());
  return samples[std::min(samples.size() - 1, static_cast<size_t>(static_cast<double>(samples.size()) * part))];
}

// What the disk alone costs: durable writes share it, none is faster.
Result<double> disk_sync() {
  Fd file(::open(".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
  if (!file) return fail_errno(errno, "make a file to sync");
  const std::string block(40'000, 'x');
  std::vector<double> times;
  for (int i = 0; i < 100; ++i) {
    const auto start = std::chrono::steady_clock::now();
    if (::write(file.get(), block.data(), block.size()) < 0 || ::fdatasync(file.get()) != 0)
      return fail_errno(errno, "sync a file");
    times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  return median(std::move(times));
}

Task<Status> measure(Loop& loop, ServerProcess& server, Figures& figures) {
  for (int i = 0; ::access(server.kubeconfig().c_str(), R_OK) != 0; ++i) {
    if (i == 1000) co_return fail(Errc::Timeout, "the server was not ready in 10 s");
    CO_TRY(co_await loop.sleep(10ms));
  }
  const auto config = CO_TRY(kube::load_kubeconfig(server.kubeconfig()));
  const http::ClientOptions options = kube::client_options(config, loop);
  http::Client api(loop, options);

  Clients clients = make_clients(loop, options, kWriters);
  CO_TRY(co_await create_pods(loop, clients, kPods, kWriters, kWriters));  // connects
  std::vector<double> rates;
  for (int round = 0; round < kRounds; ++round)
    rates.push_back(CO_TRY(co_await create_pods(loop, clients, round * kPods / kRounds, kPods / kRounds, kWriters)));
  figures.value("durable writes (Pods, 128 clients)", "1/s", median(rates), AtLeast{2000});

  std::vector<double> lists;
  for (int i = 0; i < 9; ++i) lists.push_back(CO_TRY(co_await list_pods(loop, api, kPods + kWriters)));
  figures.value("list of 10,000 Pods", "ms", median(lists), AtMost{150});

  const auto delays = CO_TRY(co_await watch_delays(loop, options, kWatchers, kWatchedWrites, 20ms));
  figures.value("write and delivery to 100 watchers, p99", "ms", percentile(delays, 0.99), AtMost{10});
  figures.value("write and delivery to 100 watchers, median", "ms", percentile(delays, 0.5));
  figures.value("one sync of 40 kB to this disk, median", "ms", CO_TRY(disk_sync()));
  co_return ok();
}

}  // namespace

}  // namespace causeway::bench

int main(int argc, char** argv) {
  using namespace causeway;
  if (argc == 3 && std::string_view(argv[1]) == "serve")
    return apps::run_apiserver({.data = argv[2], .listen = {"127.0.0.1:0"}});
  bench::Figures figures;
  bench::ServerProcess server;
  auto loop = make_loop();
  Status done = server.start("/proc/self/exe");
  if (done) done = run_until_done(*loop, bench::measure(*loop, server, figures));
  if (!done) {
    fmt::print(stderr, "bench_api: {}\n", done.error().message());
    return 1;
  }
  return figures.finish(argc, argv);
}
