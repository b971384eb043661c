#include "lab/spawn.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>

namespace causeway::lab {
namespace {

// What the child tells the parent when it gives up. `where` counts steps; negative values name the rest.
struct Failure {
  int where;
  int error;
};
constexpr int kJoin = -1, kDescriptors = -2, kDirectory = -3, kExec = -4, kIdentity = -5;

bool write_all(int fd, const char* data, size_t size) {
  while (size > 0) {
    const ssize_t done = ::write(fd, data, size);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return false;
    data += done;
    size -= static_cast<size_t>(done);
  }
  return true;
}

bool fill_file(int fd, const std::string& content) {
  if (fd < 0) return false;
  const bool good = write_all(fd, content.data(), content.size());
  const int error = errno;
  ::close(fd);
  errno = error;
  return good;
}
bool write_file(const Step& step, int flags) {
  return fill_file(::open(step.a.c_str(), flags | O_WRONLY | O_CLOEXEC, step.mode), step.b);
}

int open_inside(int root, const char* path, uint64_t flags) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(::syscall(SYS_openat2, root, path, &how, sizeof how));
}

// The folder of a path inside a root, made where it is missing; `name` is what is left of the path. -1: errno says why.
int open_parent(const Step& step, const std::string& path, const char** name) {
  int root = ::open(step.root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) return -1;
  int folder = ::fcntl(root, F_DUPFD_CLOEXEC, 0);
  char part[PATH_MAX];
  const char* text = path.c_str();
  while (*text == '/') ++text;
  const char* start = text;
  for (const char* at = text; folder >= 0; ++at) {
    if (*at != '/' && *at != 0) continue;
    if (*at == 0) break;
    const size_t size = static_cast<size_t>(at - text);
    if (size >= sizeof part) {
      ::close(folder);
      folder = -1;
      errno = ENAMETOOLONG;
      break;
    }
    memcpy(part, text, size);
    part[size] = 0;
    int next = open_inside(root, part, O_PATH | O_DIRECTORY);
    if (next < 0 && errno == ENOENT) {
      char last[NAME_MAX + 1];
      const size_t length = static_cast<size_t>(at - start);
      if (length <= NAME_MAX) {
        memcpy(last, start, length);
        last[length] = 0;
        if (::mkdirat(folder, last, 0755) == 0) next = open_inside(root, part, O_PATH | O_DIRECTORY);
      }
    }
    ::close(folder);
    folder = next;
    while (at[1] == '/') ++at;
    start = at + 1;
  }
  const int error = errno;
  ::close(root);
  errno = error;
  *name = start;
  return folder;
}

// What a path inside a root names, behind its links, as a descriptor; made as a folder or a file where it is missing.
int open_target(const Step& step, const std::string& path, bool file) {
  const char* name = nullptr;
  const int folder = open_parent(step, path, &name);
  if (folder < 0) return -1;
  if (file) {
    const int made = ::openat(folder, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
    if (made >= 0) ::close(made);
  } else if (*name != 0) {
    ::mkdirat(folder, name, step.mode);
  }
  ::close(folder);
  const int root = ::open(step.root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) return -1;
  const char* text = path.c_str();
  while (*text == '/') ++text;
  const int fd = open_inside(root, *text == 0 ? "." : text, O_PATH);
  const int error = errno;
  ::close(root);
  errno = error;
  return fd;
}

bool mount_inside(const Step& step) {
  auto text = [](const std::string& value) { return value.empty() ? nullptr : value.c_str(); };
  struct stat source{};
  const bool file = (step.flags & MS_BIND) != 0 && (step.flags & MS_REMOUNT) == 0 && !step.a.empty() &&
                    ::stat(step.a.c_str(), &source) == 0 && !S_ISDIR(source.st_mode);
  const int target = open_target(step, step.b, file);
  if (target < 0) return false;
  char path[64] = "/proc/self/fd/";
  size_t at = strlen(path);
  for (int power = 1'000'000; power > 0; power /= 10)
    if (target >= power || power == 1) path[at++] = static_cast<char>('0' + target / power % 10);
  path[at] = 0;
  const bool good = ::mount(text(step.a), path, text(step.c), step.flags, text(step.data)) == 0;
  const int error = errno;
  ::close(target);
  errno = error;
  return good;
}

// The steps that have a root.
bool run_inside(const Step& step) {
  if (step.kind == Step::Kind::Mount) return mount_inside(step);
  if (step.kind == Step::Kind::Mkdir || step.kind == Step::Kind::Touch) {
    const int target = open_target(step, step.a, step.kind == Step::Kind::Touch);
    if (target >= 0) ::close(target);
    return target >= 0;
  }
  const bool link = step.kind == Step::Kind::Symlink;
  const char* name = nullptr;
  const int folder = open_parent(step, link ? step.b : step.a, &name);
  if (folder < 0) return false;
  bool good = false;
  if (step.kind == Step::Kind::Mknod) {
    good = ::mknodat(folder, name, step.mode, step.flags) == 0 && ::fchmodat(folder, name, step.mode & 07777, 0) == 0;
  } else {
    // A link there (resolv.conf) is replaced, not followed.
    ::unlinkat(folder, name, 0);
    good = link ? ::symlinkat(step.a.c_str(), folder, name) == 0
                : fill_file(::openat(folder, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, step.mode), step.b);
  }
  const int error = errno;
  ::close(folder);
  errno = error;
  return good;
}

bool reads_so(const Step& step) {
  const int fd = ::open(step.a.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  char buffer[256];
  ssize_t size = ::read(fd, buffer, sizeof buffer);
  ::close(fd);
  while (size > 0 && buffer[size - 1] == '\n') --size;
  return size >= 0 && step.b.size() == static_cast<size_t>(size) && memcmp(buffer, step.b.data(), step.b.size()) == 0;
}

bool loopback_up() {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  ifreq request{};
  strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  const bool good = ::ioctl(fd, SIOCSIFFLAGS, &request) == 0;
  ::close(fd);
  return good;
}

bool run_step(const Step& step) {
  auto text = [](const std::string& value) { return value.empty() ? nullptr : value.c_str(); };
  if (!step.root.empty()) return run_inside(step);
  switch (step.kind) {
    case Step::Kind::Mount:
      return ::mount(text(step.a), step.b.c_str(), text(step.c), step.flags, text(step.data)) == 0;
    case Step::Kind::Unmount: return ::umount2(step.a.c_str(), static_cast<int>(step.flags)) == 0;
    case Step::Kind::Mkdir: return ::mkdir(step.a.c_str(), step.mode) == 0 || errno == EEXIST;
    case Step::Kind::Touch: return write_file(step, O_CREAT);
    case Step::Kind::Mknod:
      return ::mknod(step.a.c_str(), step.mode, step.flags) == 0 && ::chmod(step.a.c_str(), step.mode & 07777) == 0;
    case Step::Kind::Symlink: ::unlink(step.b.c_str()); return ::symlink(step.a.c_str(), step.b.c_str()) == 0;
    case Step::Kind::Write:
      // A link there (resolv.conf) is replaced, not followed.
      ::unlink(step.a.c_str());
      return write_file(step, O_CREAT | O_TRUNC);
    case Step::Kind::WriteIfDiffers: return reads_so(step) || write_file(step, 0);
    case Step::Kind::Chdir: return ::chdir(step.a.c_str()) == 0;
    case Step::Kind::PivotHere:
      return ::syscall(SYS_pivot_root, ".", ".") == 0 && ::umount2(".", MNT_DETACH) == 0 && ::chdir("/") == 0;
    case Step::Kind::Unshare: return ::unshare(static_cast<int>(step.flags)) == 0;
    case Step::Kind::Hostname: return ::sethostname(step.a.data(), step.a.size()) == 0;
    case Step::Kind::LoopbackUp: return loopback_up();
  }
  return false;
}

// All that the child needs, laid out before the clone.
struct Prepared {
  std::vector<char*> argv;
  std::vector<char*> env;
  std::vector<std::string> candidates;  // where argv[0] may be
  std::vector<int> sources;             // one for each entry of descriptors, duplicated out of the way
  int report = -1;
};

bool place_descriptors(const SpawnOptions& options, Prepared& prepared) {
  // First out of the way of every target number, then into place.
  constexpr int kAbove = 100;
  for (size_t i = 0; i < options.descriptors.size(); ++i) {
    prepared.sources[i] = ::fcntl(options.descriptors[i].first, F_DUPFD_CLOEXEC, kAbove);
    if (prepared.sources[i] < 0) return false;
  }
  const int report = ::fcntl(prepared.report, F_DUPFD_CLOEXEC, kAbove);
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (report < 0) return false;
  if (null >= 0)
    for (int fd = 0; fd <= 2; ++fd) ::dup2(null, fd);
  prepared.report = report;
  int last = 2;
  for (size_t i = 0; i < options.descriptors.size(); ++i) {
    if (::dup2(prepared.sources[i], options.descriptors[i].second) < 0) return false;
    last = std::max(last, options.descriptors[i].second);
  }
  // What lies between the targets is nobody's; what lies above may serve until execve() (the report).
  for (int fd = 3; fd < last; ++fd) {
    bool wanted = false;
    for (const auto& [source, target] : options.descriptors) wanted = wanted || target == fd;
    if (!wanted) ::close(fd);
  }
  ::syscall(SYS_close_range, last + 1, ~0U, 1U << 2 /* CLOSE_RANGE_CLOEXEC */);
  return true;
}

[[noreturn]] void run_child(const SpawnOptions& options, Prepared& prepared) {
  auto give_up = [&](int where) {
    const Failure failure{where, errno};
    write_all(prepared.report, reinterpret_cast<const char*>(&failure), sizeof failure);
    ::_exit(127);
  };
  ::setsid();
  struct sigaction reset{};
  reset.sa_handler = SIG_DFL;
  for (int signal = 1; signal < 32; ++signal) ::sigaction(signal, &reset, nullptr);
  for (const int fd : options.join)
    if (::setns(fd, 0) != 0) give_up(kJoin);
  for (size_t i = 0; i < options.steps.size(); ++i)
    if (!run_step(options.steps[i])) give_up(static_cast<int>(i));
  if (!place_descriptors(options, prepared)) give_up(kDescriptors);
  if (!options.directory.empty() && ::chdir(options.directory.c_str()) != 0) give_up(kDirectory);
  if (options.identity && !become(*options.identity)) give_up(kIdentity);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  int error = ENOENT;
  for (const std::string& path : prepared.candidates) {
    ::execve(path.c_str(), prepared.argv.data(), prepared.env.data());
    if (errno != ENOENT && errno != ENOTDIR) error = errno;
  }
  errno = error;
  give_up(kExec);
  ::_exit(127);
}

std::vector<std::string> candidates(const SpawnOptions& options) {
  const std::string& name = options.argv.front();
  if (name.find('/') != std::string::npos) return {name};
  std::string path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  for (const std::string& entry : options.env)
    if (entry.starts_with("PATH=")) path = entry.substr(5);
  std::vector<std::string> out;
  for (size_t start = 0; start <= path.size();) {
    const size_t end = std::min(path.find(':', start), path.size());
    if (end > start) out.push_back(path.substr(start, end - start) + "/" + name);
    start = end + 1;
  }
  return out;
}

std::unexpected<Error> explain(const SpawnOptions& options, Failure failure) {
  if (failure.where == kJoin) return fail_errno(failure.error, "enter the namespaces");
  if (failure.where == kDescriptors) return fail_errno(failure.error, "pass file descriptors");
  if (failure.where == kDirectory) return fail_errno(failure.error, "chdir " + options.directory);
  if (failure.where == kIdentity) return fail_errno(failure.error, "take on user, groups and capabilities");
  if (failure.where == kExec) return fail_errno(failure.error, "exec \"" + options.argv.front() + "\"");
  return fail_errno(failure.error, to_string(options.steps[static_cast<size_t>(failure.where)]));
}

}  // namespace

// System calls, not the C library's functions: those tell the parent's other threads, which the child has not.
bool become(const Identity& identity) {
  for (int number = 0; number < 64; ++number)
    if ((identity.capabilities >> number & 1) == 0 && ::prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0) {
      if (errno == EINVAL) break;  // the kernel has no more
      return false;
    }
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  if (::syscall(SYS_setgroups, identity.groups.size(), identity.groups.data()) != 0) return false;
  if (::syscall(SYS_setresgid, identity.gid, identity.gid, identity.gid) != 0) return false;
  if (::syscall(SYS_setresuid, identity.uid, identity.uid, identity.uid) != 0) return false;
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  if (::syscall(SYS_capget, &header, data) != 0) return false;
  for (int half = 0; half < 2; ++half) {
    const auto mask = static_cast<uint32_t>(identity.capabilities >> (32 * half));
    data[half].permitted &= mask;
    data[half].effective &= mask;
    data[half].inheritable = 0;
  }
  if (::syscall(SYS_capset, &header, data) != 0) return false;
  return !identity.no_new_privileges || ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

Result<Child> spawn(const SpawnOptions& options) {
  Prepared prepared;
  for (const auto& argument : options.argv) prepared.argv.push_back(const_cast<char*>(argument.c_str()));
  for (const auto& entry : options.env) prepared.env.push_back(const_cast<char*>(entry.c_str()));
  prepared.argv.push_back(nullptr);
  prepared.env.push_back(nullptr);
  prepared.candidates = candidates(options);
  prepared.sources.resize(options.descriptors.size(), -1);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  Fd read_end(ends[0]);
  Fd write_end(ends[1]);
  prepared.report = write_end.get();

  int pidfd = -1;
  clone_args arguments{};
  arguments.flags = options.clone_flags | CLONE_PIDFD;
  arguments.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  arguments.exit_signal = SIGCHLD;
  if (options.cgroup_fd >= 0) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<uint64_t>(options.cgroup_fd);
  }
  // Only where children are born changes, and only until this one is (setns(2), CLONE_NEWPID).
  Fd own;
  if (options.born_in >= 0) {
    own = Fd(::open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC));
    if (!own || ::setns(options.born_in, CLONE_NEWPID) != 0) return fail_errno(errno, "enter the pid namespace");
  }
  // Signals wait, so that no handler of the parent runs in the child.
  sigset_t all, before;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &before);
  const long pid = ::syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid == 0) run_child(options, prepared);
  const int error = errno;
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  if (own && ::setns(own.get(), CLONE_NEWPID) != 0) std::abort();  // our next children would be somebody else's
  if (pid < 0) return fail_errno(error, "clone3 for \"" + options.argv.front() + "\"");
  Child child{static_cast<pid_t>(pid), Fd(pidfd)};
  write_end.reset();
  Failure failure{};
  ssize_t size = 0;
  do {
    size = ::read(read_end.get(), &failure, sizeof failure);
  } while (size < 0 && errno == EINTR);
  if (size == 0) return child;
  ::waitpid(child.pid, nullptr, 0);
  return explain(options, failure);
}

