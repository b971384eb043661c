#include "kernel/bpf/cgroup.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/file.h"

namespace causeway::bpf {

Result<std::string> cgroup_root_in(std::string_view mounts, bool (*is_root)(const std::string& path)) {
  std::string part;
  for (size_t start = 0; start < mounts.size();) {
    const size_t end = std::min(mounts.find('\n', start), mounts.size());
    const auto line = mounts.substr(start, end - start);
    start = end + 1;
    const size_t target = line.find(' ') + 1;
    const size_t kind = line.find(' ', target) + 1;
    if (!target || !kind || line.substr(kind, 8) != "cgroup2 ") continue;
    std::string path(line.substr(target, kind - 1 - target));
    if (is_root(path)) return path;
    part = std::move(path);
  }
  if (!part.empty())
    return fail(
        Errc::Unsupported,
        "{} shows only a part of the cgroups, those of this container: give it the machine's (a hostPath volume of "
        "/sys/fs/cgroup), or name the cgroup that is meant",
        part);
  return fail(Errc::Unsupported, "no cgroup2 file system is mounted: mount -t cgroup2 none /sys/fs/cgroup");
}

Result<std::string> find_cgroup_root() {
  // Only the root of all has no type (Documentation/admin-guide/cgroup-v2.rst, "cgroup.type").
  return cgroup_root_in(TRY(read_file("/proc/self/mounts")),
                        [](const std::string& path) { return ::access((path + "/cgroup.type").c_str(), F_OK) != 0; });
}

Result<Cgroup> open_cgroup(const std::string& path) {
  Cgroup cgroup{.fd = Fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC))};
  if (!cgroup.fd) return fail_errno(errno, "open the cgroup " + path);
  struct statfs system{};
  struct stat folder{};
  if (::fstatfs(cgroup.fd.get(), &system) || ::fstat(cgroup.fd.get(), &folder))
    return fail_errno(errno, "open the cgroup " + path);
  if (static_cast<unsigned long>(system.f_type) != CGROUP2_SUPER_MAGIC)
    return fail(Errc::Invalid, "{}: not in a cgroup2 file system", path);
  cgroup.id = folder.st_ino;  // kernfs numbers are 64 bits wide, and inode numbers here too
  return cgroup;
}

Result<Fd> attach_cgroup(int program_fd, const Cgroup& cgroup, bpf_attach_type hook) {
  int fd = bpf_link_create(program_fd, cgroup.fd.get(), hook, nullptr);
  if (fd >= 0) return Fd(fd);
  if (errno == EPERM)
    return fail(Errc::Denied,
                "attach to a cgroup: not permitted: needs CAP_BPF and CAP_NET_ADMIN, and that nobody attached there or "
                "above without BPF_F_ALLOW_MULTI (bpftool cgroup tree)");
  return fail_errno(errno, "attach to a cgroup");
}

Status update_cgroup(int link_fd, int program_fd) {
  if (bpf_link_update(link_fd, program_fd, nullptr) == 0) return ok();
  if (errno == ENOLINK) return fail(Errc::NotFound, "replace the program of a link: its cgroup is gone");
  return fail_errno(errno, "replace the program of a link to a cgroup");
}

Result<CgroupLink> cgroup_link(int link_fd) {
  bpf_link_info info{};
  uint32_t size = sizeof(info);
  if (bpf_obj_get_info_by_fd(link_fd, &info, &size)) return fail_errno(errno, "read a link's properties");
  if (info.type != BPF_LINK_TYPE_CGROUP) return fail(Errc::Invalid, "link {} is not to a cgroup", info.id);
  return CgroupLink{.cgroup = info.cgroup.cgroup_id,
                    .hook = static_cast<bpf_attach_type>(info.cgroup.attach_type),
                    .program = ProgramId{info.prog_id}};
}

}  // namespace causeway::bpf
