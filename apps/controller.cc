#include "apps/controller.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <iterator>

#include "base/file.h"
#include "base/ip.h"
#include "base/log.h"
#include "control/controllers.h"
#include "http/client.h"
#include "http/server.h"
#include "kube/client/config.h"
#include "kube/client/leader.h"
#include "observe/endpoint.h"

namespace causeway::apps {

namespace {

constexpr Duration kRivalRetry = 2s;  // the API server may come up after us
constexpr Duration kStepDown = 2s;    // for giving the Lease back: whoever stops us waits

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof(name) - 1) == 0 ? name : "localhost";
}

// Not the process id: that is 1 in every container, and the Pods of a node share its host name. Two of one identity
// would both lead.
Result<std::string> unique() {
  auto uuid = TRY(read_file("/proc/sys/kernel/random/uuid"));
  while (!uuid.empty() && uuid.back() == '\n') uuid.pop_back();
  return uuid;
}

// What was asked for, checked before anything runs.
struct Plan {
  std::set<control::Controller> enabled;
  std::optional<control::NodeCidrs> node_cidrs;
  kube::Config api;
  kube::LeaderOptions election;

  static Result<Plan> make(const ControllerOptions& options) {
    Plan plan;
    plan.enabled = TRY(control::parse_controllers(options.controllers));
    if (!options.node_ipam.allocate_node_cidrs) plan.enabled.erase(control::Controller::NodeIpam);
    if (plan.enabled.contains(control::Controller::NodeIpam))
      plan.node_cidrs = TRY(control::NodeCidrs::make(options.node_ipam));
    if (plan.enabled.empty())
      return fail(Errc::Invalid, "nothing to do: node-ipam-controller needs --allocate-node-cidrs and --cluster-cidr");
    const auto slash = options.lease.find('/');
    if (slash == std::string::npos || slash == 0 || slash + 1 == options.lease.size())
      return fail(Errc::Invalid, "--leader-elect-lease {}: needs NAMESPACE/NAME", options.lease);
    plan.election = {.lease = {options.lease.substr(0, slash), options.lease.substr(slash + 1)},
                     .identity = host_name() + "_" + TRY(unique())};
    plan.api = TRY(kube::find_config(options.kubeconfig), "how to reach the API server");
    return plan;
  }
};

// The process, top to bottom: what is below uses what is above.
class Program {
 public:
  Program(Loop& loop, ControllerOptions options, Plan plan)
      : loop_(loop),
        options_(std::move(options)),
        plan_(std::move(plan)),
        http_(loop, kube::client_options(plan_.api, loop)),
        api_(loop, http_),
        public_(observe::Endpoint::Audience::Public) {
    public_.add(observe::Check{"controllers", [this] {
                                 return controllers_ ? controllers_->waiting_for()
                                                     : std::string("not leading, or the API server is away");
                               }});
    public_.add(observe::Collector([this] { return metrics(); }));
  }

  // What the controllers know, into the log (SIGUSR1).
  void say_state() const {
    log::info("state:\n{}",
              controllers_ ? controllers_->page() : std::string("not leading, or the API server is away\n"));
  }

  // After run() was cancelled. Another controller need not wait for the Lease to run out; without an API server that
  // answers it has to.
  Task<Status> step_down() {
    if (!options_.leader_elect) co_return ok();
    auto late = loop_.call_after(kStepDown, [this] { loop_.stop(); });
    co_return co_await kube::release(api_, plan_.election);
  }

  Task<Status> run() {
    listen();
    CO_TRY(co_await refuse_rival());
    if (!options_.leader_elect) co_return co_await work();
    for (;;) {
      auto ended = co_await kube::lead(api_, plan_.election, [this] { return work(); });
      if (ended || ended.error().code() != Errc::Unavailable) co_return ended;
      log::warning("{}", ended.error().message());  // lost the Lease: wait for it again
    }
  }

 private:
  // Until cancelled. A new set of controllers each time that leadership is won: nothing is remembered but the cluster.
  Task<Status> work() {
    controllers_.emplace(
        loop_, api_,
        control::ControllersOptions{
            .enabled = plan_.enabled,
            .node_cidrs = plan_.node_cidrs,
            .host = host_name(),
            .reservations = {.after_deletion = std::min<Duration>(30s, std::chrono::seconds(options_.address_grace)),
                             .after_scaling = std::chrono::seconds(options_.address_grace)}});
    struct Drop {
      std::optional<control::Controllers>& controllers;
      ~Drop() { controllers.reset(); }
    } drop{controllers_};
    controllers_->start();
    log::info("running: {}", names());
    CO_TRY(co_await OneShot<bool>(loop_).get());
    co_return ok();
  }

