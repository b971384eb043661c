#!/usr/bin/env bash
# ./dev peers NAME… | GROUP… [--kubernetes 1.34|1.35|1.36] | --list | --all: builds pinned programs of others, which some
# tests, benches and ./dev cluster need.
#
# They are packages of the go.mod files under test/peers/, so versions and checksums are fixed there. Each is built once
# into ~/.cache/causeway/peers (or $CAUSEWAY_CACHE/peers) and found by tools/dev/peer-path NAME. Needs Go 1.26 or newer and
# the Go module proxy; demo and test never need them, except the test group `cluster`.
#
#   ./dev peers cluster             what ./dev cluster runs: Kubernetes, etcd, containerd, CoreDNS, CNI plugins, images
#   ./dev peers suites              the judges: e2e.test, policy suites, cnitool
#   ./dev peers cni                 what judges our CNI plugin: cnitool, libcni, the plugins and their integration suite
#   ./dev peers images              the images that Pods of tests run
#   ./dev peers kubectl             kubectl 1.34 and 1.36, for the embedded API server
#   ./dev peers kubelet etcd        by name
#   ./dev peers --kubernetes 1.35 cluster     that line's programs instead (a full version such as 1.35.1 must be the pinned one)
#   ./dev peers --list              names, versions, what is built
#   ./dev peers --all               everything of one line (some 20 minutes the first time)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
table=test/peers/peers.txt
all=$(awk '!/^#/ && NF { print $1 }' $table)
lines='1.34 1.35 1.36'

# The programs of one line of Kubernetes; those of the newest have names without a suffix, except kubectl.
kubernetes='kubectl kubelet kube-proxy kube-apiserver kube-controller-manager kube-scheduler'
declare -A groups=(
  [kubectl]='kubectl-1.34 kubectl-1.36'
  [cluster]="$kubernetes etcd containerd containerd-shim-runc-v2 ctr bridge host-local portmap loopback coredns agnhost regression-issue-74839 images"
  [cni]="cnitool cnijudge cni-integration bridge ptp host-local portmap bandwidth loopback"
  [suites]="e2e.test agnhost regression-issue-74839 network-policy-api cyclonus cnitool"
)

line=1.36 version='' wanted=()
[[ $# -gt 0 ]] || usage_error "peers: which? (groups: ${!groups[*]} images; names: $(echo $all))"
while [[ $# -gt 0 ]]; do
  case "$1" in
    -h | --help) help_of "${BASH_SOURCE[0]}"; exit 0 ;;
    --list)
      for name in $all; do
        if path=$(tools/dev/peer-path "$name" 2>/dev/null); then state=$path; else state="not built"; fi
        printf '%-30s %-10s %s\n' "$name" "$(awk -v n="$name" '$1 == n { print $4 }' $table)" "$state"
      done
      exit 0 ;;
    --kubernetes | --kubernetes=*)
      if [[ $1 == *=* ]]; then version=${1#*=}; else [[ $# -gt 1 ]] || usage_error "peers: --kubernetes needs a version: $lines"; version=$2; shift; fi
      line=$(cut -d. -f1,2 <<<"${version#v}") ;;
    --all) wanted+=(--all) ;;
    *) wanted+=("$1") ;;
  esac
  shift
done
grep -qw -- "$line" <<<"$lines" || usage_error "peers: --kubernetes $version: pinned are the lines $lines"
pinned=$(awk -v n="kubectl-$line" '$1 == n { print $4 }' $table)
[[ $version == "" || ${version#v} == "$line" || ${version#v} == "$line.x" || v${version#v} == "$pinned" ]] ||
  usage_error "peers: --kubernetes $version: of $line, $pinned is pinned (test/peers/kubernetes-$line/go.mod)"

# The name of a program in the chosen line.
in_line() {
  if [[ $1 == kubectl || $line != 1.36 ]] && grep -qx -- "$1-$line" <<<"$all"; then echo "$1-$line"; else echo "$1"; fi
}
names=() images=''
for argument in ${wanted[@]+"${wanted[@]}"}; do
  case "$argument" in
    --all) members="$(grep -v -- '-1\.[0-9]*$' <<<"$all") kubectl kubectl-1.34 images" ;;
    kubectl) if [[ $version ]]; then members=kubectl; else members=${groups[kubectl]}; fi ;;
    *) members=${groups[$argument]:-$argument} ;;
  esac
  for member in $members; do
    if [[ $member == images ]]; then images=1; continue; fi
    name=$(in_line "$member")
    grep -qx -- "$name" <<<"$all" || usage_error "peers: there is no '$argument' (groups: ${!groups[*]} images; names: $(echo $all))"
    [[ " ${names[*]-} " == *" $name "* ]] || names+=("$name")
  done
done

build_images() { [[ -z $images ]] || bash test/images/build.sh; }

# A cached program needs no Go.
missing=()
for name in ${names[@]+"${names[@]}"}; do
  if path=$(tools/dev/peer-path "$name" 2>/dev/null); then echo "$name: $path"; else missing+=("$name"); fi
done
if [[ ${#missing[@]} -eq 0 ]]; then build_images; exit 0; fi

command -v go >/dev/null || die "peers: building ${missing[*]} needs Go 1.26 or newer, and there is no go in PATH (Debian 12's golang is too old; take https://go.dev/dl)"
export GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS=-buildvcs=false GOWORK=off
have=$(go env GOVERSION)
[[ $(printf '%s\n' go1.26 "$have" | sort -V | head -1) == go1.26 ]] || die "peers: building ${missing[*]} needs Go 1.26 or newer; $(command -v go) is $have"

# One build at a time: a Kubernetes program takes all cores and gigabytes of memory.
mkdir -p "$cache/peers"
exec 9>"$cache/peers/.lock"
flock -n 9 || { echo "waiting for another ./dev peers"; flock 9; }
for name in "${missing[@]}"; do
  if path=$(tools/dev/peer-path "$name" 2>/dev/null); then continue; fi  # the other one built it
  read -r folder package version < <(awk -v n="$name" '$1 == n { print $2, $3, $4 }' $table)
  flags="-s -w"
  case "$package" in
    k8s.io/* | test:k8s.io/*)
      # Without the stamp clients see v0.0.0 and refuse, or warn of version skew.
      IFS=. read -r major minor _ <<<"${version#v}"
      for module in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
        flags+=" -X $module.gitVersion=$version -X $module.gitMajor=$major -X $module.gitMinor=$minor"
      done ;;
    github.com/containerd/*) flags+=" -X github.com/containerd/containerd/v2/version.Version=$version" ;;
  esac
  verb=(build)
  if [[ $package == test:* ]]; then verb=(test -c); fi
  step "$name $version (go ${verb[*]} ${package#test:}, some minutes the first time)"
  mkdir -p "$(dirname "$path")"
  start=$SECONDS
  # Renamed into place, so that a killed build leaves no half program.
  if ! go -C "test/peers/$folder" "${verb[@]}" -mod=readonly -trimpath -ldflags "$flags" -o "$path.$$" "${package#test:}" 9>&-; then
    rm -f "$path.$$"
    die "peers: $name did not build; its versions are pinned in test/peers/$folder/go.mod"
  fi
  mv "$path.$$" "$path"
  echo "$name: $path ($((SECONDS - start)) s)"
done
build_images
