"""Programs of this machine as the tree of an image: each with the libraries that the loader would map."""
import os
import re
import subprocess

from oci import File, Folder, Link

# Debian 12 merges /usr: what the loader names /lib… is the file below /usr/lib….
MERGED = ('bin', 'sbin', 'lib', 'lib32', 'lib64')
LIBRARY = re.compile(r'^\s*(?:\S+ => )?(/\S+) \(0x[0-9a-f]+\)$', re.M)


class Missing(Exception):
    """Something an image needs is not on this machine; the sentence says what installs it."""


def merged(path):
    """The path without the links of the merged /usr."""
    first = path.split('/')[1]
    return '/usr' + path if first in MERGED else path


def libraries(program):
    """Paths of the libraries that `program` is loaded with, the loader among them; none for a script or a static program."""
    with open(program, 'rb') as file:
        if file.read(4) != b'\x7fELF':
            return []
    done = subprocess.run(['ldd', program], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if 'not found' in done.stdout:
        raise Missing(f'{program}: a library is missing: {done.stdout.strip()}')
    return LIBRARY.findall(done.stdout)


def find(name):
    """Where the program `name` is; a name with a slash is a path."""
    places = [name] if '/' in name else [f'/usr/{folder}/{name}' for folder in ('bin', 'sbin')]
    for path in places:
        if os.path.isfile(path):
            return path
    raise Missing(f'{name} is not on this machine: ./dev peers images installs it (tools/dev/packages-images.txt)')


def tree_of(programs, links, files=(), folders=()):
    """{path: entry}: programs by name, `links` {path: target}, `files` {path: text}, whole `folders` of this machine."""
    tree = {f'/{name}': Link(f'usr/{name}') for name in MERGED if os.path.isdir(f'/usr/{name}')}
    sources = {}
    for name in programs:
        path = find(name)
        sources[path] = os.path.realpath(path)  # past /etc/alternatives
    for folder in folders:
        if not os.path.isdir(folder):
            raise Missing(f'{folder} is not on this machine: ./dev peers images installs it (tools/dev/packages-images.txt)')
        for base, _, names in sorted(os.walk(folder)):
            sources.update({f'{base}/{name}': os.path.realpath(f'{base}/{name}') for name in names})
    for real in list(sources.values()):
        for library in libraries(real):
            sources[merged(library)] = os.path.realpath(library)
    tree.update({path: File(source=real) for path, real in sources.items()})
    tree.update({path: Link(target) for path, target in links.items()})
    tree.update({path: File(content=text.encode()) for path, text in dict(files).items()})
    tree['/tmp'] = Folder(0o1777)
    for name in MERGED:  # a link whose directory the tree does not have would dangle
        tree.setdefault(f'/usr/{name}', Folder())
    return tree
