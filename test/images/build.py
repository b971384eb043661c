#!/usr/bin/env python3
"""test/images/build.py [--only NAME,…] [--output FILE]: the images of the suites as one OCI archive.

Builds it once into ~/.cache/causeway/peers (or $CAUSEWAY_CACHE/peers), under a name made of everything it is made of, and prints
{"archive": PATH, "images": [{"title", "names"}]}. `ctr -n k8s.io images import PATH` gives a containerd every image under every
name. Wants agnhost, coredns and regression-issue-74839 of ./dev peers. --only: images by title. --output: write there instead.
"""
import argparse
import glob
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import oci  # noqa: E402
import recipes  # noqa: E402
from rootfs import Missing  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PAUSE = ['clang-19', '-static', '-Os', '-s', '-fuse-ld=lld', '-Wall', '-Wextra', '-Werror', str(HERE / 'pause.c')]
KEPT = 3  # archives of former recipes that stay, for a cluster that is just importing one


def cache():
    base = os.environ.get('CAUSEWAY_CACHE') or os.path.join(
        os.environ.get('XDG_CACHE_HOME') or os.path.join(os.environ.get('HOME', '/root'), '.cache'), 'causeway')
    return pathlib.Path(base) / 'peers'


def peers_of(images):
    """{peer: path} of what the images hold; names the first that is not built."""
    found = {}
    for peer in sorted({recipes.PEERS[layer] for image in images for layer in image.layers if layer in recipes.PEERS}):
        done = subprocess.run([ROOT / 'tools/dev/peer-path', peer], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise Missing(done.stderr.strip().removeprefix('peer-path: '))
        found[peer] = done.stdout.strip()
    return found


def key(images, peers):
    """What decides the bytes of the archive: the recipes, the peers (their paths hold version and checksums), Debian's packages."""
    text = [path.read_bytes() for path in sorted(HERE.glob('*')) if path.suffix in ('.py', '.c', '.sh') and not path.stem.endswith('_test')]
    installed = subprocess.run(['dpkg-query', '-W', '-f', '${Package} ${Version} ${db:Status-Status}\n'], stdin=subprocess.DEVNULL,
                               capture_output=True, check=True).stdout
    return hashlib.sha256(b'\0'.join([*text, installed, repr([i.title for i in images]).encode(),
                                      json.dumps(peers, sort_keys=True).encode()])).hexdigest()[:12]


def porter(images):
    """The folder of the TLS pair that agnhost serves with; it comes with the source of Kubernetes."""
    if not any('agnhost' in image.layers for image in images):
        return ''
    done = subprocess.run(['go', '-C', str(ROOT / 'test/peers/kubernetes-1.36'), 'mod', 'download', '-json', 'k8s.io/kubernetes'],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          env={**os.environ, 'GOTOOLCHAIN': 'local', 'GOFLAGS': '-mod=readonly'})
    if done.returncode:
        raise Missing(f'the source of Kubernetes, for agnhost\'s TLS pair: {(done.stderr or done.stdout).strip()}')
    return os.path.join(json.loads(done.stdout)['Dir'], 'test/images/agnhost/porter')


def build(images, peers, path):
    with tempfile.TemporaryDirectory(prefix='causeway-images-') as scratch:
        pause = os.path.join(scratch, 'pause')
        if any('pause' in image.layers for image in images):
            done = subprocess.run([*PAUSE, '-o', pause], stdin=subprocess.DEVNULL, capture_output=True, text=True)
            if done.returncode:
                raise Missing(f'pause.c does not compile: {done.stderr.strip()}')
        oci.write_archive(str(path), images, recipes.layers_of(images, peers, pause, porter(images)))


def remove_old(folder, current):
    """Archives of former recipes go, but for the youngest."""
    old = sorted((p for p in glob.glob(f'{folder}/images-*') if p != str(current)), key=os.path.getmtime)
    for path in old[:-KEPT]:
        shutil.rmtree(path, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(prog='test/images/build.py', description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('--only', metavar='NAME,…')
    parser.add_argument('--output', metavar='FILE')
    options = parser.parse_args()
    images = recipes.IMAGES
    if options.only:
        wanted = options.only.split(',')
        unknown = [name for name in wanted if name not in [image.title for image in images]]
        if unknown:
            sys.exit(f'images: there is no {" ".join(unknown)} ({" ".join(image.title for image in images)})')
        images = [image for image in images if image.title in wanted]
    try:
        peers = peers_of(images)
        path = pathlib.Path(options.output) if options.output else cache() / f'images-{key(images, peers)}' / 'images.tar'
        if options.output or not path.exists():
            print(f'images: {" ".join(image.title for image in images)}', file=sys.stderr)
            path.parent.mkdir(parents=True, exist_ok=True)
            build(images, peers, path)
            if not options.output:
                remove_old(cache(), path.parent)
    except Missing as error:
        sys.exit(f'images: {error}')
    except OSError as error:
        sys.exit(f'images: {error.strerror}: {error.filename}')
    print(json.dumps({'archive': str(path), 'images': [{'title': i.title, 'names': list(i.names)} for i in images]}))
    return 0


if __name__ == '__main__':
    sys.exit(main())
