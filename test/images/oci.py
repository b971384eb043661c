"""OCI images as one archive, without a registry and without an engine: layers, configurations, manifests, one index.

The same content gives the same bytes: entries are sorted, belong to root, and are from the beginning of time. Layers are plain
tar: nothing here travels over a network, and an import need not decompress. Formats: OCI image-spec 1.1; the annotation
io.containerd.image.name is what `ctr images import` takes the full name from.
"""
import dataclasses
import hashlib
import io
import json
import os
import platform
import stat
import tarfile
import tempfile

MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
CONFIG = 'application/vnd.oci.image.config.v1+json'
LAYER = 'application/vnd.oci.image.layer.v1.tar'
INDEX = 'application/vnd.oci.image.index.v1+json'
EPOCH = '1970-01-01T00:00:00Z'
ARCHITECTURE = {'x86_64': 'amd64', 'aarch64': 'arm64'}.get(platform.machine(), platform.machine())


@dataclasses.dataclass(frozen=True)
class File:
    """A file of a layer: content, or `source`, a file of this machine that is copied."""
    source: str = ''
    content: bytes = b''
    mode: int = 0o644


@dataclasses.dataclass(frozen=True)
class Link:
    """A symbolic link of a layer."""
    target: str


@dataclasses.dataclass(frozen=True)
class Folder:
    """A directory of a layer; those above files need not be named."""
    mode: int = 0o755


@dataclasses.dataclass(frozen=True)
class Image:
    """What `build.py` makes: `layers` name entries of the archive's layers; `names` are full references."""
    title: str
    names: tuple
    layers: tuple
    entrypoint: tuple = ()
    command: tuple = ()
    ports: tuple = ()
    environment: tuple = ('PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',)


def digest(data):
    return 'sha256:' + hashlib.sha256(data).hexdigest()


def file_digest(path):
    with open(path, 'rb') as file:
        return 'sha256:' + hashlib.file_digest(file, 'sha256').hexdigest()


def _entry(name, kind, mode):
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.mtime = kind, mode, 0
    return entry


def write_layer(out, tree):
    """`tree`: {absolute path: File, Link or Folder} as a tar to the file object `out`."""
    whole = dict(tree)
    for path in tree:
        parent = os.path.dirname(path)
        while parent not in ('/', ''):
            whole.setdefault(parent, Folder())
            parent = os.path.dirname(parent)
    for path, item in tree.items():
        for parent in _parents(path):
            if not isinstance(whole[parent], Folder):
                raise ValueError(f'{path}: {parent} is a {type(whole[parent]).__name__.lower()} in the same layer')
    with tarfile.open(fileobj=out, mode='w', format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(whole):
            name, item = path.lstrip('/'), whole[path]
            if isinstance(item, Folder):
                tar.addfile(_entry(name, tarfile.DIRTYPE, item.mode))
            elif isinstance(item, Link):
                entry = _entry(name, tarfile.SYMTYPE, 0o777)
                entry.linkname = item.target
                tar.addfile(entry)
            elif item.source:
                with open(item.source, 'rb') as content:
                    found = os.fstat(content.fileno())
                    entry = _entry(name, tarfile.REGTYPE, item.mode | (found.st_mode & stat.S_IXUSR and 0o111))
                    entry.size = found.st_size
                    tar.addfile(entry, content)
            else:
                entry = _entry(name, tarfile.REGTYPE, item.mode)
                entry.size = len(item.content)
                tar.addfile(entry, io.BytesIO(item.content))


def _parents(path):
    parent = os.path.dirname(path)
    while parent not in ('/', ''):
        yield parent
        parent = os.path.dirname(parent)


def config_of(image, diff_ids):
    config = {'Env': list(image.environment), 'Labels': {'org.opencontainers.image.title': image.title}}
    if image.entrypoint:
        config['Entrypoint'] = list(image.entrypoint)
    if image.command:
        config['Cmd'] = list(image.command)
    if image.ports:
        config['ExposedPorts'] = {f'{port}/tcp': {} for port in image.ports}
    return {'created': EPOCH, 'architecture': ARCHITECTURE, 'os': 'linux', 'config': config,
            'rootfs': {'type': 'layers', 'diff_ids': list(diff_ids)}}


def index_of(manifests):
    """`manifests`: [(Image, manifest digest, size)]. Each name is an entry, so that one import makes them all."""
    entries = []
    for image, of, size in manifests:
        for name in image.names:
            entries.append({'mediaType': MANIFEST, 'digest': of, 'size': size, 'platform': {'architecture': ARCHITECTURE, 'os': 'linux'},
                            'annotations': {'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': name.rpartition(':')[2]}})
    return {'schemaVersion': 2, 'mediaType': INDEX, 'manifests': entries}


def write_archive(path, images, layers):
    """Writes the archive to `path`, which appears whole or not at all. `layers`: {name: tree}."""
    folder = os.path.dirname(path) or '.'
    with tempfile.TemporaryDirectory(prefix='.layers-', dir=folder) as scratch:
        blobs = {}  # digest -> bytes, or the file that holds them
        known = {}
        for name in sorted({layer for image in images for layer in image.layers}):
            file = os.path.join(scratch, name)
            with open(file, 'wb') as out:
                write_layer(out, layers[name])
            known[name] = (file_digest(file), os.path.getsize(file))
            blobs[known[name][0]] = file
        manifests = []
        for image in images:
            config = _json(config_of(image, [known[layer][0] for layer in image.layers]))
            manifest = _json({'schemaVersion': 2, 'mediaType': MANIFEST,
                              'config': {'mediaType': CONFIG, 'digest': digest(config), 'size': len(config)},
                              'layers': [{'mediaType': LAYER, 'digest': known[layer][0], 'size': known[layer][1]}
                                         for layer in image.layers]})
            blobs[digest(config)], blobs[digest(manifest)] = config, manifest
            manifests.append((image, digest(manifest), len(manifest)))
        partial = os.path.join(scratch, 'archive')
        with open(partial, 'wb') as out:
            write_layer(out, {
                '/oci-layout': File(content=_json({'imageLayoutVersion': '1.0.0'})),
                '/index.json': File(content=_json(index_of(manifests))),
                **{f'/blobs/{of.replace(":", "/")}': File(source=blob) if isinstance(blob, str) else File(content=blob)
                   for of, blob in blobs.items()}})
        os.replace(partial, path)


def _json(value):
    return json.dumps(value, sort_keys=True, separators=(',', ':')).encode()
