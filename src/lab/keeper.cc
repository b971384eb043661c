#include "lab/keeper.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <memory>

#include "base/file.h"
#include "base/inotify.h"
#include "base/log.h"
#include "base/socket_address.h"
#include "kernel/netlink/rtnetlink.h"
#include "kernel/netns/netns.h"
#include "lab/cgroup.h"
#include "lab/children.h"
#include "lab/dns_files.h"
#include "lab/programs.h"
#include "lab/root.h"
#include "lab/state.h"
#include "lab/underlay.h"

namespace causeway::lab {
namespace {

namespace fs = std::filesystem;

// A TCP socket that listens at the address, in the caller's network namespace. Port 0: any.
Result<Fd> listen_at(const Ip& ip, uint16_t port) {
  const SocketAddress address({ip, port});
  Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno(errno, "socket");
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(fd.get(), address.get(), address.size) != 0 || ::listen(fd.get(), 1024) != 0)
    return fail_errno(errno, fmt::format("listen at {}", Endpoint{ip, port}));
  return fd;
}

uint16_t port_of(int fd) {
  SocketAddress address;
  ::getsockname(fd, address.get(), &address.size);
  return address.endpoint().port;
}

Result<Fd> append_to(const std::string& path) {
  Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!fd) return fail_errno(errno, "open " + path);
  return fd;
}

// Waits until the files are there; who writes one renames it into place.
Task<Status> wait_for_files(Loop& loop, std::vector<std::string> files) {
  const Fd notify = CO_TRY(open_inotify(), "wait for {}", files.front());
  for (const std::string& file : files) {
    const fs::path folder = fs::path(file).parent_path();
    if (::inotify_add_watch(notify.get(), folder.c_str(), IN_MOVED_TO | IN_CLOSE_WRITE) < 0)
      co_return fail_errno(errno, "watch " + folder.string());
  }
  auto watch = loop.watch(notify.get());
  auto missing = [](const std::string& file) {
    std::error_code error;
    return !fs::exists(file, error);
  };
  while (std::ranges::any_of(files, missing)) {
    CO_TRY(co_await watch->readable());
    char events[4096];
    while (::read(notify.get(), events, sizeof events) > 0) {
    }
  }
  co_return ok();
}

struct NodeProcess {
  const NodePlan* plan;
  std::unique_ptr<Supervisor> supervisor;
};

class Keeper {
 public:
  Keeper(Loop& loop, Paths paths, Plan plan, int report_fd)
      : loop_(loop),
        paths_(std::move(paths)),
        plan_(std::move(plan)),
        report_fd_(report_fd),
        children_(loop),
        scope_(loop) {}

  Status start() {
    programs_ = TRY(program_folder());
    children_.install({SIGTERM, SIGINT}, [this](int) { loop_.stop(); });
    TRY(make_folders());
    step("network: router, two subnets, outside host");
    TRY(make_spaces());
    if (plan_.spec.dns) TRY(start_outside_dns());
    step("API server");
    TRY(start_apiserver());
    scope_.spawn("lab", bring_up());
    return ok();
  }
  // The lab could not be brought up.
  bool gave_up() const { return gave_up_; }

  void report(std::string_view line) {
    if (report_fd_ < 0) return;
    const std::string text = std::string(line) + "\n";
    // Nobody reads any more once `lab up` was interrupted.
    if (::write(report_fd_, text.data(), text.size()) < 0) report_fd_ = -1;
  }

 private:
  void step(std::string_view text) { report("step " + std::string(text)); }

  // What lives goes on; the next `lab up` may try again.
  void give_up(const std::string& why) {
    if (gave_up_) return;
    gave_up_ = true;
    log::error("{}", why);
    report("failed " + why);
    loop_.stop();
  }

  // Before the lab is up somebody waits for it: what ends again and again is told to them, with its last words.
  void expect_to_last(Supervisor& supervisor, std::string name, std::string log) {
    supervisor.on_end = [this, name = std::move(name), log = std::move(log), ends = 0](const std::string& how) mutable {
      constexpr int kHopeless = 3;
      if (up_ || ++ends < kHopeless) return;
      auto text = read_file(log);
      give_up(fmt::format("{} {}, {} times in a row: {} (its log is {})", name, how, ends,
                          text ? last_line(*text) : "it says nothing", log));
    };
  }

  // Who changed a file of ours keeps the change when the lab is repaired.
  static Status write_unless_there(const std::string& path, const std::string& text) {
    std::error_code error;
    if (fs::exists(path, error)) return ok();
    return replace_file(path, text);
  }

