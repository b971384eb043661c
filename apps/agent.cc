#include "apps/agent.h"

#include <fcntl.h>
#include <malloc.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "apps/agent_names.h"
#include "apps/agent_pages.h"
#include "apps/cluster_dns.h"
#include "apps/flow_ring.h"
#include "apps/load.h"
#include "apps/plane.h"
#include "apps/policy_pages.h"
#include "apps/program.h"
#include "apps/proxy.h"
#include "apps/service_pages.h"
#include "base/fd.h"
#include "base/log.h"
#include "cluster/feed/snapshot_writer.h"
#include "fabric/compile.h"
#include "fabric/facts.h"
#include "fabric/sysctls.h"
#include "http/server.h"
#include "kube/client/config.h"
#include "pod/announcer.h"
#include "pod/listener.h"
#include "pod/server.h"
#include "policy/reporter.h"
#include "service/reporter.h"

namespace causeway::apps {

namespace {

constexpr Duration kAuditEvery = 60s;  // somebody else may change routes, maps and hooks
constexpr Duration kSettle = 200ms;    // links change in bursts
constexpr Duration kLookAgain = 5s;    // while something is missing
constexpr Duration kTrimAfter = 2s;
constexpr Duration kTrimEvery = 5s;
constexpr uint64_t kTrimWrites = 5000;  // rows of Services
constexpr Duration kPodPatience = 3s;   // for what an ADD asks the API server
constexpr size_t kWorkers = 2;          // blocking calls of the Pods' wiring

// One agent for each node: the lock goes with the process, however it ends.
Result<Fd> lock_run_folder(const std::string& run) {
  std::error_code error;
  std::filesystem::create_directories(run, error);
  if (error) return fail(Errc::Io, "make {}: {}", run, error.message());
  const std::string path = run + "/agent.lock";
  Fd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock) return fail_errno(errno, "open " + path);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
    return fail(Errc::AlreadyExists, "another agent of this node is running: it holds {}", path);
  return lock;
}

Result<std::string> host_name() {
  char name[256] = {};
  if (::gethostname(name, sizeof(name) - 1) != 0) return fail_errno(errno, "gethostname");
  return std::string(name);
}

pod::CniPlaces cni_places(const AgentOptions& options) {
  return {.plugin = options.plugin,
          .bin_folder = options.cni_bin,
          .config_folder = options.cni_config,
          .socket = options.run + "/agent.sock",
          .announced = options.run + "/announced"};
}

// What must be there before anything runs; each that is missing is refused in one sentence.
struct Ground {
  Fd lock;
  std::unique_ptr<netlink::Rtnetlink> net;
  std::unique_ptr<netlink::Watch> links;
  std::unique_ptr<NodePlane> plane;
  std::unique_ptr<pod::Storage> journal;
  pod::ServerOptions cni;
  kube::Config api;

