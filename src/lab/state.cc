#include "lab/state.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/file.h"
#include "lab/cgroup.h"

namespace causeway::lab {

namespace fs = std::filesystem;

Result<Paths> paths_of(const std::string& lab) {
  return Paths{std::string(kStateRoot) + "/" + lab, TRY(find_cgroup_root()) + "/causeway-lab/" + lab};
}

std::vector<std::string> registered_labs() {
  std::vector<std::string> out;
  std::error_code error;
  auto collect = [&](const std::string& folder) {
    for (const auto& entry : fs::directory_iterator(folder, error))
      if (entry.is_directory(error)) out.push_back(entry.path().filename());
  };
  collect(kStateRoot);
  if (auto root = find_cgroup_root()) collect(*root + "/causeway-lab");
  std::ranges::sort(out);
  out.erase(std::ranges::unique(out).begin(), out.end());
  return out;
}

Result<Spec> read_spec(const Paths& paths) { return decode_spec(TRY(read_file(paths.spec()))); }

Result<std::optional<Fd>> try_lock(const std::string& path) {
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) return fail_errno(errno, "open " + path);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return std::optional(std::move(fd));
  if (errno == EWOULDBLOCK) return std::optional<Fd>();
  return fail_errno(errno, "lock " + path);
}

Result<Begun> begin_operation(const std::string& lab, std::string_view verb) {
  const std::string path = std::string(kStateRoot) + "/." + lab + ".lock";
  std::error_code error;
  fs::create_directories(kStateRoot, error);
  for (;;) {
    Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd) return fail_errno(errno, "open " + path);
    // A record lock, not flock: of this one the kernel tells the holder (F_GETLK, fcntl(2)).
    struct flock all{.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0, .l_pid = 0};
    if (::fcntl(fd.get(), F_SETLK, &all) == 0) {
      // Whoever had it may have removed the file, and somebody else made a new one.
      struct stat ours{}, there{};
      if (::fstat(fd.get(), &ours) != 0 || ::stat(path.c_str(), &there) != 0 || ours.st_ino != there.st_ino) continue;
      if (::ftruncate(fd.get(), 0) != 0 || ::pwrite(fd.get(), verb.data(), verb.size(), 0) < 0)
        return fail_errno(errno, "write " + path);
      return Result<Begun>(std::in_place, Operation{std::move(fd), path});
    }
    if (errno != EAGAIN && errno != EACCES) return fail_errno(errno, "lock " + path);
    if (::fcntl(fd.get(), F_GETLK, &all) != 0) return fail_errno(errno, "lock " + path);
    if (all.l_type == F_UNLCK) continue;  // released meanwhile
    char text[16];
    const ssize_t size = ::pread(fd.get(), text, sizeof text, 0);
    const std::string holder(text, static_cast<size_t>(std::max<ssize_t>(size, 0)));
    return Result<Begun>(std::in_place, std::unexpected(OperationHolder{all.l_pid, holder}));
  }
}

bool keeper_alive(const Paths& paths) {
  std::error_code error;
  if (!fs::exists(keeper_lock(paths), error)) return false;
  auto lock = try_lock(keeper_lock(paths));
  return lock && !*lock;
}

pid_t process_in(const std::string& cgroup) {
  const auto pids = processes_of(cgroup);
  return pids.empty() ? 0 : pids.front();
}

Result<Fd> open_namespace(pid_t pid, const char* kind) {
  const auto path = fmt::format("/proc/{}/ns/{}", pid, kind);
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno(errno, "open " + path);
  return fd;
}

Result<std::string> program_folder() {
  char path[PATH_MAX];
  const ssize_t size = ::readlink("/proc/self/exe", path, sizeof path);
  if (size <= 0) return fail_errno(errno, "find our own binary");
  return fs::path(std::string(path, static_cast<size_t>(size))).parent_path().string();
}

}  // namespace causeway::lab
