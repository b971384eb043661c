#!/usr/bin/env bash
# machine_root.sh DISK NAME: the first process in a machine's namespaces makes the machine's root, then is its pid 1.
#
# The root is an overlay over the real machine's with its writes in memory, so the real machine is never written to; what
# must survive a reboot of the node lies in DISK. Inside, mounts propagate (a DaemonSet's Bidirectional hostPath works as
# in production); to the outside nothing does. In the environment: BINDS (folders that are mounts of their own outside and
# are seen inside read-only), CGROUP2 (where v2 is mounted), CGROUP1 (v1 hierarchies, "NAME=MOUNTPOINT …").
set -euo pipefail
disk=$1 name=$2
hostname "$name"
mount --make-rprivate /
stage=$disk/stage root=$disk/stage/root
mkdir -p "$stage"
mount -t tmpfs -o mode=755 tmpfs "$stage"
mkdir "$stage"/{upper,work,root}
mount -t overlay -o "lowerdir=/,upperdir=$stage/upper,workdir=$stage/work" overlay "$root"

for folder in $BINDS; do
  mkdir -p "$root$folder"
  mount --rbind "$folder" "$root$folder"
  mount -o remount,bind,ro "$root$folder"
done
for folder in var/lib var/log etc/cni opt/cni; do
  mkdir -p "$disk/$folder" "$root/$folder"
  mount --bind "$disk/$folder" "$root/$folder"
done
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t sysfs -o nosuid,nodev,noexec sysfs "$root/sys"  # fresh: it shows this namespace's devices
mount --rbind /dev "$root/dev"
mount -t tmpfs -o nosuid,nodev,mode=755 tmpfs "$root/run"
mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs "$root/tmp"
[[ -L $root/var/run ]] || { rm -rf "$root/var/run"; ln -s /run "$root/var/run"; }
mount -t bpf -o nosuid,nodev,noexec,mode=700 bpf "$root/sys/fs/bpf"

# As root of its cgroup namespace the machine sees nothing but itself, at the paths where a real one has its own.
if [[ -n $CGROUP1 ]]; then
  mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
  for pair in $CGROUP1; do
    target=$root${pair##*=} hierarchy=${pair%=*}
    mkdir -p "$target"
    if [[ $hierarchy == name=* ]]; then hierarchy=none,$hierarchy; fi
    mount -t cgroup -o "nosuid,nodev,noexec,$hierarchy" cgroup "$target"
  done
  mkdir -p "$root$CGROUP2"
fi
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$root$CGROUP2"
mkdir -p "$root$CGROUP2/init"
echo 0 >"$root$CGROUP2/init/cgroup.procs"

rm -f "$root/etc/hostname" "$root/etc/hosts" "$root/etc/resolv.conf"
echo "$name" >"$root/etc/hostname"
printf '127.0.0.1 localhost %s\n::1 localhost\n' "$name" >"$root/etc/hosts"
: >"$root/etc/resolv.conf"
ip link set lo up

cd "$root"
mkdir -p .old
pivot_root . .old
mount --make-rprivate /
umount -l /.old
rmdir /.old
mount --make-rshared /
cd /
touch /run/machine-is-made
# pid 1: bash reaps every orphan that it gets. Only SIGKILL ends it, and all of the machine with it.
exec bash -c 'while :; do sleep infinity & wait; done' machine-init </dev/null >/dev/null 2>&1
