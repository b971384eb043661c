#include "lab/nodelet/nodelet.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <map>

#include "base/file.h"
#include "base/inotify.h"
#include "base/log.h"
#include "http/client.h"
#include "kube/client/cache.h"
#include "kube/client/config.h"
#include "lab/cgroup.h"
#include "lab/nodelet/admission.h"
#include "lab/nodelet/cluster_dns.h"
#include "lab/nodelet/log_server.h"
#include "lab/nodelet/node_object.h"
#include "lab/nodelet/pod_runner.h"
#include "lab/programs.h"
#include "lab/root.h"

namespace causeway::lab {
namespace {

namespace fs = std::filesystem;

constexpr const char* kKubeconfig = "/etc/causeway/kubeconfig";
constexpr const char* kNetworkFolder = "/etc/cni/net.d";

// Waits for a change in the folders; the caller looks itself what it was.
class FolderWatch {
 public:
  static Result<FolderWatch> open(Loop& loop, std::initializer_list<const char*> folders) {
    Fd notify = TRY(open_inotify());
    for (const char* folder : folders) {
      std::error_code error;
      fs::create_directories(folder, error);
      if (::inotify_add_watch(notify.get(), folder, IN_MOVED_TO | IN_MOVED_FROM | IN_CLOSE_WRITE | IN_DELETE) < 0)
        return fail_errno(errno, fmt::format("watch {}", folder));
    }
    auto watch = loop.watch(notify.get());
    return FolderWatch{std::move(notify), std::move(watch)};
  }
  Task<Status> changed() { return wait(*watch, notify.get()); }

  Fd notify;
  std::unique_ptr<FdWatch> watch;

 private:
  static Task<Status> wait(FdWatch& watch, int fd) {
    CO_TRY(co_await watch.readable());
    char events[4096];
    while (::read(fd, events, sizeof events) > 0) {
    }
    co_return ok();
  }
};

class Nodelet {
 public:
  Nodelet(Loop& loop, NodeletOptions options, std::vector<Ip> addresses, std::vector<Ip> cluster_dns)
      : loop_(loop),
        options_(std::move(options)),
        identity_(observe_identity(options_.node, addresses)),
        children_(loop),
        agent_(loop, children_, "agent", [this] { return spawn_agent(); }),
        cni_(loop, children_),
        logs_(loop, [this](const auto& ns, const auto& pod, const auto& container,
                           bool previous) { return find_log(ns, pod, container, previous); }),
        cluster_dns_(std::move(cluster_dns)),
        scope_(loop) {}

  Status start() {
    children_.install({}, [](int) {});
    agent_.on_end = [this](const std::string& how) { agent_ended(how); };
    for (const Ip& ip : identity_.addresses)
      servers_.push_back(
          TRY(http::Server::listen(loop_, {.address = to_string(ip), .port = kNodeletPort}, logs_), "log endpoint"));
    scope_.spawn("nodelet", run_or_end());
    return ok();
  }
  // Why the node cannot go on; the keeper starts it anew.
  const Status& ended() const { return ended_; }

 private:
  Result<Child> spawn_agent() {
    auto cgroup = TRY(open_cgroup("/sys/fs/cgroup/agent"));
    return spawn({.argv = agent_argv({.node = options_.node,
                                      .plane = options_.plane,
                                      .fabric = options_.fabric,
                                      .attach = options_.attach,
                                      .cluster_cidr = options_.cluster_cidr,
                                      .cluster_dns = cluster_dns_,
                                      .flags = options_.agent_flags}),
                  .env = clean_environment(),
                  .cgroup_fd = cgroup.get(),
                  .descriptors = {{1, 1}, {2, 2}}});
  }

  Task<Status> run_or_end() {
    ended_ = co_await run();
    loop_.stop();
    co_return ok();
  }

