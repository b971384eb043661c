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

# build_preset PRESET [TARGET…]: configures where it must, then builds.
build_preset() {
  local preset=$1
  shift
  if [[ ! -f build/$preset/build.ninja || CMakePresets.json -nt build/$preset/build.ninja ]]; then
    mkdir -p build
    cmake --preset "$preset" >"build/configure-$preset.log" 2>&1 ||
      { cat "build/configure-$preset.log" >&2; die "cmake --preset $preset failed"; }
  fi
  ninja -C "build/$preset" "$@"
}