  Status make_folders() {
    std::error_code error;
    for (const auto& path : {paths_.cluster(), paths_.api_data(), paths_.state + "/log", paths_.state + "/stage"}) {
      fs::create_directories(path, error);
      if (error) return fail_errno(error.value(), "make " + path);
    }
    if (!plan_.spec.dns) return ok();
    TRY(write_unless_there(paths_.corefile(), node_corefile()));
    return write_unless_there(paths_.outside_corefile(), outside_corefile(plan_.outside_addresses));
  }

  // A network namespace is kept alive by a process in it, so that it outlives us and can be found again; and by our
  // descriptor, so that it outlives that process.
  Result<Fd> make_space(const std::string& name, std::vector<std::string> argv) {
    const pid_t alive = process_in(paths_.space(name));
    Fd netns = alive != 0 ? TRY(open_namespace(alive, "net")) : TRY(netns::create(), "namespace {}", name);
    auto start = [this, name, argv = std::move(argv), fd = netns.get()]() -> Result<Child> {
      auto cgroup = TRY(open_cgroup(paths_.space(name)));
      auto log = TRY(append_to(paths_.log(name)));
      SpawnOptions options{.argv = argv,
                           .env = clean_environment(),
                           .clone_flags = CLONE_NEWUTS,
                           .cgroup_fd = cgroup.get(),
                           .join = {fd},
                           .steps = {{.kind = Step::Kind::Hostname, .a = name}},
                           .descriptors = {{log.get(), 1}, {log.get(), 2}}};
      return spawn(options);
    };
    auto supervisor = std::make_unique<Supervisor>(loop_, children_, name, std::move(start));
    if (alive != 0) {
      TRY(supervisor->adopt(alive));
    } else {
      TRY(supervisor->start());
    }
    supervisors_.push_back(std::move(supervisor));
    return netns;
  }

  Status make_spaces() {
    const std::string workload = programs_ + "/causeway-workload";
    router_ = TRY(make_space("router", {workload, "pause"}));
    TRY(wire_router(router_.get(), plan_));
    control_ = TRY(make_space("control", {workload, "pause"}));
    outside_ = TRY(make_space(
        "outside", {workload, "serve", "--pod", "outside", "--node", "outside", "--port", "80", "--port", "80/udp"}));
    for (const auto& [netns, wire] :
         {std::pair{control_.get(), &plan_.control}, std::pair{outside_.get(), &plan_.outside}})
      TRY(wire_unless_wired(netns, *wire));
    return ok();
  }

  Status wire_unless_wired(int netns, const Wire& wire) {
    auto net = TRY(netlink::open_rtnetlink_in(netns));
    if (net->link(netlink::LinkRef(wire.device))) return ok();
    return wire_space(router_.get(), netns, wire, plan_);
  }

  // A process of ours, or the one that an earlier keeper left; `log` is where it says why it ends.
  Status keep_running(const std::string& who, const std::string& name, const std::string& log,
                      std::move_only_function<Result<Child>()> start) {
    auto supervisor = std::make_unique<Supervisor>(loop_, children_, name, std::move(start));
    expect_to_last(*supervisor, "the " + name, paths_.log(log));
    const pid_t alive = process_in(paths_.process(who));
    TRY(alive != 0 ? supervisor->adopt(alive) : supervisor->start());
    supervisors_.push_back(std::move(supervisor));
    return ok();
  }

  Status start_apiserver() {
    return keep_running("apiserver", "API server", "apiserver", [this] { return spawn_apiserver(); });
  }

  Status start_outside_dns() {
    return keep_running("outside-dns", "DNS of the outside host", "outside", [this]() -> Result<Child> {
      auto cgroup = TRY(open_cgroup(paths_.process("outside-dns")));
      auto log = TRY(append_to(paths_.log("outside")));
      return spawn({.argv = outside_dns_argv(programs_, paths_, plan_),
                    .env = clean_environment(),
                    .cgroup_fd = cgroup.get(),
                    .join = {outside_.get()},
                    .descriptors = {{log.get(), 1}, {log.get(), 2}}});
    });
  }

