#include "kernel/bpf/pins.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

namespace causeway::bpf {

namespace fs = std::filesystem;

namespace {

bool is_bpffs(const std::string& path) {
  struct statfs stat{};
  return ::statfs(path.c_str(), &stat) == 0 && static_cast<unsigned long>(stat.f_type) == BPF_FS_MAGIC;
}

}  // namespace

Status mount_bpffs(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (is_bpffs(path)) return ok();
  if (::mount("bpf", path.c_str(), "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") == 0) return ok();
  if (errno == ENODEV)
    return fail(Errc::Unsupported, "mount bpffs on {}: this kernel has no BPF (CONFIG_BPF_SYSCALL)", path);
  return fail_errno(errno, fmt::format("mount bpffs on {}", path));
}

Status make_pin_folder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return fail_errno(error.value(), fmt::format("create pin folder {}", path));
  if (!is_bpffs(path))
    return fail(Errc::Invalid, "pin folder {}: not in a bpffs; mount one: mount -t bpf bpf /sys/fs/bpf", path);
  return ok();
}

Result<Fd> open_pin(const std::string& path) {
  int fd = bpf_obj_get(path.c_str());
  if (fd < 0) return fail_errno(errno, fmt::format("open pin {}", path));
  return Fd(fd);
}

Status pin(int fd, const std::string& path) {
  TRY(unpin(path));
  if (bpf_obj_pin(fd, path.c_str())) return fail_errno(errno, fmt::format("pin {}", path));
  return ok();
}

Status unpin(const std::string& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return ok();
  return fail_errno(errno, fmt::format("remove pin {}", path));
}

Status unpin_link(const std::string& path) {
  if (auto link = open_pin(path)) bpf_link_detach(link->get());  // an error: its device or cgroup is gone
  return unpin(path);
}

Result<std::vector<std::string>> list_pins(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    names.push_back(it->path().filename().string());
  if (error && error.value() != ENOENT) return fail_errno(error.value(), fmt::format("list pins in {}", folder));
  std::sort(names.begin(), names.end());
  return names;
}

Status remove_pins(const std::string& folder) {
  std::error_code error;
  fs::remove_all(folder, error);
  if (error && error.value() != ENOENT) return fail_errno(error.value(), fmt::format("remove pin folder {}", folder));
  return ok();
}

}  // namespace causeway::bpf
