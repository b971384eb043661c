#!/usr/bin/env bash
# test/images/build.sh [--only NAME,…]: installs what tools/dev/packages-images.txt names and this machine lacks, then runs build.py.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bash "$here/../../tools/dev/setup.sh" --quiet --with images >&2
exec python3 "$here/build.py" "$@"
