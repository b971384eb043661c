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

// Everything is put together inside one folder; what an image has in the way of links does not lead out of it.
class Builder {
 public:
  explicit Builder(std::string root) : root_(std::move(root)) {}

  void mount(std::string source, std::string target, std::string kind, unsigned long flags = 0, std::string data = {}) {
    steps.push_back(
        {Kind::Mount, std::move(source), std::move(target), std::move(kind), std::move(data), flags, 0755, root_});
  }
  void mkdir(std::string path, mode_t mode = 0755) {
    steps.push_back({.kind = Kind::Mkdir, .a = std::move(path), .mode = mode, .root = root_});
  }
  void bind(const std::string& source, const std::string& target, bool read_only, unsigned long flags = 0) {
    mount(source, target, "", MS_BIND | flags);
    if (read_only) mount("none", target, "", MS_BIND | MS_REMOUNT | MS_RDONLY);
  }
  void write(std::string path, std::string content) {
    steps.push_back({.kind = Kind::Write, .a = std::move(path), .b = std::move(content), .mode = 0644, .root = root_});
  }
  void link(std::string target, std::string path) {
    steps.push_back({.kind = Kind::Symlink, .a = std::move(target), .b = std::move(path), .root = root_});
  }
  void add_devices();

  std::vector<Step> steps;

 private:
  std::string root_;
};

void Builder::add_devices() {
  mount("tmpfs", "/dev", "tmpfs", MS_NOSUID, "mode=755,size=64k");
  struct Device {
    const char* name;
    unsigned major, minor;
  };
  for (const Device& device : {Device{"null", 1, 3}, Device{"zero", 1, 5}, Device{"full", 1, 7}, Device{"random", 1, 8},
                               Device{"urandom", 1, 9}, Device{"tty", 5, 0}})
    steps.push_back({.kind = Kind::Mknod,
                     .a = std::string("/dev/") + device.name,
                     .flags = makedev(device.major, device.minor),
                     .mode = S_IFCHR | 0666,
                     .root = root_});
  for (const auto& [target, name] :
       {std::pair{"/proc/self/fd", "fd"}, std::pair{"/proc/self/fd/0", "stdin"}, std::pair{"/proc/self/fd/1", "stdout"},
        std::pair{"/proc/self/fd/2", "stderr"}, std::pair{"pts/ptmx", "ptmx"}})
    link(target, std::string("/dev/") + name);
  mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620");
  mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=64m");
}

Step mount_step(std::string source, std::string target, std::string kind, unsigned long flags = 0,
                std::string data = {}) {
  return {Kind::Mount, std::move(source), std::move(target), std::move(kind), std::move(data), flags};
}

}  // namespace

std::vector<Step> root_steps(const RootOptions& options) {
  const std::string& stage = options.stage;
  const std::string root = stage + "/root";
  Builder builder(root);
  auto& steps = builder.steps;
  steps.push_back(mount_step("none", "/", "", MS_REC | MS_PRIVATE));
  steps.push_back(mount_step("tmpfs", stage, "tmpfs", 0, "mode=755"));
  for (const char* part : {"/upper", "/work", "/root"})
    steps.push_back({.kind = Kind::Mkdir, .a = stage + part, .mode = 0755});
  steps.push_back(mount_step("overlay", root, "overlay", 0,
                             "lowerdir=" + options.lower + ",upperdir=" + stage + "/upper,workdir=" + stage + "/work"));
  for (const auto& path : options.submounts) builder.bind(path, path, true, MS_REC);
  if (options.own_pids)
    builder.mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC);
  else
    builder.bind("/proc", "/proc", false, MS_REC);
  if (options.own_net)
    builder.mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC);
  else
    builder.bind("/sys", "/sys", false, MS_REC);
  builder.add_devices();
  if (!options.image) {
    builder.mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755");
    builder.mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
    builder.bind(options.programs, kProgramFolder, true);
    builder.link(std::string(kProgramFolder) + "/causeway", "/usr/bin/causeway");
  }
  for (const auto& [path, content] : options.files) builder.write(path, content);
  if (options.node) {
    steps.push_back({.kind = Kind::Unshare, .flags = CLONE_NEWCGROUP});
    builder.mount("cgroup2", "/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC);
    builder.mount("bpf", "/sys/fs/bpf", "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=700");
    builder.mkdir(kStage);
    builder.mkdir(kVolumeFolder);
    builder.bind(options.lower, kBaseRoot, false);
    if (!options.images.empty()) builder.bind(options.images, kImageFolder, true);
  }
  if (!options.directory.empty()) builder.mkdir(options.directory);
  for (const auto& mount : options.mounts) builder.bind(mount.source, mount.target, mount.read_only, MS_REC);
  if (options.read_only) {
    std::vector<std::string> own{""};
    if (!options.image) own = {"/run", "/tmp", ""};
    for (const auto& path : own) steps.push_back(mount_step("none", root + path, "", MS_BIND | MS_REMOUNT | MS_RDONLY));
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
