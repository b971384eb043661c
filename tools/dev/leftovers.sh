#!/usr/bin/env bash
# tools/dev/leftovers.sh [--now]: removes what killed test runs left behind. Ours are network namespaces named cw… that
# hold no process and are older than ten minutes (--now: of any age; a run that is under way would lose its own).
set -euo pipefail
[[ $(id -u) == 0 ]] || exit 0
age=10
[[ ${1:-} != --now ]] || age=0
shopt -s nullglob
for path in /run/netns/cw*; do
  name=${path##*/}
  [[ -n $(find "$path" -maxdepth 0 -mmin +$age 2>/dev/null) || $age == 0 ]] || continue
  [[ -z $(ip netns pids "$name" 2>/dev/null) ]] || continue
  # A stale name whose mount is gone is just a file.
  ip netns delete "$name" 2>/dev/null || rm -f "$path"
  echo "removed the network namespace $name, left by a killed run"
done
