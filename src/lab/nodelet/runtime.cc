#include "lab/nodelet/runtime.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>

#include "base/file.h"
#include "base/log.h"
#include "lab/cgroup.h"
#include "lab/programs.h"
#include "lab/root.h"
#include "lab/state.h"

namespace causeway::lab {
namespace {

namespace fs = std::filesystem;

std::string sysctl_path(std::string name) {
  // "net/ipv4/conf/eth0.1/x" is the form for names with dots inside (sysctl(8)).
  if (name.find('/') == std::string::npos) std::ranges::replace(name, '.', '/');
  return "/proc/sys/" + name;
}

std::string pod_log_folder(const kube::Pod& pod) {
  return fmt::format("{}/{}_{}_{}", kLogFolder, pod.metadata.ns, pod.metadata.name, pod.metadata.uid);
}

}  // namespace

std::string random_id() {
  unsigned char bytes[32];
  if (::getrandom(bytes, sizeof bytes, 0) != static_cast<ssize_t>(sizeof bytes)) std::abort();
  std::string out;
  for (const unsigned char byte : bytes) out += fmt::format("{:02x}", byte);
  return out;
}

std::string pod_cgroup(const std::string& uid) { return "/sys/fs/cgroup/kubepods/pod" + uid; }

std::string container_cgroup(const kube::Pod& pod, const std::string& container) {
  return pod_cgroup(pod.metadata.uid) + "/" + container;
}

std::string log_path(const kube::Pod& pod, const std::string& container, int restart) {
  return fmt::format("{}/{}/{}.log", pod_log_folder(pod), container, restart);
}

Status check_sysctls(const kube::Pod& pod) {
  if (!pod.spec.security_context) return ok();
  for (const auto& sysctl : pod.spec.security_context->sysctls) {
    const std::string& name = sysctl.name;
    const bool ipc = name.starts_with("kernel.shm") || name.starts_with("kernel.msg") || name == "kernel.sem" ||
                     name.starts_with("fs.mqueue.");
    const bool net = name.starts_with("net.");
    if (!ipc && !net) return fail(Errc::Denied, "forbidden sysctl: \"{}\" is not one that a namespace has", name);
    if (net && pod.spec.host_network)
      return fail(Errc::Denied, "forbidden sysctl: \"{}\" not allowed with host net enabled", name);
    // A node is a network namespace of its own: what the kernel keeps for the whole machine is not there.
    std::error_code error;
    // What is not kept per namespace is absent there, or shown read-only (net.core.rmem_max since 6.9).
    const auto mode = fs::status(sysctl_path(name), error).permissions();
    if (net && (!fs::exists(sysctl_path(name), error) || (mode & fs::perms::owner_write) == fs::perms::none))
      return fail(
          Errc::Denied,
          "forbidden sysctl: the kernel does not keep \"{}\" per network namespace; it holds for the whole machine",
          name);
  }
  return ok();
}

Result<Child> start_sandbox(const kube::Pod& pod, const std::string& hostname) {
  auto cgroup = TRY(open_cgroup(pod_cgroup(pod.metadata.uid) + "/.sandbox"));
  SpawnOptions options{.argv = {std::string(kProgramFolder) + "/causeway-workload", "pause"},
                       .env = clean_environment(),
                       .clone_flags = CLONE_NEWIPC,
                       .cgroup_fd = cgroup.get()};
  if (!pod.spec.host_network) {
    options.clone_flags |= CLONE_NEWNET | CLONE_NEWUTS;
    options.steps.push_back({.kind = Step::Kind::Hostname, .a = hostname});
    options.steps.push_back({.kind = Step::Kind::LoopbackUp});
    // As containerd 2 (enable_unprivileged_ports, enable_unprivileged_icmp): a user that is not root may serve port 80.
    options.steps.push_back(
        {.kind = Step::Kind::WriteIfDiffers, .a = sysctl_path("net.ipv4.ip_unprivileged_port_start"), .b = "0"});
    options.steps.push_back(
        {.kind = Step::Kind::WriteIfDiffers, .a = sysctl_path("net.ipv4.ping_group_range"), .b = "0\t2147483647"});
  }
  if (pod.spec.security_context)
    for (const auto& sysctl : pod.spec.security_context->sysctls)
      options.steps.push_back({.kind = Step::Kind::WriteIfDiffers, .a = sysctl_path(sysctl.name), .b = sysctl.value});
  return spawn(options);
}

std::vector<std::string> workload_argv(const kube::Pod& pod, const kube::Container& container,
                                       const std::string& node) {
  std::vector<std::string> argv{std::string(kProgramFolder) + "/causeway-workload",
                                "serve",
                                "--pod",
                                pod.metadata.name,
                                "--namespace",
                                pod.metadata.ns,
                                "--node",
                                node,
                                "--container",
                                container.name};
  for (const auto& port : container.ports) {
    if (port.protocol == "SCTP") continue;  // the workload speaks HTTP and UDP
    argv.push_back("--port");
    argv.push_back(fmt::format("{}{}", port.container_port, port.protocol == "UDP" ? "/udp" : ""));
  }
  return argv;
}

Result<Child> start_container(const ContainerStart& start) {
  const auto& pod = start.pod;
  auto cgroup = TRY(open_cgroup(container_cgroup(pod, start.container.name)));
  const std::string log = log_path(pod, start.container.name, start.restart);
  std::error_code error;
  fs::create_directories(fs::path(log).parent_path(), error);
  // The current log and the previous one are kept, as kubelet does.
  if (start.restart >= 2) fs::remove(log_path(pod, start.container.name, start.restart - 2), error);
  Fd output(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
  if (!output) return fail_errno(errno, "open the log " + log);
  // A program that opens /dev/stdout opens the log anew, as its own user.
  if (::fchown(output.get(), start.identity.uid, start.identity.gid) != 0) return fail_errno(errno, "chown " + log);
  const Fd net = TRY(open_namespace(start.sandbox, "net"));
  const Fd ipc = TRY(open_namespace(start.sandbox, "ipc"));
  const Fd uts = TRY(open_namespace(start.sandbox, "uts"));
  auto steps = root_steps({.lower = start.root,
                           .stage = kStage,
                           .programs = kProgramFolder,
                           .submounts = start.submounts,
                           .files = start.files,
                           .own_net = !pod.spec.host_network,
                           .image = start.image,
                           .mounts = start.mounts,
                           .directory = start.directory,
                           .read_only = start.read_only});
  return spawn({.argv = start.process.argv,
                .env = start.process.env,
                .clone_flags = CLONE_NEWNS | CLONE_NEWPID,
                .cgroup_fd = cgroup.get(),
                .join = {net.get(), ipc.get(), uts.get()},
                .steps = std::move(steps),
                .directory = start.directory,
                .identity = start.identity,
                .descriptors = {{output.get(), 1}, {output.get(), 2}}});
}

void send_signal(int pidfd, int signal) { ::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0); }

void remove_leftovers(const kube::Pod& pod, bool logs) {
  // A process that somebody put into the Pod (lab exec) goes with it.
  auto cleaned = kill_cgroup(pod_cgroup(pod.metadata.uid));
  if (cleaned) cleaned = wait_until_empty(pod_cgroup(pod.metadata.uid), 500ms);
  if (cleaned) cleaned = remove_cgroup(pod_cgroup(pod.metadata.uid));
  if (!cleaned) log::warning("Pod {}: {}", kube::full_name(pod.metadata), cleaned.error().message());
  std::error_code error;
  if (logs) fs::remove_all(pod_log_folder(pod), error);
}

}  // namespace causeway::lab
