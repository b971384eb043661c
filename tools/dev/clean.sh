#!/usr/bin/env bash
# ./dev clean [--all]: removes the build trees of the presets and what killed test runs left behind.
# --all: everything in build/ as well (bench results, fuzz corpora, logs). Peers stay in the cache.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
case "${1:-}" in
  -h | --help) help_of "${BASH_SOURCE[0]}"; exit 0 ;;
  "" | --all) ;;
  *) usage_error "clean: there is no option '$1'" ;;
esac
bash tools/dev/leftovers.sh
if [[ ${1:-} == --all ]]; then rm -rf build; else rm -rf build/dev build/release build/tsan build/fuzz; fi
