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

// The root of the cgroup2 hierarchy in a text like /proc/self/mounts, by `is_root`, which says of a mount whether it
// shows all of the hierarchy: in a container's own cgroup namespace it begins at the container, and hooks there would
// see nobody else. Unsupported: no mount is.
Result<std::string> cgroup_root_in(std::string_view mounts, bool (*is_root)(const std::string& path));
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
