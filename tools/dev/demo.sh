#!/usr/bin/env bash
# ./dev demo [--ip-family ipv4|ipv6|dual] [OPTION…]: builds, starts a lab of three nodes, applies examples/, checks that
# every Pod reaches every Pod, and says how to go on. Options are those of `causeway lab demo` (--help after --).
#
# Does all set-up by itself on a fresh Debian 12, as root. `build/release/apps/causeway lab down` ends the lab.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
case "${1:-}" in -h | --help) help_of "${BASH_SOURCE[0]}"; exit 0 ;; esac
[[ ${1:-} != -- ]] || shift
[[ $(id -u) == 0 ]] || die "demo: not root: its nodes are network namespaces, and making them needs root"
bash tools/dev/setup.sh --quiet
step "build"
# Silent unless it fails: what counts is what comes after.
log=build/demo-build.log
mkdir -p build
if [[ -t 1 ]]; then build_preset release product; else
  build_preset release product >"$log" 2>&1 || { tail -n 60 "$log" >&2; die "demo: the build failed; all of it is in $log"; }
fi
exec build/release/apps/causeway lab demo "$@"
