"""The cluster's cgroups. They are its register: who runs in which machine is read from them, never from a file of pids.

A machine has one cgroup in each hierarchy, <hierarchy>/causeway-cluster/NAME/MACHINE, and is the root of its cgroup
namespace. In the v2 hierarchy each program has a cgroup of its own below it, containers have kubelet's kubepods. On a
machine whose controllers are cgroup v1 (research of containers calls it hybrid) the v2 tree has no controllers, yet
everything we start is in it, so that one write to cgroup.kill ends a machine or the whole cluster.
"""
import functools
import os
import pathlib
import time

from .plan import Refused

TOP = 'causeway-cluster'
CONTROLLERS = 'cpuset cpu io memory pids'.split()


@functools.cache
def hierarchies():
    """(v2 mount point, {v1 controllers: mount point}) of this machine."""
    v2, v1 = None, {}
    for line in open('/proc/self/mounts'):
        _, target, kind, options = line.split()[:4]
        if kind == 'cgroup2' and v2 is None:
            v2 = pathlib.Path(target)
        elif kind == 'cgroup':
            named = [o for o in options.split(',') if o.startswith('name=')]
            name = named[0] if named else os.path.basename(target)
            v1.setdefault(name, pathlib.Path(target))
    if v2 is None:
        raise Refused('no cgroup2 is mounted: mount -t cgroup2 none /sys/fs/cgroup/unified (or /sys/fs/cgroup)')
    return v2, v1


def v2(*path):
    return hierarchies()[0].joinpath(TOP, *path)


def v1(*path):
    return {name: root.joinpath(TOP, *path) for name, root in hierarchies()[1].items()}


def create(*path):
    """The cgroup in every hierarchy, with what a container runtime needs in it."""
    root, old = hierarchies()
    folder = root
    for part in ('', TOP, *path):
        if part:
            folder = folder / part
            folder.mkdir(exist_ok=True)
        # kubelet of the machine needs the controllers, so every level above hands them down (pure v2 only).
        have = (folder / 'cgroup.controllers').read_text().split()
        if not old and have:
            for controller in set(CONTROLLERS) & set(have):
                (folder / 'cgroup.subtree_control').write_text(f'+{controller}')
    for name, top in old.items():
        folder = top
        for part in (TOP, *path):
            parent, folder = folder, folder / part
            folder.mkdir(exist_ok=True)
            for file in ('cpuset.cpus', 'cpuset.mems'):  # a v1 cpuset starts empty, and then nothing may join
                if (folder / file).exists() and not (folder / file).read_text().strip():
                    (folder / file).write_text((parent / file).read_text())


def pids(*path):
    """Every process in the v2 cgroup and below it."""
    found = []
    for folder, _, _ in os.walk(v2(*path)):
        try:
            found += [int(line) for line in open(os.path.join(folder, 'cgroup.procs'))]
        except OSError:
            pass  # it went meanwhile
    return [pid for pid in found if pid]


def alive(pid):
    try:
        state = open(f'/proc/{pid}/stat').read().rsplit(')', 1)[1].split()[0]
    except OSError:
        return False
    return state not in 'ZX'


def kill(*path, seconds=30):
    """SIGKILL to all of it at once; returns when none is left."""
    if not v2(*path).exists():
        return
    (v2(*path) / 'cgroup.kill').write_text('1')
    deadline = time.monotonic() + seconds
    while left := [pid for pid in pids(*path) if alive(pid)]:
        if time.monotonic() > deadline:
            raise Refused(f'{"/".join(path)}: processes {left} did not end within {seconds} s of SIGKILL')
        time.sleep(0.01)


def remove(*path, seconds=30):
    """Removes the cgroup everywhere, from the bottom up. Its processes must have ended."""
    for top in [v2(*path), *v1(*path).values()]:
        deadline = time.monotonic() + seconds
        while top.exists():
            for folder, _, _ in os.walk(top, topdown=False):
                try:
                    os.rmdir(folder)
                except FileNotFoundError:
                    pass
                except OSError:
                    # A zombie that init has not reaped, or a kernel that still empties it, holds a cgroup for a moment.
                    if time.monotonic() > deadline:
                        raise Refused(f'the cgroup {folder} cannot be removed: what is in it? (cat {folder}/cgroup.procs)') from None
                    time.sleep(0.02)


def names(*path):
    """The cgroups directly below."""
    try:
        return sorted(entry.name for entry in os.scandir(v2(*path)) if entry.is_dir())
    except FileNotFoundError:
        return []
