#include "kernel/bpf/cgroup.h"

#include <doctest/doctest.h>

namespace causeway::bpf {

namespace {

std::string found(std::string_view mounts) {
  auto root = cgroup_root_in(mounts, [](const std::string& path) { return path.find("host") != std::string::npos; });
  return root ? *root : root.error().message();
}

}  // namespace

TEST_CASE("the cgroup root is the mount that shows the whole hierarchy, not a container's own part of it") {
  CHECK(found("tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup2 /host/unified cgroup2 rw 0 0\n") == "/host/unified");
  CHECK(found("cgroup /sys/fs/cgroup cgroup2 ro 0 0\ncgroup2 /host/cgroup cgroup2 rw 0 0") == "/host/cgroup");
  CHECK(found("cgroup /sys/fs/cgroup cgroup2 ro 0 0\n") ==
        "/sys/fs/cgroup shows only a part of the cgroups, those of this container: give it the machine's (a hostPath "
        "volume of /sys/fs/cgroup), or name the cgroup that is meant");
  CHECK(found("cgroup /host/cpu cgroup rw,cpu 0 0\nnone /cgroup2 tmpfs rw 0 0\n\n") ==
        "no cgroup2 file system is mounted: mount -t cgroup2 none /sys/fs/cgroup");
}

}  // namespace causeway::bpf