ExitStatus exit_status_of(int status) {
  if (WIFSIGNALED(status)) return {128 + WTERMSIG(status), WTERMSIG(status)};
  return {WEXITSTATUS(status), 0};
}

std::string to_string(const Step& step) {
  switch (step.kind) {
    case Step::Kind::Mount:
      return fmt::format("mount {}{}{} on {}", step.c.empty() ? "" : step.c + " ", step.a,
                         step.data.empty() ? "" : " (" + step.data + ")", step.root + step.b);
    case Step::Kind::Unmount: return "unmount " + step.a;
    case Step::Kind::Mkdir: return "mkdir " + step.root + step.a;
    case Step::Kind::Touch: return "make the file " + step.root + step.a;
    case Step::Kind::Mknod: return "mknod " + step.root + step.a;
    case Step::Kind::Symlink: return "symlink " + step.root + step.b + " to " + step.a;
    case Step::Kind::Write: return "write " + step.root + step.a;
    case Step::Kind::WriteIfDiffers: return "write " + step.b + " to " + step.a;
    case Step::Kind::Chdir: return "chdir " + step.a;
    case Step::Kind::PivotHere: return "pivot_root";
    case Step::Kind::Unshare: return fmt::format("unshare {:#x}", step.flags);
    case Step::Kind::Hostname: return "sethostname " + step.a;
    case Step::Kind::LoopbackUp: return "bring lo up";
  }
  return "step";
}

}  // namespace causeway::lab
