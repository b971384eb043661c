#include "kernel/bpf/cgroup.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>

#include "base/file.h"

namespace causeway::bpf {

namespace {

std::vector<std::string_view> fields_of(std::string_view line) {
  std::vector<std::string_view> fields;
  while (!line.empty()) {
    const size_t end = std::min(line.find(' '), line.size());
    fields.push_back(line.substr(0, end));
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return fields;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

}  // namespace

Result<std::string> cgroup_root_in(std::string_view mountinfo, std::string_view cgroups,
                                   CgroupPlace (*look)(const std::string& path)) {
  bool below = false;  // this process, the root of its cgroup namespace
  for (auto line : lines_of(cgroups)) below = below || (line.starts_with("0::/") && line != "0::/");
  std::string best, part;
  size_t height = 0;
  for (auto line : lines_of(mountinfo)) {
    // id, parent, device, root, mount point, options, optional ones, "-", type ... (proc(5)). The root is told
    // relative to our cgroup namespace: /.. for what is above it.
    const auto fields = fields_of(line);
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (fields.size() < 6 || dash == fields.end() || dash + 1 == fields.end() || dash[1] != "cgroup2") continue;
    const std::string root(fields[3]), path(fields[4]);
    // Another file system may have been mounted over it (a new /sys, say), and the table still has it.
    const CgroupPlace place = look(path);
    if (place == CgroupPlace::Hidden) continue;
    const bool above = root.starts_with("/..");
    if (!above && (root != "/" || (!below && place != CgroupPlace::Top))) {
      part = path;
      continue;
    }
    if (const size_t up = above ? root.size() : 1; up > height) {
      height = up;
      best = path;
    }
  }
  if (!best.empty()) return best;
  if (!part.empty())
    return fail(
        Errc::Unsupported,
        "{} shows only a part of the cgroups, those of this container: give it the machine's (a hostPath volume "
        "of /sys/fs/cgroup), or name the cgroup that is meant",
        part);
  return fail(Errc::Unsupported, "no cgroup2 file system is mounted: mount -t cgroup2 none /sys/fs/cgroup");
}

Result<std::string> find_cgroup_root() {
  const auto look = [](const std::string& path) {
    struct statfs system{};
    if (::statfs(path.c_str(), &system) || static_cast<unsigned long>(system.f_type) != CGROUP2_SUPER_MAGIC)
      return CgroupPlace::Hidden;
    // Only the top of all has no type (Documentation/admin-guide/cgroup-v2.rst, "cgroup.type").
    return ::access((path + "/cgroup.type").c_str(), F_OK) ? CgroupPlace::Top : CgroupPlace::Below;
  };
  return cgroup_root_in(TRY(read_file("/proc/self/mountinfo")), TRY(read_file("/proc/self/cgroup")), look);
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
