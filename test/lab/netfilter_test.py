"""A node on the netfilter plane: it cannot become a mixture, and what others break in the kernel is repaired."""
import os
import re
import signal
import sys

import lab

AGENT = '/usr/lib/causeway/causeway'


def metric(one, node, name):
    text = one.exec(node, 'curl', '-s', 'http://127.0.0.1:9470/metrics').stdout
    return float(re.search(rf'^{name}(?:{{[^}}]*}})? (\S+)$', text, re.M).group(1))


def agent_ready(one, node):
    return one.exec(node, 'curl', '-sf', 'http://127.0.0.1:9470/readyz', check=False).returncode == 0


def table(one, node):
    """Its sets, maps and chains; nft lists them in the order in which they were made, which is not always the same."""
    text = one.exec(node, 'nft', '-s', 'list', 'table', 'inet', 'causeway', check=False).stdout
    return sorted(re.findall(r'^\t(?:set|map|chain) .*?^\t}', text, re.S | re.M))


def ask(one, pod, address):
    return one.exec(pod, 'causeway-workload', 'connect', f'http://{address}:8080/', check=False)


def test_everything_of_a_netfilter_lab():
    with lab.Lab('tnetfilter', '--nodes', '2', '--plane', 'netfilter', '--fabric', 'vxlan') as one:
        for number in (1, 2):
            one.create_pod(f'web-{number}', nodeName=f'node-{number}')
        first, second = (one.wait_ready(f'web-{number}') for number in (1, 2))
        node, address = 'node-1', second['status']['podIP']
        ways = lambda: one.exec(node, 'curl', '-sf', '--max-time', '3', f'http://{address}:8080/', check=False).returncode == 0
        assert ways(), 'node to remote Pod'
        assert 'plane netfilter' in one.exec(node, 'curl', '-s', '--unix-socket', '/run/causeway/observe.sock',
                                             'http://agent/tables').stdout
        assert one.exec(node, 'cat', '/run/causeway/plane').stdout == 'netfilter\n'
        assert 'causeway' not in one.exec(node, 'ls', '/sys/fs/bpf').stdout, 'something of the bpf plane is pinned'

        # A restart observes, finds no difference and writes nothing.
        before = table(one, node)
        one.kill(f'nodes/{node}/agent')
        lab.until('the agent is back', 30, lambda: agent_ready(one, node))
        assert metric(one, node, 'causeway_fabric_writes_total') == 0
        assert table(one, node) == before

        # Somebody flushes the ruleset; somebody deletes the tunnel.
        one.exec(node, 'nft', 'flush', 'ruleset')
        lab.until('the table is back', 30, lambda: table(one, node) == before)
        one.exec(node, 'ip', 'link', 'del', 'causeway.vxlan4')
        lab.until('the tunnel is back', 30, lambda: ways())

        # With tunnels the other plane is refused while Pods are attached, in one sentence that says what to do.
        refused = one.exec(node, AGENT, 'agent', '--node', node, '--kubeconfig', '/etc/causeway/kubeconfig', '--plane',
                           'bpf', '--fabric', 'vxlan', '--run-dir', '/run/other', check=False)
        assert refused.returncode == 1
        assert 'has 1 Pods on plane netfilter' in refused.stderr and f'kubectl drain {node}' in refused.stderr, refused.stderr

        # Without Pods it changes, and leaves nothing of the plane before.
        one.delete_pod('web-1', grace=0)
        one.wait_gone('web-1')
        lab.until('no link of a Pod', 30, lambda: one.exec(node, 'ip', '-br', 'link', 'show', 'group', '51776').stdout == '')
        for pid in one.pids(f'nodes/{node}/agent'):  # it would bring back what the other removes
            os.kill(pid, signal.SIGSTOP)
        changed = one.exec(node, 'timeout', '25', AGENT, 'agent', '--node', node, '--kubeconfig', '/etc/causeway/kubeconfig',
                           '--plane', 'bpf', '--fabric', 'vxlan', '--run-dir', '/run/other', '--observe', '', '--cni-config-dir', '/run/other/net.d',
                           check=False)
        assert 'plane bpf carries the packets' in changed.stderr, changed.stderr
        assert 'causeway.vxlan' not in one.exec(node, 'ip', 'link').stdout
        assert 'fabric-' not in ''.join(table(one, node))
        assert one.exec(node, 'ip', 'rule', 'show', 'table', '51776').stdout == ''


lab.main(sys.modules[__name__])
