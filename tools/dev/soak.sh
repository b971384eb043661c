#!/usr/bin/env bash
# ./dev soak NAME [--minutes N] [OPTION…]: a long run, outside ./dev test; without a name: lists them.
#
# Each is test/soak/NAME.py, and its --help names its options. It prints one line for each round and ends with
# "N passed, N failed" (rounds); exit code 1 when an invariant broke. Default: 30 minutes.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
known=$(for file in test/soak/*.py; do basename "$file" .py; done | tr '\n' ' ')
case "${1:-}" in
  -h | --help) help_of "${BASH_SOURCE[0]}"; exit 0 ;;
  "") printf '%s\n' $known; exit 0 ;;
esac
name=$1
shift
[[ " $known " == *" $name "* ]] || usage_error "soak: there is no '$name' ($known)"
case " $* " in *" -h "* | *" --help "*) exec python3 "test/soak/$name.py" --help ;; esac
[[ $(id -u) == 0 ]] || die "soak: not root: a lab's nodes are network namespaces, and making them needs root"
bash tools/dev/setup.sh --quiet
build_quietly soak release product
exec python3 "test/soak/$name.py" "$@"
