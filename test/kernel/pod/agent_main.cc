// pod_test_agent RUN SEED KILL_AT CIDR...: the CNI server of a node under RUN/agent.sock, nothing else. Dies by SIGKILL
// at step KILL_AT (0: never). Prints "listening" when it does.
#include <fcntl.h>
#include <signal.h>

#include <cstdio>
#include <cstdlib>

#include "base/log.h"
#include "faulty.h"
#include "pod/listener.h"

using namespace causeway;
using namespace causeway::pod;

namespace {

Task<Status> serve(Loop& loop, CniServer& server, std::string run, NodeNetwork network,
                   std::unique_ptr<Listener>& listener) {
  CO_TRY(co_await server.start());
  server.set_network(std::move(network));
  listener = CO_TRY(listen(loop, server, run + "/agent.sock"));
  std::puts("listening");
  std::fflush(stdout);
  co_return ok();
}

Status run_agent(char** arguments) {
  const std::string run = arguments[0];
  test::Steps steps{.until = std::atoi(arguments[2]), .kill = true};
  NodeNetwork network{.mtu = 1450};
  for (char** cidr = arguments + 3; *cidr; ++cidr) network.pod_cidrs.push_back(TRY(Cidr::parse(*cidr)));
  auto loop = make_loop();
  WorkerPool workers(*loop, 2);
  test::FaultyStorage storage(TRY(open_file_storage(run + "/ipam/journal")), steps);
  auto wiring = kernel_wiring(std::make_unique<test::FaultyDoors>(steps));
  test::RoutePlane plane(steps, TRY(netlink::open_rtnetlink()));
  auto options = TRY(this_boot());
  options.seed = std::strtoull(arguments[1], nullptr, 10);
  CniServer server(*loop, workers, storage, *wiring, plane,
                   {.ipam = options, .spool = run + "/spool", .collect_every = 200ms});
  std::unique_ptr<Listener> listener;
  Scope scope(*loop);
  Status failed;
  loop->on_signal({SIGTERM}, [&](int) { loop->stop(); });
  TRY(run_until_done(*loop, serve(*loop, server, run, std::move(network), listener)));
  loop->run();
  return ok();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  log::set_name("test-agent");
  if (auto done = run_agent(argv + 1); !done) {
    log::error("{}", done.error().message());
    return 1;
  }
}
