"""oci_archive.py LAYOUT NAME ARCHIVE: an OCI layout as one tar file that names its image, the same bytes for the same layout.

The name is in two annotations: containerd reads io.containerd.image.name, others org.opencontainers.image.ref.name.
"""
import json
import os
import pathlib
import sys
import tarfile


def main(layout, name, archive):
    layout = pathlib.Path(layout)
    index = json.loads((layout / 'index.json').read_text())
    for manifest in index['manifests']:
        manifest['annotations'] = {'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': name}
    (layout / 'index.json').write_text(json.dumps(index, separators=(',', ':'), sort_keys=True))
    temporary = archive + '.tmp'
    with tarfile.open(temporary, 'w', format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(p for p in layout.rglob('*') if p.is_file()):
            entry = tarfile.TarInfo(path.relative_to(layout).as_posix())
            entry.size, entry.mode = path.stat().st_size, 0o644
            with path.open('rb') as content:
                tar.addfile(entry, content)
    os.replace(temporary, archive)


if __name__ == '__main__':
    main(*sys.argv[1:])
