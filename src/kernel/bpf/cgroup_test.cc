#include "kernel/bpf/cgroup.h"

#include <doctest/doctest.h>

namespace causeway::bpf {

namespace {

std::string found(std::string_view mountinfo, std::string_view cgroups) {
  auto root = cgroup_root_in(mountinfo, cgroups, [](const std::string& path) {
    if (path.find("hidden") != std::string::npos) return CgroupPlace::Hidden;
    return path.find("top") != std::string::npos ? CgroupPlace::Top : CgroupPlace::Below;
  });
  return root ? *root : root.error().message();
}

}  // namespace

TEST_CASE("the cgroup root is what shows all cgroups of the machine, not a container's own part") {
  // A machine: beside v1, and alone. Also one that is a namespace itself: we are below its root.
  CHECK(found("30 24 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
              "31 30 0:27 / /sys/fs/cgroup/cpu rw shared:9 - cgroup cgroup rw,cpu\n"
              "32 30 0:28 / /sys/fs/cgroup/unified rw shared:10 - cgroup2 cgroup2 rw\n",
              "1:cpu:/\n0::/system.slice/causeway.service\n") == "/sys/fs/cgroup/unified");
  CHECK(found("32 30 0:28 / /top rw - cgroup2 cgroup2 rw\n", "0::/\n") == "/top");
  // One that something else was mounted over.
  CHECK(found("32 30 0:28 / /sys/hidden rw - cgroup2 cgroup2 rw\n33 30 0:28 / /top rw - cgroup2 cgroup2 rw\n",
              "0::/a\n") == "/top");
  // A container with a namespace of its own, and the machine's by a volume.
  CHECK(found("90 80 0:28 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n"
              "91 80 0:28 /../../.. /host/sys/fs/cgroup ro master:9 - cgroup2 cgroup2 rw\n"
              "92 80 0:28 /.. /other ro - cgroup2 cgroup2 rw",
              "0::/\n") == "/host/sys/fs/cgroup");
  // One in the machine's namespace.
  CHECK(found("90 80 0:28 /kubepods/pod1/c1 /sys/fs/cgroup ro - cgroup2 cgroup rw\n"
              "91 80 0:28 / /host/sys/fs/cgroup ro - cgroup2 cgroup2 rw\n",
              "0::/kubepods/pod1/c1\n") == "/host/sys/fs/cgroup");
  const std::string part =
      "/sys/fs/cgroup shows only a part of the cgroups, those of this container: give it the machine's (a hostPath "
      "volume of /sys/fs/cgroup), or name the cgroup that is meant";
  CHECK(found("90 80 0:28 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n", "0::/\n") == part);
  CHECK(found("90 80 0:28 /kubepods/pod1/c1 /sys/fs/cgroup ro - cgroup2 cgroup rw\n", "0::/kubepods/pod1/c1\n") ==
        part);
  CHECK(found("31 30 0:27 / /host/cpu rw - cgroup cgroup rw,cpu\n\nnonsense - cgroup2\n", "") ==
        "no cgroup2 file system is mounted: mount -t cgroup2 none /sys/fs/cgroup");
}

}  // namespace causeway::bpf
