#!/usr/bin/env bash
# alone.sh COMMAND…: runs it as a machine of its own: network, mounts, host name, processes, with an empty /run, /etc/cni and
# /opt/cni and a bpffs of its own. Killed in whatever way, nothing of it stays: the kernel takes the namespaces down.
set -euo pipefail
if [[ ${1:-} != --inside ]]; then
  [[ $(id -u) == 0 ]] || { echo "alone.sh: not root: namespaces need root" >&2; exit 1; }
  exec unshare --net --mount --uts --ipc --pid --fork --kill-child --mount-proc bash "$0" --inside "$@"
fi
shift
hostname node-1
mount -t sysfs sysfs /sys
mount -t bpf bpf /sys/fs/bpf
mount -t tmpfs tmpfs /run
mkdir -p /run/netns
# The machine may have neither folder; both are on a file system that is ours.
mkdir -p /run/disk/upper /run/disk/work /run/disk/opt-upper /run/disk/opt-work
mount -t overlay -o lowerdir=/etc,upperdir=/run/disk/upper,workdir=/run/disk/work overlay /etc
mount -t overlay -o lowerdir=/opt,upperdir=/run/disk/opt-upper,workdir=/run/disk/opt-work overlay /opt
rm -rf /etc/cni /opt/cni
# Plane bpf serves the sockets of a cgroup and all below: one of our own, never those of the machine below.
mkdir /run/cgroup
mount -t cgroup2 cgroup2 /run/cgroup
for left in /run/cgroup/causeway-alone-*; do rmdir "$left" 2>/dev/null || true; done  # of killed runs; one in use is busy
cgroup=$(mktemp -d /run/cgroup/causeway-alone-XXXXXX)
echo 0 >"$cgroup/cgroup.procs"
mount --bind "$cgroup" /sys/fs/cgroup
export CAUSEWAY_CGROUP=/sys/fs/cgroup
ip link set lo up
ip link add eth0 type veth peer name wire  # leads nowhere
ip link set wire up
ip address add 10.77.0.1/24 dev eth0
ip address add fd00:77::1/64 dev eth0 nodad
ip link set eth0 up
status=0
"$@" || status=$?
echo 0 >/run/cgroup/cgroup.procs
rmdir "$cgroup" 2>/dev/null || true
exit "$status"
