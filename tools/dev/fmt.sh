#!/usr/bin/env bash
# ./dev fmt [FILE…]: formats our C and C++ sources with clang-format 19 (.clang-format), all of them without a FILE.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
case "${1:-}" in -h | --help) help_of "${BASH_SOURCE[0]}"; exit 0 ;; esac
cd "$root"
if [[ $# -gt 0 ]]; then exec clang-format-19 -i "$@"; fi
git ls-files -co --exclude-standard -z -- '*.h' '*.cc' '*.c' | xargs -0 -r clang-format-19 -i
