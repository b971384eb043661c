#include "lab/root.h"

#include <doctest/doctest.h>

using namespace causeway::lab;

TEST_CASE("a node sees the machine's disks and shares, and none of its pseudo file systems") {
  CHECK(submounts_of("22 1 254:0 / / rw - ext4 /dev/vda rw\n"
                     "23 22 0:5 / /proc rw - proc proc rw\n"
                     "24 22 0:30 / /run/user rw shared:1 - ext4 /dev/vdb rw\n"
                     "25 22 254:1 / /home rw shared:2 master:1 - ext4 /dev/vdb rw\n"
                     "26 25 254:2 / /home/me/data rw - xfs /dev/vdc rw\n"
                     "27 22 254:0 /var/resolv.conf /etc/resolv.conf rw - ext4 /dev/vda rw\n"
                     "28 22 0:40 / /mnt/share rw - 9p share rw\n") == std::vector<std::string>{"/home", "/mnt/share"});
}

TEST_CASE("a container's root is assembled aside and then takes the place of the old one") {
  std::string text;
  for (const auto& step : root_steps({.lower = "/base",
                                      .stage = "/stage",
                                      .programs = "/bin-ours",
                                      .submounts = {"/home"},
                                      .files = {{"/etc/hosts", "x"}},
                                      .own_net = false}))
    if (step.kind == Step::Kind::Mount || step.kind == Step::Kind::PivotHere || step.kind == Step::Kind::Write)
      text += to_string(step) + "\n";
  CHECK(text ==
        "mount none on /\n"
        "mount tmpfs tmpfs (mode=755) on /stage\n"
        "mount overlay overlay (lowerdir=/base,upperdir=/stage/upper,workdir=/stage/work) on /stage/root\n"
        "mount /home on /stage/root/home\n"
        "mount none on /stage/root/home\n"
        "mount proc proc on /stage/root/proc\n"
        "mount /sys on /stage/root/sys\n"
        "mount tmpfs tmpfs (mode=755,size=64k) on /stage/root/dev\n"
        "mount devpts devpts (newinstance,ptmxmode=0666,mode=620) on /stage/root/dev/pts\n"
        "mount tmpfs tmpfs (mode=1777,size=64m) on /stage/root/dev/shm\n"
        "mount tmpfs tmpfs (mode=755) on /stage/root/run\n"
        "mount tmpfs tmpfs (mode=1777) on /stage/root/tmp\n"
        "mount /bin-ours on /stage/root/usr/lib/causeway\n"
        "mount none on /stage/root/usr/lib/causeway\n"
        "write /stage/root/etc/hosts\n"
        "pivot_root\n");
}
