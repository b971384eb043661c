"""What a machine's initial file system holds, by what is to run in it."""
import os
import pathlib
import shlex
import subprocess
import sys

from initramfs import Initramfs

HERE = pathlib.Path(__file__).resolve().parent
# What the tests make: veth, bridge, filters, tunnels; dummy and tun devices; unix and packet sockets are built in or here.
MODULES = ('veth', 'bridge', 'vxlan', 'dummy', 'tun', 'sch_ingress', 'cls_bpf', 'sch_tbf', 'sch_fq', 'sch_fq_codel', 'cls_matchall',
           'act_gact', 'af_packet', 'nf_tables', 'nft_chain_nat', 'overlay')
PROGRAMS = ('ip', 'tc', 'ping', 'nft')
# Services by iptables and by IPVS. crc32c_generic first: conntrack and IPVS look for it without naming it.
IPTABLES_MODULES = ('crc32c_generic', 'nf_conntrack_netlink', 'nft_compat', 'ip_set_hash_ip', 'ip_set_hash_net', 'ip_set_hash_ipport',
                    'ip_set_hash_ipportip', 'ip_set_hash_ipportnet', 'ip_set_bitmap_port', 'xt_set', 'xt_mark', 'xt_nat', 'xt_tcpudp', 'xt_MASQUERADE', 'xt_conntrack',
                    'xt_comment', 'xt_statistic', 'xt_devgroup', 'xt_addrtype', 'ipt_REJECT', 'ip6t_REJECT', 'iptable_nat', 'ip6table_nat',
                    'iptable_filter', 'ip6table_filter', 'iptable_mangle', 'ip6table_mangle', 'ip_vs',
                    *(f'ip_vs_{name}' for name in ('rr', 'wrr', 'lc', 'wlc', 'lblc', 'lblcr', 'sh', 'dh', 'sed', 'nq', 'mh', 'fo', 'ovf')))
IPTABLES_PROGRAMS = tuple(f'{family}tables{action}' for family in ('ip', 'ip6') for action in ('', '-save', '-restore'))
# Of Python's own library, what no test of a lab imports.
NO_PYTHON = ('test', 'ensurepip', 'lib2to3', 'distutils', 'idlelib', 'pydoc_data', 'turtle.py', 'tkinter', 'unittest', 'venv', 'wsgiref',
             'xmlrpc', 'curses', 'dbm', 'sqlite3', 'config-3.11-x86_64-linux-gnu')
LAB = '/causeway'  # product and test/ of a lab
PATIENCE = 5       # times as long as on a machine that is not emulated


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


def add_lab(image, build):
    """The product, Python, and the grid of Services."""
    for program in ('causeway', 'causeway-cni', 'causeway-workload'):
        image.program(build / 'apps' / program, f'{LAB}/bin/{program}')
    python = pathlib.Path(os.path.realpath('/usr/bin/python3'))
    image.program(python)
    image.link('/usr/bin/python3', python.name)
    image.tree(pathlib.Path('/usr/lib') / python.name, f'/usr/lib/{python.name}', NO_PYTHON)
    for folder in ('services', 'lab'):
        image.tree(HERE.parent / folder, f'{LAB}/test/{folder}')


def file_system(build, programs, options, parts, grids, tree, release, path):
    """`programs`: doctest binaries of the build; `grids`: planes whose grid of Services runs, each in a lab. All are in /tests, and
    are given `options`."""
    image = Initramfs()
    image.file('/init', (HERE / 'init.sh').read_bytes(), 0o755)
    image.program('/bin/busybox')
    image.program('/bin/dash', '/bin/sh')  # busybox's own shell prefers its applets to the `ip` of iproute2
    image.file('/etc/hostname', b'qemu\n')
    for folder in ('/proc', '/sys', '/dev', '/tmp', '/run', '/var/run', '/mnt', '/usr/bin', '/etc/cni/net.d', '/opt/cni/bin'):
        image.folder(folder)
    image.file('/tests.options', ' '.join(map(shlex.quote, options)).encode())
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
    if grids:
        add_lab(image, build)
    for plane in grids:
        script = f'#!/bin/sh\nCAUSEWAY_PATIENCE={PATIENCE} exec python3 {LAB}/test/services/grid.py {LAB}/bin/causeway {plane} -j 3 "$@"\n'
        image.file(f'/tests/services_{plane}', script.encode(), 0o755)
    missing = image.modules(tree, release, (IPTABLES_MODULES if 'iptables' in parts else ()) + MODULES)
    if missing:
        print(f'qemu: kernel {release} has no {" ".join(missing)}')
    image.write(path)
    return path
