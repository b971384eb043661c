"""An initial file system for a kernel: files, programs with the libraries they need, kernel modules; as a cpio archive."""
import os
import pathlib
import re
import stat
import subprocess


class Initramfs:
    def __init__(self):
        self.entries = {}  # path in the archive -> (mode, bytes)

    def folder(self, path):
        path = path.strip('/')
        if path and path not in self.entries:
            self.folder(os.path.dirname(path))
            self.entries[path] = (stat.S_IFDIR | 0o755, b'')

    def file(self, path, content, mode=0o644):
        self.folder(os.path.dirname(path))
        self.entries[path.strip('/')] = (stat.S_IFREG | mode, content)

    def link(self, path, target):
        self.folder(os.path.dirname(path))
        self.entries[path.strip('/')] = (stat.S_IFLNK | 0o777, target.encode())

    def program(self, source, path=None):
        """A program of this machine, at the same place or at `path`, without debug information; its libraries with it."""
        source = pathlib.Path(source)
        stripped = subprocess.run(['llvm-strip-19', '--strip-debug', '-o', '-', source], capture_output=True)
        self.file(path or str(source), stripped.stdout if stripped.returncode == 0 else source.read_bytes(), 0o755)
        # "libx.so.1 => /lib/libx.so.1 (0x…)", and the loader: "/lib64/ld-linux-x86-64.so.2 (0x…)". A static one has none.
        for library in re.findall(r'^\s*(?:\S+ => )?(/\S+) \(0x', subprocess.run(['ldd', source], capture_output=True, text=True).stdout, re.M):
            if library.strip('/') not in self.entries:
                self.file(library, pathlib.Path(library).read_bytes(), 0o755)

    def modules(self, tree, release, names):
        """Kernel modules and what they depend on, loaded in this order by /sbin/load-modules."""
        folder = tree / 'lib/modules' / release
        if not (folder / 'modules.dep').exists():
            subprocess.run(['/sbin/depmod', '-b', tree, release], check=True)
        built_in = {pathlib.Path(line).stem.replace('-', '_') for line in (folder / 'modules.builtin').read_text().split()}
        needs = {}
        for line in (folder / 'modules.dep').read_text().splitlines():
            module, _, others = line.partition(':')
            needs[pathlib.Path(module).stem.replace('-', '_')] = [*reversed(others.split()), module]
        order, missing = [], []
        for name in names:
            if name in needs:
                order += [m for m in needs[name] if m not in order]
            elif name not in built_in:
                missing.append(name)
        for module in order:
            self.file(f'/lib/modules/{pathlib.Path(module).name}', (folder / module).read_bytes())
        self.file('/sbin/load-modules', '#!/bin/sh\n{}'.format(
            ''.join(f'insmod /lib/modules/{pathlib.Path(m).name}\n' for m in order)).encode(), 0o755)
        return missing

    def write(self, path):
        """The "newc" format: https://docs.kernel.org/driver-api/early-userspace/buffer-format.html"""
        with open(path, 'wb') as out:
            for number, (name, (mode, content)) in enumerate([*self.entries.items(), ('TRAILER!!!', (0, b''))], 1):
                fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
                header = b'070701' + b''.join(b'%08X' % field for field in fields) + name.encode() + b'\0'
                out.write(header + b'\0' * (-len(header) % 4) + content + b'\0' * (-len(content) % 4))