  // Two schedulers or two garbage collectors of one cluster undo each other's work: refused.
  Task<Status> refuse_rival() {
    for (std::string said;;) {
      auto rival = co_await control::find_rival(api_, plan_.enabled);
      if (rival && rival->empty()) co_return ok();
      if (rival) co_return fail(Errc::AlreadyExists, "{}", *rival);
      if (rival.error().code() != Errc::Unavailable && rival.error().code() != Errc::Timeout)
        co_return fail(std::move(rival.error()));
      if (said != rival.error().message()) log::warning("waiting for the API server: {}", rival.error().message());
      said = rival.error().message();
      CO_TRY(co_await loop_.sleep(kRivalRetry));
    }
  }

  // Being looked at is no reason to fail: a second controller of this machine may hold the port.
  void listen() {
    if (options_.observe.empty()) return;
    const auto colon = options_.observe.rfind(':');
    std::string address = options_.observe.substr(0, colon);
    if (address.starts_with('[') && address.ends_with(']')) address = address.substr(1, address.size() - 2);
    const unsigned long port =
        colon == std::string::npos ? 0 : std::strtoul(options_.observe.c_str() + colon + 1, nullptr, 10);
    auto server = http::Server::listen(loop_, {.address = address, .port = static_cast<uint16_t>(port)}, public_);
    if (server)
      server_ = std::move(*server);
    else
      log::warning("--observe {}: {}", options_.observe, server.error().message());
  }

  std::string names() const {
    std::string list;
    for (auto controller : plan_.enabled) list += fmt::format("{}{}", list.empty() ? "" : ", ", to_string(controller));
    return list;
  }

  std::vector<observe::Metric> metrics() const {
    // Names and labels of kube-controller-manager; "cirdset" is spelt so there and hence part of the interface.
    observe::Metric used{.name = "node_ipam_controller_cidrset_usage_cidrs",
                         .help = "Share of the Pod CIDRs that nodes have"};
    observe::Metric most{.name = "node_ipam_controller_cirdset_max_cidrs",
                         .help = "Number of Pod CIDRs that nodes can get"};
    if (const auto* cidrs = controllers_ ? controllers_->node_cidrs() : nullptr)
      for (const auto& set : cidrs->sets()) {
        const std::map<std::string, std::string> labels{{"clusterCIDR", to_string(set.cluster())}};
        used.samples.push_back({labels, static_cast<double>(set.used()) / static_cast<double>(set.capacity())});
        most.samples.push_back({labels, static_cast<double>(set.capacity())});
      }
    observe::Metric changes{.name = "endpoint_slice_controller_changes",
                            .help = "Number of EndpointSlice changes",
                            .kind = observe::MetricKind::Counter};
    observe::Metric slices{.name = "endpoint_slice_controller_num_endpoint_slices", .help = "Number of EndpointSlices"};
    if (const auto* counts = controllers_ ? controllers_->slice_counts() : nullptr) {
      for (const auto& [operation, count] :
           {std::pair("create", counts->created), {"update", counts->updated}, {"delete", counts->removed}})
        changes.samples.push_back({{{"operation", operation}}, static_cast<double>(count)});
      slices.samples.push_back({{}, static_cast<double>(controllers_->slices())});
    }
    std::vector<observe::Metric> all{used, most, changes, slices};
    if (controllers_) std::ranges::move(controllers_->slice_metrics(), std::back_inserter(all));
    return all;
  }

  Loop& loop_;
  const ControllerOptions options_;
  const Plan plan_;
  http::Client http_;
  kube::Client api_;
  std::optional<control::Controllers> controllers_;
  observe::Endpoint public_;
  std::unique_ptr<http::Server> server_;
};

}  // namespace

int run_controller(ControllerOptions options) {
  log::set_name("controller");
  if (options.verbose) log::set_level(log::Level::Debug);
  std::signal(SIGPIPE, SIG_IGN);
  auto loop = make_loop();
  auto run = [&]() -> Status {
    Plan plan = TRY(Plan::make(options));
    Program program(*loop, std::move(options), std::move(plan));
    loop->on_signal({SIGTERM, SIGINT, SIGUSR1},
                    [&](int signal) { signal == SIGUSR1 ? program.say_state() : loop->stop(); });
    auto ended = run_until_done(*loop, program.run());
    if (ended || ended.error().code() != Errc::Cancelled) return ended;
    // A signal; a second one ends us at once.
    if (auto released = run_until_done(*loop, program.step_down()); !released)
      log::warning("{}; another controller waits until it runs out", released.error().message());
    return ok();
  };
  auto status = run();
  if (status) return 0;
  log::error("cannot run: {}", status.error().message());
  return 1;
}

}  // namespace causeway::apps
