#include "kernel/netns/netns.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "base/file.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71  // kernel 5.14; Debian 12's libc headers have it, older ones not
#endif

namespace causeway::netns {
namespace {

constexpr const char* kOwnNamespace = "/proc/thread-self/ns/net";

Status make_folders(const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1))
    if (::mkdir(path.substr(0, slash).c_str(), 0755) != 0 && errno != EEXIST)
      return fail_errno(errno, "make folder " + path.substr(0, slash));
  return ok();
}

Status raise_loopback() {
  Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return fail_errno(errno, "open a socket");
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) return fail_errno(errno, "raise lo");
  return ok();
}

// Runs `work` on a thread of its own: a thread's namespace cannot always be given back, so it ends with the work.
Status on_own_thread(std::move_only_function<Status()> work) {
  Status status;
  std::thread([&] { status = work(); }).join();
  return status;
}

}  // namespace

std::string to_string(const Id& id) { return std::to_string(id.device) + ":" + std::to_string(id.inode); }

Result<Fd> open(const std::string& path) {
  // O_NONBLOCK: a fifo of that name must not hang us.
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return fail_errno(errno, "open network namespace " + path);
  const int type = ::ioctl(fd.get(), NS_GET_NSTYPE);
  if (type != CLONE_NEWNET) return fail(Errc::Invalid, "{} is no network namespace", path);
  return fd;
}

Result<Fd> open_self() { return open(kOwnNamespace); }

Result<Id> id_of(int netns_fd) {
  struct stat status;
  if (::fstat(netns_fd, &status) != 0) return fail_errno(errno, "stat a network namespace");
  return Id{.device = status.st_dev, .inode = status.st_ino};
}

Result<uint64_t> cookie_of(int netns_fd) {
  return call_in(netns_fd, []() -> Result<uint64_t> {
    Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!socket) return fail_errno(errno, "open a socket");
    uint64_t cookie = 0;
    socklen_t size = sizeof cookie;
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) != 0)
      return fail_errno(errno, "read the cookie of a network namespace");
    return cookie;
  });
}

Result<Fd> create() {
  Result<Fd> created = fail(Errc::Internal, "not run");
  TRY(on_own_thread([&]() -> Status {
    if (::unshare(CLONE_NEWNET) != 0) return fail_errno(errno, "make a network namespace");
    created = TRY(open_self());
    return raise_loopback();
  }));
  return created;
}

Status pin(int netns_fd, const std::string& path) {
  TRY(make_folders(path));
  {
    Fd file(::open(path.c_str(), O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444));
    if (!file) return fail_errno(errno, "create " + path);
  }
  // The mount is made from the caller's mount namespace: threads share it.
  const std::string source = "/proc/self/fd/" + std::to_string(netns_fd);
  if (::mount(source.c_str(), path.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    const int error = errno;
    ::unlink(path.c_str());
    return fail_errno(error, "pin a network namespace at " + path);
  }
  return ok();
}

Status unpin(const std::string& path) {
  while (::umount2(path.c_str(), MNT_DETACH) == 0) {
  }
  if (errno != EINVAL && errno != ENOENT) return fail_errno(errno, "unmount " + path);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, "remove " + path);
  return ok();
}

Status run_in(int netns_fd, std::move_only_function<Status()> work) {
  return on_own_thread([&]() -> Status {
    if (::setns(netns_fd, CLONE_NEWNET) != 0) return fail_errno(errno, "enter a network namespace");
    return work();
  });
}

Status visit(int netns_fd, const std::function<Status()>& work) {
  const Fd own = TRY(open_self());
  if (::setns(netns_fd, CLONE_NEWNET) != 0) return fail_errno(errno, "enter a network namespace");
  Status done = work();
  if (::setns(own.get(), CLONE_NEWNET) != 0) std::abort();
  return done;
}

Result<std::string> read_sysctl(const std::string& name) {
  auto text = TRY(read_file("/proc/sys/net/" + name));
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

Status write_sysctl(const std::string& name, std::string_view value) {
  if (auto current = read_sysctl(name); current && *current == value) return ok();
  return write_existing("/proc/sys/net/" + name, value);
}

}  // namespace causeway::netns