  // Adds to the options where the API server is.
  static Result<Ground> open(Loop& loop, AgentOptions& options) {
    if (::geteuid() != 0)
      return fail(Errc::Denied, "it must run as root: it loads programs into the kernel and sets its routes");
    Ground ground;
    ground.api = TRY(kube::find_config(options.kubeconfig), "how to reach the API server");
    if (const auto ip = kube::server_address(ground.api)) options.api_servers = {*ip};
    ground.lock = TRY(lock_run_folder(options.run));
    ground.net = TRY(netlink::open_rtnetlink());
    // Not for each Pod that comes and goes: on a full node a look at all devices costs more than the Pod.
    ground.links = TRY(netlink::open_watch(loop, {netlink::Watched::Links, netlink::Watched::Addresses},
                                           {netlink::kPodGroup, pod::kReapGroup}));
    ground.plane = TRY(open_plane({loop, options, *ground.net}), "plane {}", options.plane);
    if (options.cluster_dns.empty()) TRY(dns::remove_local_addresses(*ground.net), "addresses of cluster DNS");
    ground.journal = TRY(pod::open_file_storage(options.run + "/ipam/journal"), "address journal");
    ground.cni = {.ipam = TRY(pod::this_boot()),
                  .spool = options.run + "/spool",
                  .no_host_ports = ground.plane->why_no_host_ports(),
                  .no_foreign_host_ports = ground.plane->why_no_foreign_host_ports()};
    return ground;
  }
};

// The agent, top to bottom: what is below uses what is above.
class Agent {
 public:
  Agent(Loop& loop, AgentOptions options, Ground ground)
      : loop_(loop),
        options_(std::move(options)),
        ground_(std::move(ground)),
        http_(loop, kube::client_options(ground_.api, loop)),
        api_(loop, http_),
        quick_api_(loop, http_, {.retries = 1, .timeout = kPodPatience}),
        feed_(loop, model_),
        snapshot_(options_.run + "/nodes"),
        watches_(api_, feed_, watches_of(options_, ground_.plane->policy() != nullptr)),
        workers_(loop, kWorkers),
        wiring_(pod::kernel_wiring()),
        plane_(pod::plane_of(feed_)),
        pods_(pod::pod_source(watches_, model_, quick_api_)),
        reservations_(pod::api_reservations(feed_, quick_api_, options_.node)),
        networks_(pod::network_source(quick_api_)),
        cni_(loop, workers_, *ground_.journal, *wiring_, *plane_, cni_options()),
        events_(api_, "causeway-agent", options_.node),
        announcer_(loop, workers_, api_, events_, options_.node, cni_places(options_)),
        public_(observe::Endpoint::Audience::Public),
        private_(observe::Endpoint::Audience::All),
        scope_(loop) {
    service::Applier* services = ground_.plane->service();
    if (services)
      face_ = make_proxy_face(loop_, *services, model_, events_, options_, [this] { return proxy_metrics(); });
    for (cluster::Consumer* consumer : ground_.plane->consumers())
      feed_.add(consumer == services && face_ ? face_->consumer() : *consumer);
    keep_flows();
    if (services) reporter_.emplace(api_, events_, model_, services->desired());
    if (policy::Applier* policies = ground_.plane->policy())
      policy_reporter_.emplace(api_, events_, model_, policies->desired());
    feed_.add(snapshot_);
    if (dns::LocalDoor* door = ground_.plane->dns())
      dns_.emplace(loop_, model_, *ground_.net, *door, dns_addresses(options_));
    const AgentParts parts{model_, feed_, watches_, ground_.plane->fabric(), options_.plane, cni_};
    for (observe::Endpoint* endpoint : {&public_, &private_}) {
      describe(*endpoint, parts);
      ground_.plane->describe(*endpoint);
      if (face_) {
        endpoint->add_page("/proxy", [this] { return face_->render(); });
        endpoint->add(observe::Check{"proxy-servers", [this] { return face_->trouble(); }});
      }
      if (services) describe_services(*endpoint, *services, model_, options_.plane, dns_ ? &*dns_ : nullptr);
      if (policy::Applier* policies = ground_.plane->policy()) describe_policies(*endpoint, *policies, model_);
      if (flows_)
        flows_->describe(*endpoint);
      else if (ground_.plane->policy())
        endpoint->add_page("/flows", [](const observe::Endpoint::Query&) { return no_flows(); });
      endpoint->add_page("/dns", [this] { return render(names_.get()) + (dns_ ? dns_->render() : ""); });
      if (dns_) endpoint->add(observe::Check{"cluster-dns", [this] { return dns_->trouble(); }});
      endpoint->add(observe::Check{"node", [this] { return waiting_for_; }});
      endpoint->add(observe::Check{"cni-configuration", [this] { return announcer_.trouble(); }});
      endpoint->add(observe::Check{"node-condition", [this] { return announcer_.condition_trouble(); }});
    }
  }

  Task<Status> run() {
    CO_TRY(tell_names(loop_, model_, options_, feed_, names_, [this] {
      if (dns_) dns_->heard();
    }));
    CO_TRY(listen_observers());
    if (face_) face_->start();
    if (face_ && options_.proxy_bind_hard && !face_->trouble().empty())
      co_return fail(Errc::Io, "bindAddressHardFail: {}", face_->trouble());
    CO_TRY(announcer_.start());
    if (auto known = cluster::load_snapshot(options_.run + "/nodes")) {
      for (const cluster::Node& node : known->nodes) model_.put(node);
      if (!known->nodes.empty()) log::info("resumed with {} Nodes of the snapshot", known->nodes.size());
      reservations_known_ = known->reservations.has_value();
      if (known->reservations)
        for (const cluster::Reservation& reservation : *known->reservations) model_.put(reservation);
    } else {
      log::warning("{}", known.error().message());
    }
    watches_.start();
    CO_TRY(co_await know_this_node());
    feed_.start();
    CO_TRY(co_await cni_.start(), "CNI server");
    listener_ = CO_TRY(pod::listen(loop_, cni_, options_.run + "/agent.sock"));
    scope_.spawn("links", follow_links());
    scope_.spawn("audit", audit());
    scope_.spawn("trim", trim());
    if (reporter_) scope_.spawn("report Services", reporter_->run());
    if (policy_reporter_) scope_.spawn("report policies", policy_reporter_->run());
    ground_.plane->start(scope_, feed_);
    if (flows_) scope_.spawn("flow log", flows_->run());
    if (dns_) scope_.spawn("cluster DNS", dns_->run(*names_));
    if (const service::Applier* services = ground_.plane->service()) {
      load_.emplace(loop_, load_doors(api_, options_.node, *services));
      scope_.spawn("load", load_->run());
    }
    co_return co_await follow_node();
  }

