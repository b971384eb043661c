#!/usr/bin/env bash
# ./dev demo [--ip-family ipv4|ipv6|dual] [OPTION…]: builds, starts a lab of three nodes, applies examples/, checks that
# every Pod reaches every Pod, and says how to go on. Options are those of `causeway lab demo` (--help after --).
#
# Does all set-up by itself on a fresh Debian 12, as root. `build/release/apps/causeway lab down --name demo` ends the lab;
# with --down it ends by itself. A first build takes some ten minutes on two cores.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
case "${1:-}" in -h | --help) help_of "${BASH_SOURCE[0]}"; exit 0 ;; esac
[[ ${1:-} != -- ]] || shift
[[ $(id -u) == 0 ]] || die "demo: not root: its nodes are network namespaces, and making them needs root"
bash tools/dev/setup.sh --quiet
step "build"
build_quietly demo release product
exec build/release/apps/causeway lab demo "$@"
