#!/usr/bin/env bash
# ./dev build [PRESET] [TARGET…]: configures build/PRESET once and builds it, or only the targets.
#
# Presets: release (default; what ships, with the tests of the groups kernel and lab and the benches), dev (ASan and
# UBSan, with the tests of the groups unit, scenario and sim), tsan, fuzz. The layer rule is part of every build.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
preset=release
case "${1:-}" in
  -h | --help) help_of "${BASH_SOURCE[0]}"; exit 0 ;;
  release | dev | tsan | fuzz) preset=$1; shift ;;
esac
bash tools/dev/setup.sh --quiet
build_preset "$preset" "$@"