  // The sockets are ours: while the API server starts again, who connects waits instead of being refused.
  Status open_listeners() {
    if (!listeners_.empty()) return ok();
    std::vector<Fd> opened;
    uint16_t port = 0;
    if (auto known = read_file(paths_.api_port())) port = static_cast<uint16_t>(std::atoi(known->c_str()));
    auto host = listen_at(*Ip::parse("127.0.0.1"), port);
    if (!host && port != 0)
      return fail(
          std::move(host.error()).with("the port that this lab's kubeconfig names is taken by another program"));
    if (!host) return fail(std::move(host.error()));
    TRY(replace_file(paths_.api_port(), fmt::format("{}\n", port_of(host->get()))));
    opened.push_back(std::move(*host));
    for (const Ip& ip : plan_.control_addresses)
      opened.push_back(TRY(netns::call_in(control_.get(), [&] { return listen_at(ip, plan_.api_port); })));
    listeners_ = std::move(opened);
    return ok();
  }

  Result<Child> spawn_apiserver() {
    TRY(open_listeners());
    auto cgroup = TRY(open_cgroup(paths_.process("apiserver")));
    auto log = TRY(append_to(paths_.log("apiserver")));
    SpawnOptions options{.argv = apiserver_argv(programs_, paths_, plan_, port_of(listeners_.front().get())),
                         .env = clean_environment(),
                         .cgroup_fd = cgroup.get(),
                         .join = {control_.get()},
                         .descriptors = {{log.get(), 1}, {log.get(), 2}}};
    for (size_t i = 0; i < listeners_.size(); ++i)
      options.descriptors.emplace_back(listeners_[i].get(), kHostListener + static_cast<int>(i));
    return spawn(options);
  }

  Result<Child> spawn_controller() {
    auto cgroup = TRY(open_cgroup(paths_.process("controller")));
    auto log = TRY(append_to(paths_.log("controller")));
    return spawn({.argv = controller_argv(programs_, paths_, plan_),
                  .env = clean_environment(),
                  .cgroup_fd = cgroup.get(),
                  .join = {control_.get()},
                  .descriptors = {{log.get(), 1}, {log.get(), 2}}});
  }

  // A node's machine: a network namespace with its wire, and in it pid 1 with a root of its own.
  Result<Child> spawn_node(const NodePlan& node) {
    // What an earlier life of this node left running goes first: a machine that starts has no old processes.
    // The cgroup is made anew: the kernel takes who is cloned into one that was killed before for a late victim (6.18,
    // it compares the kill count with that of the parent's cgroup).
    TRY(kill_cgroup(paths_.node(node.name)));
    TRY(wait_until_empty(paths_.node(node.name), 5s));
    TRY(remove_cgroup(paths_.node(node.name)));
    const Fd cgroup = TRY(open_cgroup(paths_.node(node.name)));
    auto netns = TRY(netns::create());
    TRY(wire_space(router_.get(), netns.get(), node.wire, plan_));
    std::error_code error;
    fs::create_directories(paths_.stage(node.name), error);
    const bool store = fs::create_directories(kImageStore, error) || fs::is_directory(kImageStore, error);
    auto log = TRY(append_to(paths_.log(node.name)));
    RootOptions root{
        .lower = "/",
        .stage = paths_.stage(node.name),
        .programs = programs_,
        .submounts = submounts_of(TRY(read_file("/proc/self/mountinfo"))),
        .files = {{"/etc/hostname", node.name + "\n"},
                  {"/etc/hosts", hosts_file()},
                  {"/etc/resolv.conf", node_resolv_conf(plan_.spec.dns ? plan_.outside_addresses : std::vector<Ip>())}},
        .node = true,
        .images = store ? kImageStore : ""};
    std::vector<Step> steps{{.kind = Step::Kind::Hostname, .a = node.name}, {.kind = Step::Kind::LoopbackUp}};
    const auto root_part = root_steps(root);
    // The cluster's credentials are the node's /etc/causeway, where the production agent looks for them.
    const std::string target = root.stage + "/root/etc/causeway";
    for (const Step& step : root_part) {
      if (step.kind == Step::Kind::Chdir) {
        steps.push_back({.kind = Step::Kind::Mkdir, .a = target});
        steps.push_back({Step::Kind::Mount, paths_.cluster(), target, "", "", MS_BIND});
      }
      steps.push_back(step);
    }
    // The cgroup namespace began at the node's cgroup, hence this is paths_.nodelet().
    steps.push_back({.kind = Step::Kind::Mkdir, .a = "/sys/fs/cgroup/nodelet"});
    steps.push_back({.kind = Step::Kind::WriteIfDiffers, .a = "/sys/fs/cgroup/nodelet/cgroup.procs", .b = "0"});
    std::vector<std::string> argv{std::string(kProgramFolder) + "/causeway",
                                  "lab",
                                  "node",
                                  "--node",
                                  node.name,
                                  "--plane",
                                  plan_.spec.plane,
                                  "--fabric",
                                  plan_.spec.fabric,
                                  "--attach",
                                  plan_.spec.attach,
                                  "--cluster-cidr",
                                  cluster_cidr(plan_)};
    for (const Ip& ip : node.addresses) {
      argv.push_back("--address");
      argv.push_back(to_string(ip));
    }
    for (const std::string& flag : plan_.spec.agent_flags) argv.push_back("--agent-flag=" + flag);
    for (const Ip& ip : plan_.dns_addresses) argv.push_back("--cluster-dns=" + to_string(ip));
    return spawn({.argv = argv,
                  .env = clean_environment(),
                  .clone_flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC,
                  .cgroup_fd = cgroup.get(),
                  .join = {netns.get()},
                  .steps = std::move(steps),
                  .descriptors = {{log.get(), 1}, {log.get(), 2}}});
  }

