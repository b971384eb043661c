#!/usr/bin/env bash
# ./dev lint [--all] [layers|format|tidy|headers|docs|readmes …]: what a reviewer should not have to say.
#
#   layers    the rule of tools/layers.txt, other people's headers included
#   format    clang-format 19 leaves the sources as they are (./dev fmt)
#   tidy      clang-tidy 19 with .clang-tidy: the changed files, all with --all
#   headers   each header compiles by itself: the changed ones, all with --all
#   docs      every path, symbol and command that docs/tour.md and README.md name exists
#   readmes   every folder has its README.md
# Without a name: all of them. Changed: not committed, or committed since the upstream branch.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
case "${1:-}" in -h | --help) help_of "${BASH_SOURCE[0]}"; exit 0 ;; esac
cd "$root"
bash tools/dev/setup.sh --quiet
exec python3 tools/dev/lint.py "$@"
