#include "lab/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <filesystem>

#include "base/file.h"

namespace causeway::lab {

namespace fs = std::filesystem;

Result<std::string> find_cgroup_root() {
  const std::string mounts = TRY(read_file("/proc/self/mounts"));
  for (size_t start = 0; start < mounts.size();) {
    const size_t end = std::min(mounts.find('\n', start), mounts.size());
    const std::string line = mounts.substr(start, end - start);
    start = end + 1;
    const size_t target = line.find(' ') + 1;
    const size_t kind = line.find(' ', target) + 1;
    if (line.compare(kind, 8, "cgroup2 ") == 0) return line.substr(target, kind - 1 - target);
  }
  return fail(Errc::Unsupported,
              "no cgroup2 file system is mounted; the lab keeps each node in a v2 cgroup: mount -t cgroup2 none "
              "/sys/fs/cgroup");
}

Result<Fd> open_cgroup(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return fail_errno(error.value(), "make the cgroup " + path);
  Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno(errno, "open the cgroup " + path);
  return fd;
}

std::vector<pid_t> processes_of(const std::string& path) {
  std::vector<pid_t> out;
  auto text = read_file(path + "/cgroup.procs");
  if (!text) return out;
  for (size_t start = 0; start < text->size();) {
    const size_t end = std::min(text->find('\n', start), text->size());
    // 0: a process of another pid namespace that is not ours to see.
    if (const pid_t pid = std::atoi(text->c_str() + start); pid > 0) out.push_back(pid);
    start = end + 1;
  }
  return out;
}

Status kill_cgroup(const std::string& path) {
  auto killed = write_existing(path + "/cgroup.kill", "1");
  if (!killed && killed.error().code() == Errc::NotFound) return ok();
  return killed;
}

Status wait_until_empty(const std::string& path, Duration limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  Fd events(::open((path + "/cgroup.events").c_str(), O_RDONLY | O_CLOEXEC));
  if (!events) return ok();
  for (;;) {
    char text[128] = "";
    const ssize_t size = ::pread(events.get(), text, sizeof text - 1, 0);
    if (size < 0 || std::string_view(text).find("populated 0") != std::string_view::npos) return ok();
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return fail(Errc::Timeout, "processes stay in the cgroup {}: see its cgroup.procs", path);
    pollfd waiting{events.get(), POLLPRI, 0};
    ::poll(&waiting, 1, static_cast<int>(left.count()));
  }
}

Status remove_cgroup(const std::string& path) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path, error))
    if (entry.is_directory(error)) TRY(remove_cgroup(entry.path()));
  if (::rmdir(path.c_str()) == 0 || errno == ENOENT) return ok();
  return fail_errno(errno, "remove the cgroup " + path);
}

}  // namespace causeway::lab
