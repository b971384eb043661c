#include "lab/lifecycle.h"

#include <fcntl.h>
#include <linux/version.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "base/file.h"
#include "base/inotify.h"
#include "lab/cgroup.h"
#include "lab/programs.h"
#include "lab/spawn.h"

namespace causeway::lab {
namespace {

namespace fs = std::filesystem;

bool file_systems_have(const std::string& name) {
  auto text = read_file("/proc/filesystems");
  return text && text->find("\t" + name + "\n") != std::string::npos;
}

// Takes SIGINT and SIGTERM as something to read, so that an interrupted command can clean up behind itself.
class Interruption {
 public:
  Interruption() {
    sigset_t set;
    ::sigemptyset(&set);
    ::sigaddset(&set, SIGINT);
    ::sigaddset(&set, SIGTERM);
    ::sigprocmask(SIG_BLOCK, &set, &before_);
    fd_ = Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  }
  ~Interruption() {
    signalfd_siginfo taken;
    while (::read(fd_.get(), &taken, sizeof taken) > 0) {
    }
    ::sigprocmask(SIG_SETMASK, &before_, nullptr);
  }
  Interruption(const Interruption&) = delete;
  // Waits until `fd` can be read; false: a signal came first.
  bool wait_for(int fd) {
    pollfd both[] = {{fd_.get(), POLLIN, 0}, {fd, POLLIN, 0}};
    while (::poll(both, 2, -1) < 0 && errno == EINTR) {
    }
    return both[0].revents == 0;
  }