  Task<Status> run() {
    auto folders = CO_TRY(FolderWatch::open(loop_, {"/etc/causeway", kNetworkFolder}));
    std::error_code error;
    while (!fs::exists(kKubeconfig, error)) CO_TRY(co_await folders.changed());
    CO_TRY(agent_.start());
    if (!cluster_dns_.empty()) {
      dns_ = std::make_unique<ClusterDns>(loop_, children_, options_.node, identity_.addresses, cluster_dns_);
      CO_TRY(dns_->start());
    }
    auto config = CO_TRY(kube::load_kubeconfig(kKubeconfig));
    transport_ = std::make_unique<http::Client>(loop_, kube::client_options(config, loop_));
    api_ = std::make_unique<kube::Client>(loop_, *transport_);
    events_ = std::make_unique<kube::EventRecorder>(*api_, "causeway-lab", options_.node);
    auto hosts = read_file("/etc/hosts");
    auto mounts = read_file("/proc/self/mountinfo");
    context_.emplace(NodeContext{.loop = loop_,
                                 .children = children_,
                                 .api = *api_,
                                 .events = *events_,
                                 .cni = cni_,
                                 .node = options_.node,
                                 .host_ips = identity_.addresses,
                                 .node_hosts = hosts ? *hosts : "",
                                 .cluster_dns = {cluster_dns_.begin(), cluster_dns_.begin() + !cluster_dns_.empty()},
                                 .submounts = mounts ? submounts() : std::vector<std::string>{},
                                 .port_conflict = [this](const kube::Pod& pod) { return port_conflict(pod); },
                                 .milli_cpu = 1000 * ::sysconf(_SC_NPROCESSORS_ONLN),
                                 .memory = ::sysconf(_SC_PHYS_PAGES) * ::sysconf(_SC_PAGESIZE),
                                 .network = {}});
    read_network();
    scope_.spawn("node", keep_node());
    scope_.spawn("lease", keep_lease());
    if (dns_) scope_.spawn("cluster DNS", dns_->tell(*api_));
    services_ = std::make_unique<kube::Cache<kube::Service>>(*api_);
    // Only what the variables of containers tell.
    services_->transform([](kube::Service& service) {
      service.metadata.annotations.clear();
      service.metadata.labels.clear();
      service.status = {};
    });
    services_->start();
    CO_TRY(co_await services_->wait_synced());
    context_->services = services_.get();
    pods_ = std::make_unique<kube::Cache<kube::Pod>>(
        *api_, kube::CacheOptions{.field_selector = "spec.nodeName=" + options_.node});
    pods_->on_change([this](const kube::Pod* old, const kube::Pod* now) { pod_changed(old, now); });
    pods_->start();
    for (;;) {
      CO_TRY(co_await folders.changed());
      read_network();
    }
  }

  // The machine's other file systems: those of the host that the keeper bound into this node.
  static std::vector<std::string> submounts() {
    auto mounts = read_file("/proc/self/mountinfo");
    std::vector<std::string> out;
    if (!mounts) return out;
    for (auto& path : submounts_of(*mounts))
      if (path != kProgramFolder && path != "/etc/causeway") out.push_back(std::move(path));
    return out;
  }

  // While there is no network yet somebody waits for it: an agent that ends again and again is told to them.
  void agent_ended(const std::string& how) {
    constexpr int kHopeless = 3;
    if (!context_ || context_->network || ++agent_ends_ < kHopeless) return;
    auto log = read_file("/proc/self/fd/1");  // the keeper's file, out of this node's sight
    agent_problem_ = fmt::format("the agent {}, {} times in a row: {}", how, agent_ends_,
                                 log ? last_line(*log) : log.error().message());
    read_network();
  }

  void read_network() {
    auto network = load_network(kNetworkFolder);
    const NodeProblem before = problem_;
    problem_ = {};
    if (network) {
      agent_ends_ = 0;
      agent_problem_.clear();
    } else if (!agent_problem_.empty()) {
      problem_ = {.message = agent_problem_, .reason = kAgentEnds};
    } else {
      problem_.message =
          "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message: " +
          network.error().message();
    }
    if (network) {
      context_->network = std::move(*network);
    } else {
      context_->network.reset();
    }
    if (problem_ != before) node_dirty_.push(true);
    for (auto& [uid, runner] : runners_) runner->network_changed();
  }

