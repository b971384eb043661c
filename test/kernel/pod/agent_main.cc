// pod_test_agent RUN SEED KILL_AT CIDR...: the CNI server of a node under RUN/agent.sock, nothing else. Dies by SIGKILL
// at step KILL_AT (0: never). Prints "listening" when it does. With TEST_HOST_PORTS in the environment it has the host
// ports of the netfilter plane too; RUN/hostport.writes tells how many transactions they took.
#include <fcntl.h>
#include <signal.h>

#include <cstdio>
#include <cstdlib>

#include "base/file.h"
#include "base/log.h"
#include "faulty.h"
#include "kernel/conntrack/conntrack.h"
#include "pod/hostport/apply_nft.h"
#include "pod/listener.h"

using namespace causeway;
using namespace causeway::pod;

namespace {

// Routes and, behind them, host ports by the real feed and applier.
class HostPortPlane final : public Plane {
 public:
  static Result<std::unique_ptr<HostPortPlane>> open(Loop& loop, Plane& routes, std::string run) {
    auto plane = std::make_unique<HostPortPlane>(loop, routes, std::move(run));
    plane->nft_ = TRY(nftables::open_nftables());
    plane->watch_ = TRY(nftables::open_watch(loop, plane->nft_->port()));
    plane->conntrack_ = TRY(conntrack::open_conntrack());
    plane->applier_.emplace(*plane->nft_, *plane->conntrack_);
    cluster::NodeFacts facts{.name = "n1"};
    auto net = TRY(netlink::open_rtnetlink());
    for (const auto& address : TRY(net->addresses()))
      if (!address.ip.is_loopback() && !address.ip.is_link_local()) {
        facts.addresses.push_back(address.ip);
        facts.uplink.addresses.push_back({address.ip, address.prefix});
      }
    plane->model_.set_facts(std::move(facts));
    plane->feed_.add(*plane->applier_);
    plane->feed_.start();
    plane->scope_.spawn("watch", plane->repair());
    return plane;
  }
  HostPortPlane(Loop& loop, Plane& routes, std::string run)
      : routes_(routes), run_(std::move(run)), feed_(loop, model_), ports_(plane_of(feed_)), scope_(loop) {}

  void restore(std::vector<cluster::Attachment> attachments) override {
    routes_.restore(attachments);
    ports_->restore(std::move(attachments));
  }
  Task<Status> attach(cluster::Attachment attachment) override {
    CO_TRY(co_await routes_.attach(attachment));
    auto done = co_await ports_->attach(attachment);
    if (!done) CO_TRY(co_await routes_.detach(attachment.key));
    tell();
    co_return done;
  }
  Task<Status> detach(cluster::AttachmentKey key) override {
    CO_TRY(co_await ports_->detach(key));
    tell();
    co_return co_await routes_.detach(key);
  }
  Status check(const cluster::AttachmentKey& key) const override {
    TRY(ports_->check(key));
    return routes_.check(key);
  }

 private:
  Task<Status> repair() {
    for (;;) {
      CO_TRY(co_await watch_->changed());
      feed_.audit();
    }
  }
  void tell() { (void)replace_file(run_ + "/hostport.writes", std::to_string(applier_->writes())); }

  Plane& routes_;
  std::string run_;
  std::unique_ptr<nftables::Nftables> nft_;
  std::unique_ptr<nftables::Watch> watch_;
  std::unique_ptr<conntrack::Conntrack> conntrack_;
  std::optional<hostport::Applier> applier_;
  cluster::Model model_;
  cluster::Feed feed_;
  std::unique_ptr<Plane> ports_;
  Scope scope_;
};

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
  test::RoutePlane routes(steps, TRY(netlink::open_rtnetlink()));
  std::unique_ptr<HostPortPlane> host_ports;
  if (std::getenv("TEST_HOST_PORTS")) host_ports = TRY(HostPortPlane::open(*loop, routes, run));
  Plane& plane = host_ports ? static_cast<Plane&>(*host_ports) : routes;
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
