"""What the images of the suites hold, and the names that the suites ask for.

The tests of sig-network and the policy suites name these images; what each must be able to do was read in the tests
(Kubernetes v1.36.3, test/utils/image/manifest.go and test/images). /bin/sh is dash and wget is GNU's on purpose: busybox' shell runs
its own nc before the one in PATH, and its static wget crashes as soon as it resolves a name.
"""
import glob
import os

from oci import File, Folder, Image, Link
from rootfs import tree_of

IPERF = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'iperf22.sh')
PORTER = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'porter.sh')
E2E = 'registry.k8s.io/e2e-test-images'

# What the tests and a curious person run in a Pod.
PROGRAMS = '''
bash dash dig nslookup host curl nc.openbsd ip ss bridge iperf wget getent nsenter ping conntrack
awk basename cat chmod chown cp cut date dd df dirname du echo env expr false find grep head hostname id ipcs kill ln ls mkdir mktemp mv
nproc od printf ps pwd readlink realpath rm sed seq setpriv sleep sort stat sync sysctl tail tar tee test timeout top touch tr
true tty uname uniq wc which whoami xargs xtables-nft-multi
'''.split()

LINKS = {
    '/usr/bin/sh': 'dash', '/usr/bin/nc': 'nc.openbsd', '/usr/bin/[': 'test',
    **{f'/usr/sbin/{name}': 'xtables-nft-multi' for name in
       ('iptables', 'iptables-save', 'iptables-restore', 'ip6tables', 'ip6tables-save', 'ip6tables-restore')},
}

# Two users that a test of supplemental groups looks for, and what getent needs.
FILES = {
    '/etc/passwd': 'root:x:0:0:root:/root:/bin/bash\nuser-defined-in-image:x:1000:1000::/home/user-defined-in-image:/bin/sh\n'
                   'nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n',
    '/etc/group': 'root:x:0:\ngroup-defined-in-image:x:50000:user-defined-in-image\nuser-defined-in-image:x:1000:\nnogroup:x:65534:\n',
    '/etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\nprotocols: files\nservices: files\n',
    '/etc/hosts': '127.0.0.1 localhost\n::1 localhost\n',
}

IMAGES = [
    Image('pause', ('registry.k8s.io/pause:3.10.2', 'registry.k8s.io/pause:3.10.1', 'registry.k8s.io/pause:3.10'), ('pause',),
          entrypoint=('/pause',)),
    Image('agnhost', tuple(f'{E2E}/agnhost:{tag}' for tag in ('2.63.0', '2.56', '2.55', '2.53', '2.43')),
          ('tools', 'agnhost', 'coredns'), entrypoint=('/agnhost',), command=('pause',), ports=(80, 5000, 8080, 8081, 9376)),
    # The suite of network-policy-api wants this tag, and starts it by `bash -c`.
    Image('agnhost-porter', (f'{E2E}/agnhost:2.45',), ('tools', 'agnhost', 'porter'), entrypoint=('/agnhost',), command=('pause',),
          environment=(*Image.environment, 'BASH_ENV=/etc/porter.sh')),
    Image('nginx', tuple(f'{E2E}/{name}' for name in ('nginx:1.27-0', 'nginx:1.15-4', 'nginx:1.14-4', 'httpd:2.4.38-4', 'httpd:2.4.39-4')),
          ('tools', 'agnhost'), entrypoint=('/agnhost',), command=('test-webserver',), ports=(80,)),
    Image('busybox', (f'{E2E}/busybox:1.37.0-1', f'{E2E}/busybox:1.36.1-1'), ('tools',), command=('sh',)),
    Image('glibc-dns-testing', (f'{E2E}/glibc-dns-testing:2.0.0', f'{E2E}/jessie-dnsutils:1.7'), ('tools',), command=('bash',)),
    Image('distroless-iptables', tuple(f'registry.k8s.io/build-image/distroless-iptables:{tag}' for tag in ('v0.9.6', 'v0.7.14')),
          ('tools',), command=('sh',)),
    Image('regression-issue-74839', tuple(f'{E2E}/regression-issue-74839:{tag}' for tag in ('1.4', '1.2')), ('regression-issue-74839',),
          entrypoint=('/regression-issue-74839',)),
    Image('coredns', ('registry.k8s.io/coredns/coredns:v1.15.0', 'docker.io/coredns/coredns:v1.15.0', 'docker.io/coredns/coredns:v1.12.2'),
          ('coredns',), entrypoint=('/coredns',), ports=(53,)),
]

# Layers that hold one program of ./dev peers. Tests of resolv.conf run agnhost's /coredns with a configuration of theirs.
PEERS = {'agnhost': 'agnhost', 'regression-issue-74839': 'regression-issue-74839', 'coredns': 'coredns'}


def layers_of(images, peers, pause, porter):
    """{layer: tree} for `images`. `peers`: {peer: path}; `pause`: the program; `porter`: the folder of agnhost's TLS pair."""
    wanted = {layer for image in images for layer in image.layers}
    layers = {}
    if 'tools' in wanted:
        layers['tools'] = tree_of(PROGRAMS, LINKS, FILES, sorted(glob.glob('/usr/lib/*/xtables')) or ['/usr/lib/xtables'])
        layers['tools']['/usr/local/bin/iperf'] = File(source=IPERF, mode=0o755)
    if 'porter' in wanted:
        layers['porter'] = {'/etc/porter.sh': File(source=PORTER)}
    if 'pause' in wanted:
        layers['pause'] = {'/pause': File(source=pause, mode=0o755)}
    for layer in wanted & PEERS.keys():
        layers[layer] = {f'/{layer}': File(source=peers[PEERS[layer]], mode=0o755)}
    if 'agnhost' in wanted:
        layers['agnhost'] |= {
            '/agnhost-2': Link('agnhost'), '/uploads': Folder(), '/home/user-defined-in-image': Folder(),
            '/localhost.crt': File(source=f'{porter}/localhost.crt'), '/localhost.key': File(source=f'{porter}/localhost.key')}
    return layers
