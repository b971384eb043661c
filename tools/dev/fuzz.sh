#!/usr/bin/env bash
# ./dev fuzz [TARGET…] [--seconds N]: runs libFuzzer targets (preset fuzz); without a target: lists them.
#
# Starts from test/fuzz/seeds/TARGET/ and keeps what it finds in build/fuzz-corpus/TARGET/. Each target runs N seconds
# (60). A crash is written beside the corpus and named; add it to the seeds with its fix, and ./dev test fuzz_replay
# replays it for ever.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
known=$(for file in test/fuzz/fuzz_*.cc; do [[ ! -e $file ]] || basename "$file" .cc; done | tr '\n' ' ')
targets=() seconds=60
while [[ $# -gt 0 ]]; do
  case "$1" in
    -h | --help) help_of "${BASH_SOURCE[0]}"; exit 0 ;;
    --seconds) seconds=${2:?fuzz: --seconds wants a number}; shift ;;
    --seconds=*) seconds=${1#*=} ;;
    all) targets+=($known) ;;
    *) name=fuzz_${1#fuzz_}
       [[ " $known " == *" $name "* ]] || usage_error "fuzz: there is no target '$1' ($known)"
       targets+=("$name") ;;
  esac
  shift
done
[[ $seconds =~ ^[1-9][0-9]*$ ]] || usage_error "fuzz: --seconds wants a whole number, not '$seconds'"
if [[ ${#targets[@]} -eq 0 ]]; then
  printf '%s\n' $known
  exit 0
fi
bash tools/dev/setup.sh --quiet
build_quietly fuzz fuzz "${targets[@]}"
failed=0
for name in "${targets[@]}"; do
  step "$name, $seconds s"
  corpus=build/fuzz-corpus/$name
  mkdir -p "$corpus"
  "build/fuzz/test/fuzz/$name" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 \
    -verbosity=0 -artifact_prefix="build/fuzz-corpus/$name-" "$corpus" "test/fuzz/seeds/$name" >"$corpus.log" 2>&1 ||
    { tail -n 40 "$corpus.log"; echo "fuzz: $name failed; its input is build/fuzz-corpus/$name-*"; failed=1; continue; }
  awk '/stat::number_of_executed_units/ { print $2 " inputs, no failure" }' "$corpus.log"
done
exit $failed
