#include "lab/root.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <set>
#include <sstream>

namespace causeway::lab {
namespace {

using Kind = Step::Kind;

Step mount_step(std::string source, std::string target, std::string kind, unsigned long flags = 0,
                std::string data = {}) {
  return {Kind::Mount, std::move(source), std::move(target), std::move(kind), std::move(data), flags};
}
Step mkdir_step(std::string path, mode_t mode = 0755) {
  return {.kind = Kind::Mkdir, .a = std::move(path), .mode = mode};
}
Step write_step(std::string path, std::string content, mode_t mode = 0644) {
  return {.kind = Kind::Write, .a = std::move(path), .b = std::move(content), .mode = mode};
}

void add_devices(std::vector<Step>& steps, const std::string& root) {
  const std::string dev = root + "/dev";
  steps.push_back(mount_step("tmpfs", dev, "tmpfs", MS_NOSUID, "mode=755,size=64k"));
  struct Device {
    const char* name;
    unsigned major, minor;
  };
  for (const Device& device : {Device{"null", 1, 3}, Device{"zero", 1, 5}, Device{"full", 1, 7}, Device{"random", 1, 8},
                               Device{"urandom", 1, 9}, Device{"tty", 5, 0}})
    steps.push_back({.kind = Kind::Mknod,
                     .a = dev + "/" + device.name,
                     .flags = makedev(device.major, device.minor),
                     .mode = S_IFCHR | 0666});
  for (const auto& [target, name] :
       {std::pair{"/proc/self/fd", "fd"}, std::pair{"/proc/self/fd/0", "stdin"}, std::pair{"/proc/self/fd/1", "stdout"},
        std::pair{"/proc/self/fd/2", "stderr"}, std::pair{"pts/ptmx", "ptmx"}})
    steps.push_back({.kind = Kind::Symlink, .a = target, .b = dev + "/" + name});
  steps.push_back(mkdir_step(dev + "/pts"));
  steps.push_back(
      mount_step("devpts", dev + "/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620"));
  steps.push_back(mkdir_step(dev + "/shm", 01777));
  steps.push_back(mount_step("tmpfs", dev + "/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=64m"));
}

void add_parents(std::vector<Step>& steps, const std::string& root, const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1))
    steps.push_back(mkdir_step(root + path.substr(0, slash)));
  steps.push_back(mkdir_step(root + path));
}

}  // namespace

std::vector<Step> root_steps(const RootOptions& options) {
  std::vector<Step> steps;
  const std::string& stage = options.stage;
  const std::string root = stage + "/root";
  steps.push_back(mount_step("none", "/", "", MS_REC | MS_PRIVATE));
  steps.push_back(mount_step("tmpfs", stage, "tmpfs", 0, "mode=755"));
  for (const char* part : {"/upper", "/work", "/root"}) steps.push_back(mkdir_step(stage + part));
  steps.push_back(mount_step("overlay", root, "overlay", 0,
                             "lowerdir=" + options.lower + ",upperdir=" + stage + "/upper,workdir=" + stage + "/work"));
  for (const auto& path : options.submounts) {
    add_parents(steps, root, path);
    steps.push_back(mount_step(path, root + path, "", MS_BIND | MS_REC));
    steps.push_back(mount_step("none", root + path, "", MS_BIND | MS_REMOUNT | MS_RDONLY));
  }
  steps.push_back(options.own_pids ? mount_step("proc", root + "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
                                   : mount_step("/proc", root + "/proc", "", MS_BIND | MS_REC));
  steps.push_back(options.own_net ? mount_step("sysfs", root + "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC)
                                  : mount_step("/sys", root + "/sys", "", MS_BIND | MS_REC));
  add_devices(steps, root);
  steps.push_back(mount_step("tmpfs", root + "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755"));
  steps.push_back(mount_step("tmpfs", root + "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777"));
  add_parents(steps, root, kProgramFolder);
  steps.push_back(mount_step(options.programs, root + kProgramFolder, "", MS_BIND));
  steps.push_back(mount_step("none", root + kProgramFolder, "", MS_BIND | MS_REMOUNT | MS_RDONLY));
  steps.push_back(
      {.kind = Kind::Symlink, .a = std::string(kProgramFolder) + "/causeway", .b = root + "/usr/bin/causeway"});
  for (const auto& [path, content] : options.files) {
    const size_t slash = path.rfind('/');
    if (slash != 0) add_parents(steps, root, path.substr(0, slash));
    steps.push_back(write_step(root + path, content));
  }
  if (options.node) {
    steps.push_back({.kind = Kind::Unshare, .flags = CLONE_NEWCGROUP});
    steps.push_back(mount_step("cgroup2", root + "/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC));
    steps.push_back(mount_step("bpf", root + "/sys/fs/bpf", "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=700"));
    steps.push_back(mkdir_step(root + "/run/lab"));
    steps.push_back(mkdir_step(root + kBaseRoot));
    steps.push_back(mkdir_step(root + kStage));
    steps.push_back(mount_step(options.lower, root + kBaseRoot, "", MS_BIND));
  }
  steps.push_back({.kind = Kind::Chdir, .a = root});
  steps.push_back({.kind = Kind::PivotHere});
  return steps;
}

std::vector<std::string> submounts_of(const std::string& mountinfo) {
  static const std::set<std::string> kPseudo = {
      "proc",    "sysfs",       "devtmpfs",   "devpts", "tmpfs",    "cgroup",     "cgroup2", "bpf",
      "debugfs", "tracefs",     "securityfs", "pstore", "mqueue",   "hugetlbfs",  "fusectl", "configfs",
      "autofs",  "binfmt_misc", "nsfs",       "ramfs",  "efivarfs", "rpc_pipefs", "overlay"};
  std::set<std::string> found;
  std::istringstream lines(mountinfo);
  for (std::string line; std::getline(lines, line);) {
    // 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw  (proc(5))
    std::istringstream fields(line);
    std::string id, parent, device, root, target, option, kind;
    fields >> id >> parent >> device >> root >> target;
    while (fields >> option && option != "-") {
    }
    fields >> kind;
    bool hidden = target == "/" || kPseudo.contains(kind) || target.find('\\') != std::string::npos;
    for (const char* top : {"/proc/", "/sys/", "/dev/", "/run/", "/tmp/"})
      hidden = hidden || (target + "/").starts_with(top);
    // A file bound over a file (/etc/resolv.conf of a container) is in the overlay's lower layer as what lies below.
    if (!hidden && root != "/" && target.starts_with("/etc/")) hidden = true;
    if (!hidden) found.insert(target);
  }
  // What lies below another one comes along with it.
  std::vector<std::string> out;
  for (const auto& path : found)
    if (out.empty() || !path.starts_with(out.back() + "/")) out.push_back(path);
  return out;
}

}  // namespace causeway::lab