 private:
  static Result<std::string> no_flows() {
    return fail(Errc::Unavailable, "this agent keeps no flows, as their folder could not be made: its log says why");
  }
  // Without a log the network works on.
  void keep_flows() {
    policy::FlowSource* source = ground_.plane->flows();
    if (!source) return;
    auto log = observe::FlowLog::open(options_.run + "/flows",
                                      {.age = options_.flow_age, .bytes = uint64_t{options_.flow_mebibytes} << 20});
    if (log)
      flows_.emplace(loop_, options_.node, *source, *ground_.plane->policy(), std::move(*log));
    else
      log::warning("no flows are kept: {}", log.error().message());
  }
  pod::ServerOptions cni_options() {
    pod::ServerOptions options = ground_.cni;
    options.ipam.why_not = [this](const Ip& ip) {
      const std::string why = cluster::why_no_pods_address(ip, model_, fixed_ranges(options_));
      return why.empty() ? cluster::service_address(ip, model_) : why;
    };
    options.networks = networks_.get();
    const auto overlapped = [this](bool on_link) {
      return [this, on_link](const Cidr& prefix) {
        return cluster::overlapped(prefix, on_link, model_, fixed_ranges(options_));
      };
    };
    options.space = {.by_route = overlapped(false), .by_subnet = overlapped(true)};
    options.other_network = [this] { return announcer_.other_configuration(); };
    options.pods = pods_.get();
    options.pods_by_labels = ground_.plane->policy() != nullptr;
    options.reservations = reservations_.get();
    options.tell = [this](const pod::Record& wish, std::string reason, std::string message) {
      if (wish.pod.name.empty()) return;  // a container without a Pod: its runtime has the error
      kube::ObjectReference about;
      about.kind = "Pod";
      about.api_version = "v1";
      about.ns = wish.pod.ns;
      about.name = wish.pod.name;
      about.uid = wish.pod_uid;
      events_.record(std::move(about), kube::EventType::Warning, std::move(reason), std::move(message));
    };
    return options;
  }
  // Says what is waited for when it changes, to /readyz, and to those who send Pods here.
  void wait_for(std::string what) {
    const cluster::Node* self = model_.self();
    announcer_.tell(what, self ? self->created : 0);
    if (what == waiting_for_) return;
    waiting_for_ = std::move(what);
    if (!waiting_for_.empty()) log::info("waiting: {}", waiting_for_);
  }
  // Until the model changes, or for kLookAgain.
  Task<Status> model_touched() {
    auto again = loop_.call_after(kLookAgain, [this] { feed_.touch(); });
    CO_TRY(co_await feed_.touched());
    co_return ok();
  }

  Result<cluster::NodeFacts> read_facts() {
    fabric::UplinkChoice choice{.device = options_.uplink};
    if (const cluster::Node* self = model_.self()) choice.addresses = self->addresses;
    return fabric::observe_facts(*ground_.net, options_.node, choice);
  }

  // The Node object, from the snapshot or the API, and the device that leads to the others.
  Task<Status> know_this_node() {
    cluster::NodeFacts name_only{.name = options_.node};
    model_.set_facts(name_only);
    for (;;) {
      if (!model_.self()) {
        const std::string trouble = watches_.trouble();
        wait_for(
            fmt::format("the API server has no Node {} yet{}{}", options_.node, trouble.empty() ? "" : ": ", trouble));
      } else if (auto facts = read_facts()) {
        log::info("node {}: uplink {} mtu {}", options_.node, facts->uplink.name, facts->uplink.mtu);
        model_.set_facts(std::move(*facts));
        co_return ok();
      } else {
        wait_for(facts.error().message());
      }
      CO_TRY(co_await model_touched());
    }
  }

  // What CNI was told last.
  struct PodNetwork {
    std::string uplink;
    std::vector<Cidr> cidrs;
    uint32_t mtu = 0;
    std::string missing;
    bool operator==(const PodNetwork&) const = default;
  };

