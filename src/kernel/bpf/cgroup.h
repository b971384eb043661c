// Programs on the socket hooks of a cgroup (v2), by links: several owners beside each other, each replaced atomically.
#pragma once

#include <linux/bpf.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "kernel/bpf/attach.h"

namespace causeway::bpf {

// Where all cgroups of this machine are seen. A container may see only its own: hooks there would serve nobody else. So
// a mount counts that shows what is above our cgroup namespace (a hostPath volume), or else its root, when this process
// is somewhere below that or `look` says that nothing is above it. `mountinfo` and `cgroups`: the files of
// /proc/self. Unsupported: no mount is one.
enum class CgroupPlace {  // what a path shows that is said to be a mount of cgroup2
  Hidden,                 // something else: another mount lies over it
  Top,                    // the cgroup above all
  Below,
};
Result<std::string> cgroup_root_in(std::string_view mountinfo, std::string_view cgroups,
                                   CgroupPlace (*look)(const std::string& path));
// The same, here and now.
Result<std::string> find_cgroup_root();

struct Cgroup {
  Fd fd;
  uint64_t id = 0;  // the kernel's number of it
};
// Invalid when the folder is not in a cgroup2 file system.
Result<Cgroup> open_cgroup(const std::string& path);

struct CgroupLink {
  uint64_t cgroup = 0;  // 0: the cgroup is gone
  bpf_attach_type hook{};
  ProgramId program{};
};

// The link detaches when its last descriptor and pin are gone, or the cgroup. Denied: not permitted.
Result<Fd> attach_cgroup(int program_fd, const Cgroup& cgroup, bpf_attach_type hook);
// A call after this meets the new program, none meets neither.
Status update_cgroup(int link_fd, int program_fd);
// Invalid: not a link to a cgroup.
Result<CgroupLink> cgroup_link(int link_fd);

}  // namespace causeway::bpf