 private:
  sigset_t before_;
  Fd fd_;
};

// Reads the keeper's lines until it says "up" or "failed".
Status follow_keeper(int fd, const Progress& progress, const Paths& paths) {
  Interruption interruption;
  std::string pending;
  char buffer[4096];
  for (;;) {
    if (!interruption.wait_for(fd)) return fail(Errc::Cancelled, "interrupted");
    const ssize_t size = ::read(fd, buffer, sizeof buffer);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return fail(Errc::Internal, "the keeper ended; its log is {}", paths.log("keeper"));
    pending.append(buffer, static_cast<size_t>(size));
    for (size_t end = 0; (end = pending.find('\n')) != std::string::npos; pending.erase(0, end + 1)) {
      const std::string line = pending.substr(0, end);
      if (line == "up") return ok();
      if (line.starts_with("step ")) progress(line.substr(5));
      if (line.starts_with("failed ")) return fail(Errc::Io, "{}", line.substr(7));
    }
  }
}

Status start_keeper(const Spec& spec, const Paths& paths, const Progress& progress) {
  std::error_code error;
  fs::create_directories(paths.state + "/log", error);
  if (error) return fail_errno(error.value(), "make " + paths.state + "/log");
  auto cgroup = TRY(open_cgroup(paths.process("keeper")));
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  Fd read_end(ends[0]);
  Fd write_end(ends[1]);
  Fd log(::open(paths.log("keeper").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!log) return fail_errno(errno, "open " + paths.log("keeper"));
  TRY(spawn({.argv = {TRY(program_folder()) + "/causeway", "lab", "keeper", "--name", spec.name, "--report", "3"},
             .env = clean_environment(),
             .cgroup_fd = cgroup.get(),
             .directory = "/",
             .descriptors = {{log.get(), 1}, {log.get(), 2}, {write_end.get(), 3}}}),
      "start the keeper");
  write_end.reset();
  return follow_keeper(read_end.get(), progress, paths);
}

Status remove_lab(const Paths& paths) {
  TRY(kill_cgroup(paths.cgroup));
  TRY(wait_until_empty(paths.cgroup, 10s));
  TRY(remove_cgroup(paths.cgroup));
  // The folder above is shared by all labs: the last one removes it.
  ::rmdir(fs::path(paths.cgroup).parent_path().c_str());
  std::error_code error;
  fs::remove_all(paths.state, error);
  if (error) return fail_errno(error.value(), "remove " + paths.state);
  // Nodes made it; while it holds images (images/image_store.h) it stays.
  if (registered_labs().empty() && ::rmdir(kImageStore) == 0) ::rmdir(fs::path(kImageStore).parent_path().c_str());
  return ok();
}

// A `down` ends an `up` that still works on the lab: one that hangs must not keep it from going.
Result<Operation> begin_down(const std::string& lab) {
  constexpr int kTries = 150;
  for (int i = 0; i < kTries; ++i) {
    auto operation = TRY(begin_operation(lab, "down"));
    if (operation) return std::move(*operation);
    const auto& [pid, verb] = operation.error();
    if (pid <= 0)
      return fail(Errc::AlreadyExists, "another command, in a pid namespace of its own, works on the lab \"{}\"", lab);
    if (verb == "down")
      return fail(Errc::AlreadyExists, "another command (pid {}) takes the lab \"{}\" down", pid, lab);
    // It cleans up and ends, also when it was stopped; what does not listen is ended the hard way.
    if (i == 0 || i == kTries - 50) ::kill(pid, i == 0 ? SIGTERM : SIGKILL);
    if (i == 0) ::kill(pid, SIGCONT);
    std::this_thread::sleep_for(100ms);
  }
  return fail(Errc::Timeout, "the command that brings the lab \"{}\" up does not end", lab);
}

}  // namespace

Status check_machine() {
  if (::geteuid() != 0) return fail(Errc::Denied, "a lab makes namespaces, cgroups and BPF programs: run this as root");
  struct utsname system{};
  ::uname(&system);
  int major = 0, minor = 0;
  std::sscanf(system.release, "%d.%d", &major, &minor);
  if (major < 6 || (major == 6 && minor < 1))
    return fail(Errc::Unsupported, "Linux {} is too old: the lab needs 6.1 or newer", system.release);
  const std::string cgroups = TRY(find_cgroup_root());
  TRY(open_cgroup(cgroups + "/causeway-lab"), "the lab needs a writable cgroup2 file system");
  if (::access((cgroups + "/causeway-lab/cgroup.kill").c_str(), W_OK) != 0)
    return fail(Errc::Unsupported, "the cgroup2 file system at {} has no cgroup.kill", cgroups);
  for (const char* name : {"overlay", "bpf"})
    if (!file_systems_have(name))
      return fail(Errc::Unsupported, "the kernel has no {} file system{}", name,
                  std::string_view(name) == "overlay" ? " (try: modprobe overlay)" : "");
  const std::string programs = TRY(program_folder());
  for (const char* program : {"causeway-cni", "causeway-workload"})
    if (::access((programs + "/" + program).c_str(), X_OK) != 0)
      return fail(Errc::NotFound, "{}/{} is missing: it belongs beside the causeway binary", programs, program);
  return ok();
}

Result<Brought> up(const Spec& spec, const Progress& progress) {
  TRY(plan(spec));
  TRY(check_machine());
  const Paths paths = TRY(paths_of(spec.name));
  const auto operation = TRY(begin_operation(spec.name, "up"));
  if (!operation)
    return fail(Errc::AlreadyExists, "another command (pid {}) is bringing the lab \"{}\" {}: wait for it{}",
                operation.error().pid, spec.name, operation.error().verb,
                operation.error().verb == "up" ? ", or end it by `causeway lab down --name " + spec.name + "`" : "");
  std::error_code error;
  if (keeper_alive(paths)) {
    if (fs::exists(paths.spec(), error) && TRY(read_spec(paths)) == spec) return Brought::Running;
    return fail(already_up(spec.name));
  }
  const bool known = fs::exists(paths.spec(), error);
  if (known) {
    const Spec before = TRY(read_spec(paths));
    if (before != spec)
      return fail(Errc::Invalid,
                  "the lab \"{}\" has lost its keeper and was made with other options: repair it with those, or "
                  "`causeway lab down --name {}` first",
                  spec.name, spec.name);
    progress("repairing");
  } else {
    // Whatever an interrupted command left under this name is nobody's.
    TRY(remove_lab(paths));
    TRY(check_inotify_room(spec.nodes + 1), "a lab watches files in its keeper and in each node");
    fs::create_directories(paths.state, error);
    if (error) return fail_errno(error.value(), "make " + paths.state);
    TRY(replace_file(paths.spec(), encode(spec)));
  }
  auto started = start_keeper(spec, paths, progress);
  if (!started && known && started.error().code() == Errc::Cancelled)
    return fail(std::move(started.error()).with("the keeper of the lab \"{}\" goes on repairing it", spec.name));
  if (!started && !known)
    if (auto removed = remove_lab(paths); !removed)
      return fail(std::move(started.error()).with("{} (and then: {})", "bring the lab up", removed.error().message()));
  if (!started) return fail(std::move(started.error()));
  return known ? Brought::Repaired : Brought::Made;
}

Error already_up(const std::string& lab) {
  return Error(Errc::AlreadyExists,
               fmt::format("the lab \"{}\" is up already: `causeway lab down --name {}` ends it", lab, lab));
}

Status restart_node(const std::string& lab, const std::string& node) {
  const Paths paths = TRY(paths_of(lab));
  const pid_t pid = process_in(paths.nodelet(node));
  if (pid != 0 && ::kill(pid, SIGKILL) != 0 && errno != ESRCH) return fail_errno(errno, "end " + node);
  return ok();
}

Status down(const std::string& lab) {
  Spec shell;
  shell.name = lab;
  TRY(plan(shell));  // a name that cannot be never becomes a path
  const Paths paths = TRY(paths_of(lab));
  std::error_code error;
  if (!fs::exists(paths.state, error) && !fs::exists(paths.cgroup, error))
    return fail(Errc::NotFound, "there is no lab \"{}\"; `causeway lab ls` lists them", lab);
  if (::geteuid() != 0) return fail(Errc::Denied, "a lab belongs to root: run this as root");
  const auto operation = TRY(begin_down(lab));
  TRY(remove_lab(paths), "lab {}", lab);
  fs::remove(operation.path, error);
  ::rmdir(kStateRoot);
  return ok();
}

bool LabState::whole() const {
  return keeper && apiserver != 0 && controller != 0 && std::ranges::all_of(nodes, [&](const NodeState& node) {
           return node.nodelet != 0 && node.agent != 0 && (node.dns != 0 || !spec.dns);
         });
}

Result<LabState> observe(const std::string& lab) {
  const Paths paths = TRY(paths_of(lab));
  std::error_code error;
  if (!fs::exists(paths.spec(), error))
    return fail(Errc::NotFound, "there is no lab \"{}\"; `causeway lab ls` lists them, `causeway lab up` makes one",
                lab);
  LabState state{.spec = TRY(read_spec(paths)), .paths = paths, .keeper = process_in(paths.process("keeper")) != 0};
  state.apiserver = process_in(paths.process("apiserver"));
  state.controller = process_in(paths.process("controller"));
  for (const auto& node : TRY(plan(state.spec)).nodes)
    state.nodes.push_back({node.name, process_in(paths.nodelet(node.name)), process_in(paths.agent(node.name)),
                           process_in(paths.dns(node.name))});
  return state;
}

}  // namespace causeway::lab