  // Gives the Node's Pod CIDRs to CNI as they come and change, and says whether Pods can use them.
  Task<Status> follow_node() {
    for (;; CO_TRY(co_await model_touched())) {
      if (watches_.reservations_known() && !model_.synced(cluster::Source::Reservations)) {
        // A server without the kind has none: what would be deleted only once they are known may go.
        model_.set_synced(cluster::Source::Reservations);
        feed_.touch();
      }
      reservations_known_ = reservations_known_ || watches_.reservations_known();
      std::string missing = why_no_pods();
      PodNetwork now{.uplink = model_.facts().uplink.name};
      if (missing.empty()) {
        now.cidrs = model_.self()->pod_cidrs;
        now.mtu = fabric::pod_mtu(model_.facts(), *model_.self(), fabric_options(options_));
        if (now != network_)
          if (auto set = fabric::set_sysctls(now.uplink, fabric::families_of(now.cidrs)); !set)
            missing = set.error().message();
      }
      now.missing = missing;
      if (now != network_) {
        cni_.set_network(
            {.pod_cidrs = now.cidrs, .mtu = now.mtu, .not_ready = now.missing, .all_suffer = data_path_fails()});
        network_ = now.missing.empty() ? std::move(now) : PodNetwork{};
      }
      wait_for(missing);
    }
  }

  std::string why_no_pods() const {
    const cluster::Node* self = model_.self();
    if (!self) return fmt::format("the API server has no Node {} any more", options_.node);
    if (std::string refused = watches_.refused(); !refused.empty())
      return refused + "; the ClusterRole in deploy/causeway.yaml has what an agent needs";
    if (!reservations_known_)
      return "the API server has not told the reserved addresses yet" +
             (watches_.trouble().empty() ? "" : ": " + watches_.trouble());
    if (std::string refused = fabric::refusal(*self, model_); !refused.empty()) return refused;
    if (self->pod_cidrs.empty())
      return fmt::format(
          "Node {} has no spec.podCIDRs yet: node IPAM gives them (causeway controller, or "
          "kube-controller-manager --allocate-node-cidrs)",
          options_.node);
    if (!feed_.applied_once()) return "the first tables are being applied";
    for (const auto& consumer : feed_.consumers()) {
      if (!consumer.error.empty()) return consumer.name + ": " + consumer.error;
      for (const cluster::Failure& failure : consumer.failures)
        if (failure.object == "self") return consumer.name + ": " + failure.error.message();
    }
    return ground_.plane->why_no_pods();
  }

  // What exists may suffer with what is new: tables that the kernel does not take, an uplink that is down.
  bool data_path_fails() const {
    for (const auto& consumer : feed_.consumers())
      if (!consumer.error.empty()) return true;
    return model_.facts().uplink.ifindex != IfIndex{} && !model_.facts().uplink.up;
  }

  Task<Status> follow_links() {
    for (;;) {
      CO_TRY(co_await ground_.links->changed(), "watch links");
      CO_TRY(co_await loop_.sleep(kSettle));
      if (!ground_.plane->devices_intact()) {
        log::warning("somebody else changed devices of ours; they are brought back");
        feed_.audit();
      }
      if (auto facts = read_facts()) {
        if (*facts == model_.facts()) continue;
        log::info("uplink {} changed: index {} mtu {} {}", facts->uplink.name, facts->uplink.ifindex, facts->uplink.mtu,
                  facts->uplink.up ? "up" : "down");
        model_.set_facts(std::move(*facts));
        feed_.touch();
      } else {
        log::warning("keeping what is known of the uplink: {}", facts.error().message());
      }
    }
  }

  Task<Status> audit() {
    for (;;) {
      CO_TRY(co_await loop_.sleep(kAuditEvery));
      feed_.audit();
    }
  }

  // The first lists and tables, and every change of many Services, took far more memory than what is kept of them: it
  // goes back to the node.
  Task<Status> trim() {
    const auto synced = [&] {
      return feed_.applied_once() &&
             std::ranges::all_of(watches_.states(), [](const auto& one) { return !one.needed || one.health.synced; });
    };
    do CO_TRY(co_await loop_.sleep(kTrimAfter));
    while (!synced());
    const service::Applier* services = ground_.plane->service();
    for (uint64_t written = 0;; CO_TRY(co_await loop_.sleep(kTrimEvery))) {
      const uint64_t now = services ? services->writes() : 0;
      if (written && now - written < kTrimWrites) continue;
      written = std::max<uint64_t>(now, 1);
      ::malloc_trim(0);
    }
  }

