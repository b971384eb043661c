# What the commands share. Sourced; expects `set -euo pipefail` and the repository as working directory.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${CAUSEWAY_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/causeway}

die() { echo "dev: $*" >&2; exit 1; }
usage_error() { echo "dev: $*" >&2; exit 2; }

# Prints the comment at the top of the calling command's file: its help.
help_of() { sed -n '2,/^[^#]/{/^#/{s/^# \{0,1\}//;p}}' "$1"; }

# Coloured only on a terminal.
if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
  bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
else
  bold='' green='' red='' plain=''
fi
step() { echo "${bold}==> $*${plain}"; }

# build_preset PRESET [TARGET…]: configures where it must, then builds. One build of a preset at a time: a second one
# of the same tree waits and says so. Returns what ninja or cmake return.
build_preset() {
  local preset=$1 lock
  shift
  mkdir -p "build/$preset"
  exec {lock}>"build/$preset/.lock"
  flock -n "$lock" || { echo "dev: build/$preset is being built by another ./dev; waiting for it" >&2; flock "$lock"; }
  local status=0
  if [[ ! -f build/$preset/build.ninja || CMakePresets.json -nt build/$preset/build.ninja ]]; then
    cmake --preset "$preset" >"build/configure-$preset.log" 2>&1 ||
      { cat "build/configure-$preset.log" >&2; echo "dev: cmake --preset $preset failed" >&2; status=1; }
  fi
  [[ $status != 0 ]] || ninja -C "build/$preset" "$@" || status=$?
  exec {lock}>&-
  return "$status"
}

# build_quietly COMMAND PRESET [TARGET…]: build_preset into build/COMMAND-build.log, whose end is shown when it fails. A
# terminal sees ninja itself; anybody else a line every half minute, so that a long build is no silence.
build_quietly() {
  local log=build/$1-build.log command=$1 ticker status=0
  shift
  mkdir -p build
  if [[ -t 1 ]]; then
    build_preset "$@" || die "$command: the build failed"
    return
  fi
  : >"$log"
  (while sleep 30 >/dev/null 2>&1; do tail -n 1 "$log" | grep -o '^\[[0-9/]*\]' | sed 's/$/ built/' || true; done) &
  ticker=$!
  build_preset "$@" >"$log" 2>&1 || status=$?
  kill "$ticker" 2>/dev/null
  wait "$ticker" 2>/dev/null || true
  [[ $status == 0 ]] || { tail -n 60 "$log" >&2; die "$command: the build failed; all of it is in $log"; }
}
