#!/usr/bin/env bash
# ./dev setup [--quiet] [--check] [--with NAME]: makes this machine ready to build, test and run the demo (Debian 12).
#
# Installs with apt-get what tools/dev/packages.txt names and this machine lacks, and says which; then checks what
# the kernel offers. Doing it again changes nothing. --quiet: no word when nothing is to do. --check: install nothing,
# exit 1 when something is missing. --with NAME: also what tools/dev/packages-NAME.txt names, which only one command
# needs. Not root and something to install: one sentence that names it.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
quiet='' check='' lists=(tools/dev/packages.txt)
while [[ $# -gt 0 ]]; do
  case "$1" in
    -h | --help) help_of "${BASH_SOURCE[0]}"; exit 0 ;;
    --quiet) quiet=1 ;;
    --check) check=1 ;;
    --with)
      shift
      [[ -f tools/dev/packages-${1:-}.txt ]] || usage_error "setup: --with: there is no tools/dev/packages-${1:-}.txt"
      lists+=("tools/dev/packages-$1.txt") ;;
    *) usage_error "setup: there is no option '$1'" ;;
  esac
  shift
done

wanted=$(sed 's/#.*//' "${lists[@]}" | tr -s ' \n' '\n' | grep .)
# A package is there when dpkg has it installed; on a machine without dpkg nothing can be said or done.
command -v dpkg-query >/dev/null || die "setup: this is no Debian (no dpkg): install by hand what tools/dev/packages.txt names"
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null | awk '$1 == "installed" { print $2 }' | sort)
missing=$(comm -23 <(sort -u <<<"$wanted") <(sort -u <<<"$installed") | tr '\n' ' ')
missing=${missing% }

if [[ -n $missing ]]; then
  [[ -z $check ]] || die "setup: missing: $missing"
  [[ $(id -u) == 0 ]] || die "setup: not root, so these packages cannot be installed: run 'apt-get install $missing' as root"
  step "apt-get install $missing"
  export DEBIAN_FRONTEND=noninteractive
  log=$(mktemp)
  install() { apt-get install -y --no-install-recommends $missing; }
  # The package lists of a fresh machine are absent or old: refresh them once, when that is what it takes.
  if ! { apt-get update && install; } >"$log" 2>&1 </dev/null && ! install >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    die "setup: apt-get failed; the whole log is $log"
  fi
  rm -f "$log"
elif [[ -z $quiet ]]; then
  echo "packages: all there"
fi

# What the kernel must offer for the demo and for the groups kernel and lab; each lack is one sentence.
lacks=()
[[ $(id -u) == 0 ]] || lacks+=("not root: network namespaces and BPF programs need root")
IFS=.- read -r major minor _ <<<"$(uname -r)"
((major > 6 || (major == 6 && minor >= 1))) || lacks+=("kernel $(uname -r): 6.1 or newer is needed")
[[ -r /sys/kernel/btf/vmlinux ]] || lacks+=("no /sys/kernel/btf/vmlinux: the kernel needs CONFIG_DEBUG_INFO_BTF")
grep -q cgroup2 /proc/filesystems || lacks+=("no cgroup v2: the kernel needs CONFIG_CGROUPS, and cgroup2 in /proc/filesystems")
grep -qw bpf /proc/filesystems || lacks+=("no bpf file system: the kernel needs CONFIG_BPF_SYSCALL")
if [[ $(id -u) == 0 ]]; then
  unshare --net --mount --uts --pid --fork true 2>/dev/null || lacks+=("namespaces cannot be made (unshare failed): this container or kernel forbids it")
  # The link appears only in the namespace that ends with the command.
  unshare --net ip link add cwprobe0 type veth peer name cwprobe1 2>/dev/null || lacks+=("no veth devices: the kernel needs CONFIG_VETH")
  unshare --net sh -c 'ip link add cwprobe0 type dummy && tc qdisc add dev cwprobe0 clsact' 2>/dev/null ||
    unshare --net sh -c 'ip link set lo up && tc qdisc add dev lo clsact' 2>/dev/null || lacks+=("no clsact: the kernel needs CONFIG_NET_CLS_ACT and CONFIG_NET_SCH_INGRESS")
fi
for lack in ${lacks[@]+"${lacks[@]}"}; do echo "setup: $lack" >&2; done
if [[ ${#lacks[@]} -eq 0 && -z $quiet ]]; then
  if ((major > 6 || (major == 6 && minor >= 6))); then attach=tcx; else attach=clsact; fi
  echo "kernel $(uname -r): namespaces, veth, BTF, BPF, cgroup v2, $attach: all there"
fi
[[ ${#lacks[@]} -eq 0 || -z $check ]] || exit 1
