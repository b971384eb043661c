#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/fd.h"

namespace causeway {
namespace {

Status write_all(int fd, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail_errno(errno, "write " + path);
    content.remove_prefix(size_t(written));
  }
  return ok();
}

}  // namespace

Result<std::string> read_file(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno(errno, "open " + path);
  std::string content;
  char buffer[16384];
  for (;;) {
    const ssize_t count = ::read(fd.get(), buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "read " + path);
    if (count == 0) return content;
    content.append(buffer, size_t(count));
  }
}

Status replace_file(const std::string& path, std::string_view content, mode_t mode, bool sync) {
  const std::string temporary = path + ".tmp." + std::to_string(::getpid());
  Fd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
  if (!fd) return fail_errno(errno, "create " + temporary);
  auto written = write_all(fd.get(), content, temporary);
  if (written && sync && ::fsync(fd.get()) != 0) written = fail_errno(errno, "fsync " + temporary);
  if (written && ::rename(temporary.c_str(), path.c_str()) != 0) written = fail_errno(errno, "rename to " + path);
  if (!written) {
    ::unlink(temporary.c_str());
    return written;
  }
  if (sync) {
    const auto slash = path.rfind('/');
    Fd directory(::open(slash == std::string::npos ? "." : path.substr(0, slash + 1).c_str(), O_RDONLY | O_CLOEXEC));
    if (directory) ::fsync(directory.get());
  }
  return ok();
}

Status write_existing(const std::string& path, std::string_view content) {
  Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return fail_errno(errno, "open " + path);
  return write_all(fd.get(), content, path);
}

}  // namespace causeway
