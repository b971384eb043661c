#!/bin/sh
# pch_sum.sh OUT COMPILE…: writes to OUT what a precompiled header's users depend on: the hash of the header's
# preprocessed text and macros (without line markers, which hold paths) and of the command's flags.
set -eu
out=$1
shift
{ "$@" -E -P; "$@" -E -dM; "$1" --version; for word; do case $word in /*) ;; *) echo "$word" ;; esac; done; } | sha256sum >"$out"
