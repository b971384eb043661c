#!/usr/bin/env bash
# ./dev test [GROUP|NAME…] [--list] [--preset PRESET] [-j N] [-- ARGUMENT…]: builds and runs tests.
#
# Groups: unit, scenario, sim (preset dev: AddressSanitizer and UBSan), kernel, lab (preset release); these run without
# a name. cluster (needs ./dev peers) and qemu (needs an emulator) run only when asked for by group or name, and then
# what is not built fails by name. A NAME that is no group picks the test of that name, else every test with NAME in its
# name. What follows -- goes to the test programs (doctest: -tc='*pattern*').
#
# services --list also prints the table of Services' semantics by plane and family, dns --list the statements of cluster
# DNS and their tests.
#
# One line for each test; the output of one that failed follows it, and all output is in build/test-logs/. The last
# line says "N passed, N failed": doctest cases, and one for each test that is a script.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
case "${1:-}" in -h | --help) help_of "${BASH_SOURCE[0]}"; exit 0 ;; esac
cd "$root"
bash tools/dev/setup.sh --quiet
exec python3 tools/dev/test.py "$@"