  // ---- the Node and its Lease

  kube::Time now() const { return std::chrono::time_point_cast<std::chrono::microseconds>(loop_.wall_now()); }

  // Registers the Node and keeps its status; also when somebody deleted it.
  Task<Status> keep_node() {
    for (Duration pause = 50ms;;) {
      auto written = co_await write_node();
      if (!written) {
        if (written.error().code() == Errc::Cancelled) co_return written;
        log::warning("{}", written.error().message());
        CO_TRY(co_await loop_.sleep(pause));
        pause = std::min<Duration>(pause * 2, 5s);
        continue;
      }
      pause = 50ms;
      auto heartbeat = loop_.call_after(5min, [this] { node_dirty_.push(true); });
      CO_TRY(co_await node_dirty_.next());
      while (node_dirty_.try_next()) {
      }
    }
  }

  Task<Status> write_node() {
    auto wanted = build_node(identity_, problem_, conditions_, now());
    conditions_ = wanted.status.conditions;
    if (!registered_) {
      auto created = co_await api_->create(wanted);
      if (!created && created.error().code() != Errc::AlreadyExists) co_return fail(std::move(created.error()));
      // The labels of an earlier life are brought up to date; what others added stays.
      if (!created)
        CO_TRY(co_await api_->patch<kube::Node>({"", options_.node}, kube::PatchType::StrategicMerge,
                                                label_patch(wanted)));
      registered_ = true;
    }
    // Not a strategic merge: that merges addresses by their type, and a dual-stack node has two InternalIPs. Conditions
    // do merge by theirs, so that the network's (NetworkUnavailable) stays.
    kube::Node conditions;
    conditions.status.conditions = std::exchange(wanted.status.conditions, {});
    auto patched =
        co_await api_->patch<kube::Node>({"", options_.node}, kube::PatchType::Merge, kube::encode(wanted), "status");
    if (patched)
      patched = co_await api_->patch<kube::Node>({"", options_.node}, kube::PatchType::StrategicMerge,
                                                 kube::encode(conditions), "status");
    if (!patched && patched.error().code() == Errc::NotFound) registered_ = false;
    if (!patched) co_return fail(std::move(patched.error()));
    co_return ok();
  }

  static std::string label_patch(const kube::Node& node) {
    std::string out = "{\"metadata\":{\"labels\":{";
    for (const auto& [key, value] : node.metadata.labels)
      out += (out.ends_with('{') ? "" : ",") + kube::json_quote(key) + ":" + kube::json_quote(value);
    return out + "}}}";
  }

  Task<Status> keep_lease() {
    // kubelet's: 40 s, renewed every 10 s (KEP-589).
    bool exists = false;
    for (;;) {
      kube::Lease lease;
      lease.metadata.ns = "kube-node-lease";
      lease.metadata.name = options_.node;
      lease.spec.holder_identity = options_.node;
      lease.spec.lease_duration_seconds = 40;
      lease.spec.renew_time = now();
      Status written = ok();
      if (exists) {
        auto patched = co_await api_->patch<kube::Lease>({"kube-node-lease", options_.node}, kube::PatchType::Merge,
                                                         kube::encode(lease));
        if (!patched) written = fail(std::move(patched.error()));
      } else {
        auto created = co_await api_->create(lease);
        if (!created && created.error().code() == Errc::AlreadyExists) {
          exists = true;
          continue;
        }
        if (!created) written = fail(std::move(created.error()));
      }
      if (!written && written.error().code() == Errc::Cancelled) co_return written;
      exists = written || written.error().code() != Errc::NotFound;
      if (!written) log::warning("{}", written.error().message());
      CO_TRY(co_await loop_.sleep(written ? Duration(10s) : Duration(1s)));
    }
  }

  // ---- Pods

  void pod_changed(const kube::Pod* old, const kube::Pod* now) {
    const std::string uid = (now != nullptr ? now : old)->metadata.uid;
    auto runner = runners_.find(uid);
    if (now == nullptr) {
      if (runner != runners_.end()) runner->second->vanish();
      return;
    }
    if (runner != runners_.end()) {
      runner->second->update(*now);
      return;
    }
    runners_.emplace(uid, std::make_unique<PodRunner>(*context_, *now, [this, uid] { runners_.erase(uid); }));
  }