  // What kube-proxy's own server shows: its metrics, and the process's.
  std::string proxy_metrics() const {
    return observe::render_metrics({[this] { return face_->metrics(); }, observe::process_metrics});
  }

  Status listen_observers() {
    if (!options_.observe.empty()) {
      const auto colon = options_.observe.rfind(':');
      if (colon == std::string::npos) return fail(Errc::Invalid, "--observe {}: needs ADDRESS:PORT", options_.observe);
      std::string address = options_.observe.substr(0, colon);
      if (address.starts_with('[') && address.ends_with(']')) address = address.substr(1, address.size() - 2);
      const unsigned long port = std::strtoul(options_.observe.c_str() + colon + 1, nullptr, 10);
      if (port == 0 || port > UINT16_MAX) return fail(Errc::Invalid, "--observe {}: no port", options_.observe);
      public_server_ =
          TRY(http::Server::listen(loop_, {.address = address, .port = static_cast<uint16_t>(port)}, public_),
              "--observe {}", options_.observe);
    }
    // Only root may connect: the pages name Pods and addresses.
    const mode_t before = ::umask(0177);
    auto server = http::Server::listen(loop_, {.address = "unix:" + options_.run + "/observe.sock"}, private_);
    ::umask(before);
    private_server_ = TRY(std::move(server));
    return ok();
  }

  Loop& loop_;
  const AgentOptions options_;
  Ground ground_;
  http::Client http_;
  kube::Client api_;
  kube::Client quick_api_;  // for an ADD, which a runtime waits for
  cluster::Model model_;
  std::unique_ptr<service::proxy::Face> face_;  // nullptr: no Services. Outlives the feed, which applies through it
  cluster::Feed feed_;
  cluster::SnapshotWriter snapshot_;
  std::optional<ClusterDns> dns_;           // none: no --cluster-dns
  std::unique_ptr<dns::FeedServer> names_;  // none: no DNS process is told
  cluster::Watches watches_;
  WorkerPool workers_;
  std::unique_ptr<pod::Wiring> wiring_;
  std::unique_ptr<pod::Plane> plane_;
  std::unique_ptr<pod::PodSource> pods_;
  std::unique_ptr<pod::Reservations> reservations_;
  std::unique_ptr<pod::NetworkSource> networks_;
  pod::CniServer cni_;
  kube::EventRecorder events_;
  pod::Announcer announcer_;
  std::optional<FlowRing> flows_;
  std::optional<service::Reporter> reporter_;
  std::optional<policy::Reporter> policy_reporter_;
  std::unique_ptr<pod::Listener> listener_;
  observe::Endpoint public_, private_;
  std::unique_ptr<http::Server> public_server_, private_server_;
  bool reservations_known_ = false;  // which addresses are promised to whom: of the API server, or of the snapshot
  std::string waiting_for_ = "starting";
  PodNetwork network_;
  std::optional<service::NodeLoad> load_;
  Scope scope_;
};

Result<AgentOptions> complete(AgentOptions options) {
  TRY(take_kube_proxy_config(options));
  if (options.node.empty()) options.node = TRY(host_name());
  if (options.plane == fabric::Plane::Bpf && options.proxy_mode != "nftables")
    return fail(Errc::Invalid, "--proxy-mode {} is a way of plane netfilter: leave it out, or choose --plane netfilter",
                options.proxy_mode);
  if (!options.cluster_dns.empty() && !options.dns)
    return fail(Errc::Invalid, "--cluster-dns: nothing answers there without --dns");
  if (options.plugin.empty()) options.plugin = TRY(beside_this_program(pod::kPluginName));
  return options;
}

Task<Status> run_in_scope(Agent& agent) { co_return co_await agent.run(); }

}  // namespace

int run_agent(AgentOptions given) {
  log::set_name("agent");
  if (given.verbose) log::set_level(log::Level::Debug);
  auto loop = make_loop();
  auto run = [&]() -> Status {
    AgentOptions options = TRY(complete(std::move(given)));
    Ground ground = TRY(Ground::open(*loop, options));
    Agent agent(*loop, std::move(options), std::move(ground));
    loop->on_signal({SIGTERM, SIGINT}, [&](int) { loop->stop(); });
    auto ended = run_until_done(*loop, run_in_scope(agent));
    if (!ended && ended.error().code() == Errc::Cancelled) return ok();  // a signal
    return ended;
  };
  auto status = run();
  if (status) {
    log::info("stopped; what is in the kernel goes on");
    return 0;
  }
  log::error("cannot run: {}", status.error().message());
  return 1;
}

}  // namespace causeway::apps
