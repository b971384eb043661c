"""qemu_test.py BUILD [--with iptables] PROGRAM…: boots Debian 12's own kernel (6.1: the oldest that we promise) in qemu and runs
kernel tests there. --with iptables adds iptables, IP sets and IPVS with all its schedulers: what many kernels are built without.

The machine is made of an initial file system and nothing else: the tests, what they execute, the libraries these name, the
kernel's modules, busybox. The kernel is unpacked from its Debian package into the cache; nothing of it is installed here."""
import argparse
import fcntl
import os
import pathlib
import re
import subprocess
import sys
import threading

from initramfs import Initramfs

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get('CAUSEWAY_CACHE') or
                     pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache') / 'causeway') / 'qemu'
# What the tests make: veth, bridge, filters, tunnels; dummy and tun devices; unix and packet sockets are built in or here.
MODULES = ('veth', 'bridge', 'vxlan', 'dummy', 'tun', 'sch_ingress', 'cls_bpf', 'sch_tbf', 'sch_fq', 'sch_fq_codel', 'cls_matchall',
           'act_gact', 'af_packet', 'nf_tables', 'nft_chain_nat', 'sctp', 'overlay')
PROGRAMS = ('ip', 'tc', 'ping', 'nft')
# Services by iptables and by IPVS. crc32c_generic first: conntrack and IPVS look for it without naming it.
IPTABLES_MODULES = ('crc32c_generic', 'nf_conntrack_netlink', 'nft_compat', 'ip_set_hash_ip', 'ip_set_hash_net', 'ip_set_hash_ipport',
                    'ip_set_hash_ipportip', 'ip_set_hash_ipportnet', 'xt_set', 'xt_mark', 'xt_nat', 'xt_tcpudp', 'xt_MASQUERADE', 'xt_conntrack',
                    'xt_comment', 'xt_statistic', 'xt_devgroup', 'xt_addrtype', 'ipt_REJECT', 'ip6t_REJECT', 'iptable_nat', 'ip6table_nat',
                    'iptable_filter', 'ip6table_filter', 'iptable_mangle', 'ip6table_mangle', 'ip_vs',
                    *(f'ip_vs_{name}' for name in ('rr', 'wrr', 'lc', 'wlc', 'lblc', 'lblcr', 'sh', 'dh', 'sed', 'nq', 'mh', 'fo', 'ovf')))
IPTABLES_PROGRAMS = tuple(f'{family}tables{action}' for family in ('ip', 'ip6') for action in ('', '-save', '-restore'))
DOCTEST = re.compile(r'test cases:\s*\d+\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed')
LIMIT = 1500  # s; 4 minutes by software emulation on two cores


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


def add_programs(image, names):
    """Those of /bin are made of several names of one program: they stay links."""
    for name in names:
        found = subprocess.run(['sh', '-c', f'PATH=/sbin:/usr/sbin:/bin:/usr/bin command -v {name}'], capture_output=True, text=True).stdout.strip()
        if not found:
            sys.exit(f'qemu: there is no program {name}: install it (iptables, nftables, iproute2, iputils-ping)')
        real = os.path.realpath(found)
        if os.path.basename(real) == name:
            image.program(real, f'/bin/{name}')
            continue
        image.program(real, f'/bin/{os.path.basename(real)}')
        image.link(f'/bin/{name}', os.path.basename(real))


def add_iptables(image):
    add_programs(image, IPTABLES_PROGRAMS)
    for extension in pathlib.Path('/usr/lib/x86_64-linux-gnu/xtables').glob('lib*.so'):
        image.program(extension)


def file_system(build, programs, parts, tree, release, path):
    image = Initramfs()
    image.file('/init', (HERE / 'init.sh').read_bytes(), 0o755)
    image.program('/bin/busybox')
    image.program('/bin/dash', '/bin/sh')  # busybox's own shell prefers its applets to the `ip` of iproute2
    image.file('/etc/hostname', b'qemu\n')
    for folder in ('/proc', '/sys', '/dev', '/tmp', '/run', '/var/run', '/etc/cni/net.d', '/opt/cni/bin'):
        image.folder(folder)
    add_programs(image, PROGRAMS)
    if 'iptables' in parts:
        add_iptables(image)
    for name in programs:
        found, = [p for p in build.glob(f'test/**/{name}') if p.is_file()]
        image.program(found, f'/tests/{name}')
    # Programs that the tests execute are compiled in by their path.
    if 'pod_kernel' in programs:
        for extra in ('test/kernel/pod/pod_test_agent', 'apps/causeway-cni'):
            image.program(build / extra)
    missing = image.modules(tree, release, (IPTABLES_MODULES if 'iptables' in parts else ()) + MODULES)
    if missing:
        print(f'qemu: kernel {release} has no {" ".join(missing)}')
    image.write(path)
    return path


def boot(image, initrd):
    # By software emulation: a KVM inside of a virtual machine (a CI runner) may be there and not carry a whole kernel.
    command = ['qemu-system-x86_64', '-accel', 'tcg,thread=multi', '-cpu', 'max', '-machine', 'q35', '-smp', '2', '-m', '2048', '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot',
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
        if count := DOCTEST.search(line):
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
    arguments.add_argument('programs', nargs='+')
    given = arguments.parse_args()
    build, programs = given.build.resolve(), given.programs
    subprocess.run(['ninja', '-C', build, *programs], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    image, tree, release = kernel()
    initrd = file_system(build, programs, given.parts, tree, release, build / f'qemu-{os.getpid()}.cpio')
    print(f'qemu: initial file system of {initrd.stat().st_size >> 20} MB')
    turn = open(CACHE / 'machine.lock', 'w')
    fcntl.flock(turn, fcntl.LOCK_EX)  # an emulated machine is slow enough alone
    machine = boot(image, initrd)
    late = threading.Timer(LIMIT, machine.kill)
    late.start()
    try:
        passed, failed = run(machine, programs)
    finally:
        late.cancel()
        machine.kill()
        machine.wait()
        initrd.unlink()
    print(f'{passed} passed, {failed} failed')
    return 1 if failed or not passed else 0


if __name__ == '__main__':
    sys.exit(main())
