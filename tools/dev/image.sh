#!/usr/bin/env bash
# ./dev image [--name]: builds the container image of agent and controller, from scratch, without a registry.
#
# Writes build/image/causeway.oci.tar, an OCI archive that names its image (`ctr -n k8s.io images import`, `skopeo
# copy oci-archive:…`). In it: causeway (release, stripped) with the shared libraries that it is linked with, and the
# static causeway-cni. The same programs give the same archive, byte for byte. Needs root; no container engine.
# --name: only prints the image's name.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
version=$(sed -n 's/^project(causeway VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
name=docker.io/causeway/causeway:$version
case "${1:-}" in
  -h | --help) help_of "${BASH_SOURCE[0]}"; exit 0 ;;
  --name) echo "$name"; exit 0 ;;
  "") ;;
  *) usage_error "image: there is no option '$1'" ;;
esac
[[ $(id -u) == 0 ]] || die "image: not root: buildah's storage of a user needs user namespaces, which not every machine has"
bash tools/dev/setup.sh --quiet --with image
mkdir -p build/image
build_preset release causeway causeway-cni >build/image/build.log 2>&1 ||
  { tail -n 60 build/image/build.log >&2; die "image: the build failed; all of it is in build/image/build.log"; }

# What is in it. ldd resolves the libraries of libraries as well; the loader is a library that names itself by its path.
files=build/image/root
rm -rf "$files"
mkdir -p "$files"/{usr/bin,run,etc,tmp,proc,sys,dev}
mkdir -p "$files/var"
ln -s ../run "$files/var/run"  # where a Pod's token and the namespaces of the runtime are, as on a node
for program in causeway causeway-cni; do
  strip --strip-all -o "$files/usr/bin/$program" "build/release/apps/$program"
done
libraries=$(ldd "$files/usr/bin/causeway" | awk '/=> not found/ { exit 1 } /=> \// { print $3 } /^\t\// { print $1 }') ||
  die "image: a library of causeway is missing here: ldd $files/usr/bin/causeway"
for library in $libraries; do
  mkdir -p "$files$(dirname "$library")"
  strip --strip-unneeded -o "$files$library" "$(readlink -f "$library")" 2>/dev/null || cp -L "$library" "$files$library"
done

# buildah as on a machine with no rights to spare (no CAP_SYS_RESOURCE, cgroup v1, no overlay in a container): a storage of
# its own without mounts (vfs), and chroot isolation, although nothing is RUN in the image.
storage=$(mktemp -d "${TMPDIR:-/tmp}/causeway-image.XXXXXX")
trap 'rm -rf "$storage"' EXIT
export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs XDG_RUNTIME_DIR=$storage
b() { buildah --root "$storage/root" --runroot "$storage/run" --storage-driver vfs "$@"; }
container=$(b from scratch)
b copy --quiet "$container" "$files" / >/dev/null
b config --entrypoint '["/usr/bin/causeway"]' --cmd '["--help"]' --env PATH=/usr/bin --workingdir / \
  --label org.opencontainers.image.title=causeway --label "org.opencontainers.image.version=$version" \
  --label org.opencontainers.image.licenses=Apache-2.0 "$container"
# All times are the epoch's: the archive depends on what is in it, not on when it was made.
b commit --quiet --timestamp 0 --identity-label=false --format oci --rm "$container" "oci:$storage/layout:$name" >/dev/null
python3 tools/dev/oci_archive.py "$storage/layout" "$name" build/image/causeway.oci.tar
rm -rf "$files"
echo "$name: build/image/causeway.oci.tar ($(($(stat -c %s build/image/causeway.oci.tar) / 1000000)) MB)"
