"""An initial file system for a kernel: files, programs with the libraries they need, kernel modules; as a cpio archive."""
import os
import pathlib
import re
import stat
import subprocess


ASKED_FOR = ('kernel/net/', 'kernel/crypto/', 'kernel/lib/')  # modules that are loaded when something needs them


class Initramfs:
    def __init__(self):
        self.entries = {}  # path in the archive -> (mode, bytes, time of change)

    def folder(self, path):
        path = path.strip('/')
        if path and path not in self.entries:
            self.folder(os.path.dirname(path))
            self.entries[path] = (stat.S_IFDIR | 0o755, b'', 0)

    def file(self, path, content, mode=0o644, changed=0):
        self.folder(os.path.dirname(path))
        self.entries[path.strip('/')] = (stat.S_IFREG | mode, content, int(changed))

    def link(self, path, target):
        self.folder(os.path.dirname(path))
        self.entries[path.strip('/')] = (stat.S_IFLNK | 0o777, target.encode(), 0)

    def program(self, source, path=None):
        """A program of this machine, at the same place or at `path`, without debug information; its libraries with it."""
        source = pathlib.Path(source)
        stripped = subprocess.run(['llvm-strip-19', '--strip-debug', '-o', '-', source], capture_output=True)
        self.file(path or str(source), stripped.stdout if stripped.returncode == 0 else source.read_bytes(), 0o755)
        # "libx.so.1 => /lib/libx.so.1 (0x…)", and the loader: "/lib64/ld-linux-x86-64.so.2 (0x…)". A static one has none.
        for library in re.findall(r'^\s*(?:\S+ => )?(/\S+) \(0x', subprocess.run(['ldd', source], capture_output=True, text=True).stdout, re.M):
            if library.strip('/') not in self.entries:
                self.file(library, pathlib.Path(library).read_bytes(), 0o755)

    def tree(self, source, path, skip=()):
        """A folder of this machine with all that is in it, but what is named `skip`; shared objects with their libraries."""
        for folder, folders, names in os.walk(source):
            folders[:] = [name for name in folders if name not in skip]
            for name in names:
                found = pathlib.Path(folder) / name
                target = f'{path}/{found.relative_to(source)}'
                if name in skip or found.is_symlink():
                    continue
                if found.suffix == '.so':
                    self.program(found, target)
                else:
                    self.file(target, found.read_bytes(), changed=found.stat().st_mtime)

    def modules(self, tree, release, names):
        """Kernel modules: those named and what they depend on, which /sbin/load-modules loads in this order, and all that the
        kernel may ask /sbin/modprobe for by itself (a table of nf_tables, a scheduler of IPVS). Names that it does not have."""
        folder = tree / 'lib/modules' / release
        if not (folder / 'modules.dep').exists():
            subprocess.run(['/sbin/depmod', '-b', tree, release], check=True)
        built_in = {pathlib.Path(line).stem.replace('-', '_') for line in (folder / 'modules.builtin').read_text().split()}
        needs = {}
        for line in (folder / 'modules.dep').read_text().splitlines():
            module, _, others = line.partition(':')
            needs[pathlib.Path(module).stem.replace('-', '_')] = [module, *others.split()]
        present = [name for name in names if name in needs]
        wanted = {module for name in present for module in needs[name]}
        wanted |= {module for modules in needs.values() for module in modules if module.startswith(ASKED_FOR)}
        for name in sorted(wanted) + [f'modules.{kind}' for kind in ('dep', 'alias', 'symbols', 'softdep', 'builtin')]:
            self.file(f'/lib/modules/{release}/{name}', (folder / name).read_bytes())
        self.link('/sbin/modprobe', '/bin/busybox')
        self.file('/sbin/load-modules', ('#!/bin/sh\n' + ''.join(f'modprobe {name}\n' for name in present)).encode(), 0o755)
        return [name for name in names if name not in needs and name not in built_in]

    def write(self, path):
        """The "newc" format: https://docs.kernel.org/driver-api/early-userspace/buffer-format.html"""
        with open(path, 'wb') as out:
            for number, (name, (mode, content, changed)) in enumerate([*self.entries.items(), ('TRAILER!!!', (0, b'', 0))], 1):
                fields = (number, mode, 0, 0, 1, changed, len(content), 0, 0, 0, 0, len(name) + 1, 0)
                header = b'070701' + b''.join(b'%08X' % field for field in fields) + name.encode() + b'\0'
                out.write(header + b'\0' * (-len(header) % 4) + content + b'\0' * (-len(content) % 4))
