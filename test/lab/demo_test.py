"""The demo, from nothing to every check passed, and nothing left of it."""
import sys

import lab

FAMILY = sys.argv[2]
PLANE = sys.argv[3] if len(sys.argv) > 3 else 'bpf'
FABRIC = sys.argv[4] if len(sys.argv) > 4 else 'auto'
NAME = f'tdemo-{FAMILY}' if PLANE == 'bpf' else f'tdemo-nft-{FAMILY}'


def test_demo_passes_every_check_and_leaves_nothing():
    before = lab.machine()
    done = lab.run('lab', 'demo', '--name', NAME, '--ip-family', FAMILY, '--plane', PLANE, '--fabric', FABRIC, '--down',
                   check=False)
    print(done.stdout + done.stderr)
    assert done.returncode == 0, 'the demo failed'
    assert 'all checks passed' in done.stdout
    for line in ['Pod to Pod on one node', 'Pod to Pod across nodes of one subnet', 'Pod to Pod across subnets',
                 'node to Pod on it', 'node to Pod on other nodes', 'Pod to its node', 'Pod to other nodes',
                 'Pod to a host outside of the cluster', 'containers of one Pod over lo',
                 'every Pod to a Service by its cluster IP:', 'every Pod to a Service by its cluster IP, by UDP',
                 'every node to a Service by its cluster IP', 'to the node port of every node',
                 'every Pod finds a Service by name, web.shop', 'every Pod finds a Pod of a StatefulSet by name, orders-0.orders.shop',
                 'every Pod finds a host outside of the cluster by name, www.outside.example', 'every Pod to a Service by its name',
                 'policies of the documents: frontend to backend on 80',
                 'shop under deny-all: web cannot reach api, and nobody anybody',
                 'DENIED: isolated by NetworkPolicy shop/deny-all, and no rule admits it',
                 "shop, web admitted to api on 80 (its Pods' http)", 'the peer fits, the port does not',
                 'shop, api admitted to orders on 5432', 'shop without its policies: all open again',
                 'ClientIP affinity: a Pod stays with one endpoint', 'rolling update of 3 Pods', 'none failed',
                 'pod/network-optimized not run: forbidden sysctl', 'no matches for kind "PodSecurityPolicy"']:
        assert line in done.stdout, f'the demo did not say: {line}'
    if FAMILY == 'dual':
        assert 'across subnets, source unchanged (IPv4)' in done.stdout or '(IPv4)' in done.stdout
        assert '(IPv6)' in done.stdout
    assert lab.leftovers(NAME) == []
    assert lab.machine() == before


lab.main(sys.modules[__name__])