  std::string hosts_file() const {
    std::string out = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n";
    for (const auto& node : plan_.nodes)
      for (const Ip& ip : node.addresses) out += fmt::format("{}\t{}\n", ip, node.name);
    for (const Ip& ip : plan_.control_addresses) out += fmt::format("{}\tapiserver\n", ip);
    for (const Ip& ip : plan_.outside_addresses) out += fmt::format("{}\toutside\n", ip);
    return out;
  }

  Task<Status> bring_up() {
    auto done = co_await start_all();
    if (done) {
      up_ = true;
      report("up");
    } else if (done.error().code() != Errc::Cancelled) {
      give_up(done.error().message());
    }
    co_return ok();
  }

  Task<Status> start_all() {
    step(fmt::format("{} node{}", plan_.nodes.size(), plan_.nodes.size() == 1 ? "" : "s"));
    for (const NodePlan& node : plan_.nodes) CO_TRY(start_node(node));
    // The CA and the token are the API server's to make.
    CO_TRY(co_await wait_for_files(loop_, {paths_.cluster_kubeconfig(), paths_.kubeconfig()}));
    step("controller");
    CO_TRY(keep_running("controller", "controller", "controller", [this] { return spawn_controller(); }));
    co_return ok();
  }

  Status start_node(const NodePlan& node) {
    auto entry = std::make_unique<NodeProcess>(&node);
    const pid_t alive = process_in(paths_.nodelet(node.name));
    entry->supervisor = std::make_unique<Supervisor>(loop_, children_, node.name,
                                                     [this, raw = entry.get()] { return spawn_node(*raw->plan); });
    expect_to_last(*entry->supervisor, node.name, paths_.log(node.name));
    TRY(alive != 0 ? entry->supervisor->adopt(alive) : entry->supervisor->start());
    nodes_.push_back(std::move(entry));
    return ok();
  }

  Loop& loop_;
  const Paths paths_;
  const Plan plan_;
  int report_fd_;
  bool up_ = false;
  bool gave_up_ = false;
  std::string programs_;
  Children children_;
  Fd router_, control_, outside_;
  std::vector<Fd> listeners_;  // first the host's loopback, then the control addresses
  std::vector<std::unique_ptr<Supervisor>> supervisors_;
  std::vector<std::unique_ptr<NodeProcess>> nodes_;
  Scope scope_;
};

Status keep(const std::string& lab, int report_fd) {
  const Paths paths = TRY(paths_of(lab));
  const auto lock = TRY(try_lock(keeper_lock(paths)));
  if (!lock) return fail(Errc::AlreadyExists, "the lab \"{}\" has a keeper already", lab);
  auto plan_result = TRY(plan(TRY(read_spec(paths))));
  auto loop = make_loop();
  ::signal(SIGPIPE, SIG_IGN);
  Keeper keeper(*loop, paths, std::move(plan_result), report_fd);
  if (auto started = keeper.start(); !started) {
    keeper.report("failed " + started.error().message());
    return started;
  }
  if (!keeper.gave_up()) loop->run();
  if (keeper.gave_up()) return fail(Errc::Io, "it could not be brought up");
  return ok();
}

}  // namespace

int run_keeper(const std::string& lab, int report_fd) {
  log::set_name("keeper");
  if (auto status = keep(lab, report_fd); !status) {
    log::error("lab {}: {}", lab, status.error().message());
    return 1;
  }
  return 0;
}

}  // namespace causeway::lab
