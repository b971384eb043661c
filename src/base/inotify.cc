#include "base/inotify.h"

#include <fcntl.h>
#include <sys/inotify.h>

#include <cerrno>
#include <vector>

#include "base/file.h"

namespace causeway {
namespace {

constexpr const char* kLimit = "/proc/sys/fs/inotify/max_user_instances";

std::string advice() {
  auto text = read_file(kLimit);
  const std::string now = text ? text->substr(0, text->find('\n')) : "unknown";
  return fmt::format(
      "this user's inotify instances are used up (fs.inotify.max_user_instances is {}): raise it, for example `sysctl "
      "-w fs.inotify.max_user_instances=1024`",
      now);
}

}  // namespace

Result<Fd> open_inotify() {
  Fd fd(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (fd) return fd;
  const int error = errno;
  // inotify(7) says EMFILE for two limits: the process's descriptors are the cause only if nothing else opens either.
  if (error == EMFILE && Fd(::open("/", O_PATH | O_CLOEXEC))) return fail(Errc::Exhausted, "{}", advice());
  return fail_errno(error, "inotify");
}

Status check_inotify_room(int count) {
  std::vector<Fd> taken;
  for (int i = 0; i < count; ++i) {
    auto fd = open_inotify();
    if (!fd) return fail(std::move(fd.error()).with("{} inotify instances are needed and {} are left", count, i));
    taken.push_back(std::move(*fd));
  }
  return ok();
}

}  // namespace causeway
