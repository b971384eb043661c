#!/bin/sh
# Process 1 of the machine: makes it one that the kernel tests expect, runs each program of /tests, ends the machine.
if [ "$1" != again ]; then
  /bin/busybox --install -s /bin
  # What the kernel unpacked is no file system that a lab's node may leave by pivot_root(2); the same mounted once more is.
  /bin/mount --bind / /mnt
  exec /bin/chroot /mnt /init again
fi
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/ TERM=dumb
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup /sys/fs/cgroup
sh /sbin/load-modules
ip link set lo up
ulimit -n 65536
echo "qemu: kernel $(uname -r), $(nproc) CPUs"
eval "set -- $(cat /tests.options)"
for test in /tests/*; do
  start=$(cut -d. -f1 /proc/uptime)
  echo "qemu: begin ${test##*/}"
  case $test in
    */services_*) "$test" "$@" ;;
    *) "$test" --no-colors=true --duration=true "$@" ;;
  esac
  echo "qemu: end ${test##*/} $? $(($(cut -d. -f1 /proc/uptime) - start))"
done
poweroff -f