  std::string port_conflict(const kube::Pod& pod) const {
    std::vector<const kube::Pod*> pods;
    // One that ends is waited for by the network's ADD.
    for (const auto& [uid, runner] : runners_)
      if (!runner->ending()) pods.push_back(&runner->pod());
    return host_port_conflict(pod, pods);
  }

  Result<LogFile> find_log(const std::string& ns, const std::string& pod, const std::string& container, bool previous) {
    for (const auto& [uid, runner] : runners_) {
      if (runner->pod().metadata.ns != ns || runner->pod().metadata.name != pod) continue;
      const auto number = runner->current_log(container);
      if (!number) return fail(Errc::Invalid, "container {} is not valid for pod {}", container, pod);
      if (!previous) {
        LogFile file{log_path(runner->pod(), container, *number), true};
        std::error_code error;
        // A container that waits for its restart shows its last words.
        if (!fs::exists(file.path, error) && *number > 0)
          file = {log_path(runner->pod(), container, *number - 1), false};
        if (!fs::exists(file.path, error))
          return fail(Errc::Invalid, "container \"{}\" in pod \"{}\" is waiting to start", container, pod);
        file.running = file.running && runner->running_container(container);
        return file;
      }
      if (*number == 0)
        return fail(Errc::Invalid, "previous terminated container \"{}\" in pod \"{}\" not found", container, pod);
      return LogFile{log_path(runner->pod(), container, *number - 1), false};
    }
    return fail(Errc::NotFound, "pod \"{}/{}\" not found on {}", ns, pod, options_.node);
  }

  Loop& loop_;
  const NodeletOptions options_;
  const NodeIdentity identity_;
  Children children_;
  Supervisor agent_;
  CniRuntime cni_;
  LogHandler logs_;
  std::vector<std::unique_ptr<http::Server>> servers_;
  std::unique_ptr<http::Client> transport_;
  std::unique_ptr<kube::Client> api_;
  std::unique_ptr<kube::EventRecorder> events_;
  std::optional<NodeContext> context_;
  NodeProblem problem_{.message =
                           "container runtime network not ready: the agent has not yet put its configuration in place"};
  int agent_ends_ = 0;         // since the network went, or never came
  std::string agent_problem_;  // "": it lasts
  bool registered_ = false;
  Status ended_;
  std::vector<kube::Condition> conditions_;
  const std::vector<Ip> cluster_dns_;
  std::unique_ptr<ClusterDns> dns_;  // null: --no-dns
  Channel<bool> node_dirty_{loop_};
  std::map<std::string, std::unique_ptr<PodRunner>> runners_;  // by uid
  std::unique_ptr<kube::Cache<kube::Service>> services_;
  std::unique_ptr<kube::Cache<kube::Pod>> pods_;
  Scope scope_;
};

}  // namespace

int run_nodelet(const NodeletOptions& options) {
  log::set_name(options.node);
  ::signal(SIGPIPE, SIG_IGN);
  auto loop = make_loop();
  std::vector<Ip> addresses, cluster_dns;
  for (const auto& [flag, texts, into] : {std::tuple{"--address", &options.addresses, &addresses},
                                          std::tuple{"--cluster-dns", &options.cluster_dns, &cluster_dns}})
    for (const auto& text : *texts) {
      auto ip = Ip::parse(text);
      if (!ip) {
        log::error("{}: {}", flag, ip.error().message());
        return 1;
      }
      into->push_back(*ip);
    }
  Nodelet nodelet(*loop, options, std::move(addresses), std::move(cluster_dns));
  if (auto started = nodelet.start(); !started) {
    log::error("{}", started.error().message());
    return 1;
  }
  loop->run();
  if (!nodelet.ended()) {
    log::error("{}", nodelet.ended().error().message());
    return 1;
  }
  return 0;
}

}  // namespace causeway::lab
