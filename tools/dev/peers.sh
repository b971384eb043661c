#!/usr/bin/env bash
# ./dev peers NAME… | --list | --all: builds pinned programs of others, which some tests and benches need.
#
# They are `tool` entries of the go.mod files under test/peers/, so versions and checksums are fixed there. Each is
# built once into ~/.cache/causeway/peers (or $CAUSEWAY_CACHE/peers) and found by tools/dev/peer-path NAME. Needs
# Go 1.26 or newer and the Go module proxy; demo and test never need them, except the test group `cluster`.
#
#   ./dev peers kubectl             both kubectls (1.34 and 1.36)
#   ./dev peers kubectl-1.36 etcd   by name
#   ./dev peers --list              names, versions, what is built
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
table=test/peers/peers.txt
all=$(awk '!/^#/ && NF { print $1 }' $table)

names=()
[[ $# -gt 0 ]] || usage_error "peers: which? ($(echo $all))"
for argument in "$@"; do
  case "$argument" in
    -h | --help) help_of "${BASH_SOURCE[0]}"; exit 0 ;;
    --list)
      for name in $all; do
        if path=$(tools/dev/peer-path "$name" 2>/dev/null); then state=$path; else state="not built"; fi
        printf '%-16s %-10s %s\n' "$name" "$(awk -v n="$name" '$1 == n { print $4 }' $table)" "$state"
      done
      exit 0 ;;
    --all) names+=($all) ;;
    kubectl) names+=(kubectl-1.34 kubectl-1.36) ;;
    *) grep -qx -- "$argument" <<<"$all" || usage_error "peers: there is no '$argument' ($(echo $all))"
       names+=("$argument") ;;
  esac
done

# A cached program needs no Go.
missing=()
for name in "${names[@]}"; do
  if path=$(tools/dev/peer-path "$name" 2>/dev/null); then echo "$name: $path"; else missing+=("$name"); fi
done
[[ ${#missing[@]} -gt 0 ]] || exit 0

command -v go >/dev/null || die "peers: building ${missing[*]} needs Go 1.26 or newer, and there is no go in PATH (Debian 12's golang is too old; take https://go.dev/dl)"
export GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS=-buildvcs=false
have=$(go env GOVERSION)
[[ $(printf '%s\n' go1.26 "$have" | sort -V | head -1) == go1.26 ]] || die "peers: building ${missing[*]} needs Go 1.26 or newer; $(command -v go) is $have"

for name in "${missing[@]}"; do
  read -r folder package version < <(awk -v n="$name" '$1 == n { print $2, $3, $4 }' $table)
  path=$(tools/dev/peer-path "$name" 2>/dev/null || true)
  flags="-s -w"
  if [[ $package == k8s.io/* ]]; then
    # Without the stamp clients see v0.0.0 and refuse, or warn of version skew.
    IFS=. read -r major minor _ <<<"${version#v}"
    for module in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
      flags+=" -X $module.gitVersion=$version -X $module.gitMajor=$major -X $module.gitMinor=$minor"
    done
  fi
  step "$name $version (go build $package, some minutes the first time)"
  mkdir -p "$(dirname "$path")"
  start=$SECONDS
  # Renamed into place, so that a killed build leaves no half program.
  if ! go -C "test/peers/$folder" build -mod=readonly -trimpath -ldflags "$flags" -o "$path.$$" "$package"; then
    rm -f "$path.$$"
    die "peers: $name did not build; its versions are pinned in test/peers/$folder/go.mod"
  fi
  mv "$path.$$" "$path"
  echo "$name: $path ($((SECONDS - start)) s)"
done
