"""qemu_test.py BUILD [--with iptables] [--grid PLANE]… PROGRAM…: boots Debian 12's own kernel (6.1: the oldest that we promise) in
qemu and runs kernel tests there. --with iptables adds iptables, IP sets and IPVS with all its schedulers: what many kernels are built
without. --grid: a lab there, with the grid of Services of this plane (test/services). What else there is goes to every program
(doctest's -tc='*pattern*', the grid's --only).

The machine is made of an initial file system and nothing else: the tests, what they execute, the libraries these name, the
kernel's modules, busybox. The kernel is unpacked from its Debian package into the cache; nothing of it is installed here."""
import argparse
import fcntl
import itertools
import os
import pathlib
import re
import subprocess
import sys
import threading

from contents import file_system

CACHE = pathlib.Path(os.environ.get('CAUSEWAY_CACHE') or
                     pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache') / 'causeway') / 'qemu'
COUNTS = re.compile(r'(?:test cases:\s*\d+\s*\|\s*|^)(\d+) passed\s*[|,]\s*(\d+) failed')
LIMIT = 3500  # s; a machine that is busy otherwise emulates slowly


def kernel():
    """(image, unpacked package, release) of Debian's kernel for machines like qemu's."""
    depends = subprocess.run(['apt-cache', 'depends', 'linux-image-cloud-amd64'], capture_output=True, text=True).stdout
    found = re.search(r'Depends: (linux-image-(6\.1\.\S+))', depends)
    if not found:
        sys.exit('qemu: apt-cache knows no linux-image-cloud-amd64 of version 6.1: this needs the package lists of Debian 12')
    package, release = found.groups()
    tree = CACHE / package
    if not (tree / f'boot/vmlinuz-{release}').exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        for old in CACHE.glob('*.deb'):
            old.unlink()
        subprocess.run(['apt-get', 'download', '-qq', package], cwd=CACHE, check=True, stdin=subprocess.DEVNULL)
        archive, = CACHE.glob('*.deb')
        subprocess.run(['dpkg-deb', '-x', archive, tree], check=True)
        archive.unlink()
    return tree / f'boot/vmlinuz-{release}', tree, release


def boot(image, initrd):
    # By software emulation: a KVM inside of a virtual machine (a CI runner) may be there and not carry a whole kernel.
    command = ['qemu-system-x86_64', '-accel', 'tcg,thread=multi', '-cpu', 'max', '-machine', 'q35', '-smp', '2', '-m', '3072', '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot',
               '-serial', 'stdio', '-kernel', image, '-initrd', initrd,
               '-append', 'console=ttyS0 quiet panic=-1 mitigations=off']
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def run(machine, programs):
    """Copies the machine's words; (passed, failed) as counted by the tests themselves."""
    passed = failed = 0
    current, ended = None, set()
    last = (0, 0)
    for raw in machine.stdout:
        line = raw.decode(errors='replace').rstrip()
        print(line, flush=True)
        if count := COUNTS.search(line):
            last = tuple(map(int, count.groups()))
        if begin := re.match(r'qemu: begin (\S+)', line):
            current, last = begin.group(1), (0, 0)
        elif end := re.match(r'qemu: end (\S+) (\d+)', line):
            ended.add(end.group(1))
            code = int(end.group(2))
            passed += last[0]
            failed += last[1] or (1 if code or not last[0] else 0)
    missing = [p for p in programs if p not in ended]
    for name in missing:
        print(f'qemu: {name} {"did not end" if name == current else "was not run"}')
    return passed, failed + len(missing)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument('build', type=pathlib.Path)
    arguments.add_argument('--with', dest='parts', action='append', default=[], choices=['iptables'])
    arguments.add_argument('--grid', dest='grids', action='append', default=[], metavar='PLANE')
    arguments.add_argument('programs', nargs='*')
    given, options = arguments.parse_known_args()
    build = given.build.resolve()
    # To argparse an option with a space in it is none, and a program behind an option is nobody's.
    words = [*given.programs, *options]
    programs = list(itertools.takewhile(lambda word: not word.startswith('-'), words))
    options = words[len(programs):]
    targets = [*programs, *(['product'] if given.grids else [])]
    subprocess.run(['ninja', '-C', build, *targets], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    image, tree, release = kernel()
    initrd = file_system(build, programs, options, given.parts, given.grids, tree, release, build / f'qemu-{os.getpid()}.cpio')
    print(f'qemu: initial file system of {initrd.stat().st_size >> 20} MB')
    turn = open(CACHE / 'machine.lock', 'w')
    fcntl.flock(turn, fcntl.LOCK_EX)  # an emulated machine is slow enough alone
    machine = boot(image, initrd)
    late = threading.Timer(LIMIT, machine.kill)
    late.start()
    try:
        passed, failed = run(machine, programs + [f'services_{plane}' for plane in given.grids])
    finally:
        late.cancel()
        machine.kill()
        machine.wait()
        initrd.unlink()
    print(f'{passed} passed, {failed} failed')
    return 1 if failed or not passed else 0


if __name__ == '__main__':
    sys.exit(main())
