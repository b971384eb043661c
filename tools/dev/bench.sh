#!/usr/bin/env bash
# ./dev bench NAME… | all [--check] [OPTION…]: measures, and prints our figures beside a peer's.
#
# Names are the folders of bench/ (fabric, api, lab, pod, policy, service, cluster); all: not cluster, which needs ./dev peers. Each is
# built in release, or is a script (bench.py), and writes build/bench/NAME.json:
# {"figures": [{"figure", "ours", "peer", "ratio", "goal", "met"}], "machine": …}. Figures are medians of runs that are
# interleaved with the peer's. --check: exit 1 when a figure misses its goal or a peer is not built. Other options
# go to the bench program.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
known=$(for file in bench/*/CMakeLists.txt bench/*/bench.py; do basename "$(dirname "$file")"; done | tr '\n' ' ')
names=() check='' options=()
for argument in "$@"; do
  case "$argument" in
    -h | --help) help_of "${BASH_SOURCE[0]}"; exit 0 ;;
    --check) check=--check ;;
    all) names+=($(for file in bench/*/CMakeLists.txt; do basename "$(dirname "$file")"; done)) ;;
    -*) options+=("$argument") ;;
    *) if [[ " $known " == *" $argument "* ]]; then names+=("$argument"); else options+=("$argument"); fi ;;
  esac
done
[[ ${#names[@]} -gt 0 ]] || usage_error "bench: which? ($known)"
bash tools/dev/setup.sh --quiet
mkdir -p build/bench
targets=(product)
for name in "${names[@]}"; do [[ ! -e bench/$name/CMakeLists.txt ]] || targets+=("bench_$name"); done
build_quietly bench release "${targets[@]}"
failed=0
for name in "${names[@]}"; do
  step "bench $name"
  rm -f "build/bench/$name.json"
  program=("build/release/bench/$name/bench_$name")
  [[ ! -e bench/$name/bench.py ]] || program=(python3 "bench/$name/bench.py")
  "${program[@]}" --json "build/bench/$name.json" ${options[@]+"${options[@]}"} ||
    { echo "bench: bench_$name failed with exit code $?" >&2; failed=1; continue; }
  python3 tools/dev/bench_table.py $check "build/bench/$name.json" || failed=1
done
exit $failed
