#!/usr/bin/env python3
"""bench.py [--json FILE] [--rounds N] [--pods N] [--burst N] [--idle SECONDS] [--stacks A,B,…] [--keep]: see README.md."""
import argparse
import pathlib
import signal
import statistics
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / 'tools/dev')]
import cluster_handle  # noqa: E402
import cost  # noqa: E402
import figures  # noqa: E402
from kube import Api, ApiError, get_text, samples  # noqa: E402
from pods import Pods  # noqa: E402

METRICS = 1338  # containerd's metrics on each node's loopback
ADD = 'containerd_cri_network_plugin_operations_duration_seconds_seconds'
FLOWS = 'apiserver_flowcontrol_dispatched_requests_total'
FLOW = 'causeway-bench'
WARM_UP = 3  # Pods before the first round: code and images in memory


class Stack:
    """A cluster of one stack, up for the whole bench, and what was measured on it."""

    def __init__(self, name, options):
        self.name, self.cluster = name, f'bench-{name}'
        self.handle = cluster_handle.find(self.cluster) or cluster_handle.up(self.cluster, {'stack': name, 'nodes': options.nodes})
        self.api = Api(self.handle.kubeconfig, self.handle.netns)
        self.node = self.handle.nodes[0]
        self.singles, self.bursts, self.adds, self.burst_adds, self.burst_cpu = [], [], [], [], []
        self.memory = self.requests = None

    def added(self):
        """(seconds, calls) of CNI ADD so far, as the node's containerd counts them."""
        text = get_text(self.node['netns'], METRICS, '/v1/metrics')
        return (samples(text, f'{ADD}_sum', operation_type='set_up_pod'), samples(text, f'{ADD}_count', operation_type='set_up_pod'))

    def per_add(self, before):
        """Milliseconds of one ADD since `before`."""
        seconds, calls = (now - then for now, then in zip(self.added(), before))
        if not calls:
            raise ApiError(f'{self.name}: containerd counted no CNI ADD ({ADD})')
        return seconds / calls * 1000

    def round(self, number, options):
        with Pods(self.api, f'bench-{time.time():.0f}-{number}', self.node['name']) as pods:
            if number == 0:
                pods.create(WARM_UP, at_once=False)
                return
            before = self.added()
            self.singles += pods.create(options.pods, at_once=False)
            self.adds.append(self.per_add(before))
            pods.remove_all()
            before, spent = self.added(), cost.node_cpu(self.node['netns'])
            self.bursts.append(max(pods.create(options.burst, at_once=True)))
            self.burst_adds.append(self.per_add(before))
            now = cost.node_cpu(self.node['netns'])
            self.burst_cpu.append({key: now[key] - spent[key] for key in now})
            self.memory = cost.agent_memory(self.node['netns']) or cost.proxy_memory(self.node['netns'])
            pods.remove_all()

    def count_requests(self):
        """Gives the agents' requests a flow of their own, which the API server counts."""
        path = '/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas'
        self.api.request('DELETE', f'{path}/{FLOW}', missing_is_none=True)
        every = {'verbs': ['*'], 'apiGroups': ['*'], 'resources': ['*'], 'clusterScope': True, 'namespaces': ['*']}
        self.api.request('POST', path, {
            'apiVersion': 'flowcontrol.apiserver.k8s.io/v1', 'kind': 'FlowSchema', 'metadata': {'name': FLOW},
            'spec': {'matchingPrecedence': 50, 'priorityLevelConfiguration': {'name': 'workload-high'}, 'rules': [
                {'subjects': [{'kind': 'Group', 'group': {'name': 'system:serviceaccounts:causeway'}}], 'resourceRules': [every],
                 'nonResourceRules': [{'verbs': ['*'], 'nonResourceURLs': ['*']}]}]}})

    def requests_so_far(self):
        return samples(self.api.request('GET', '/metrics'), FLOWS, flow_schema=FLOW)


def idle(stacks, seconds):
    """Requests for each node and minute while nothing happens; the clusters idle together."""
    for stack in stacks:
        stack.count_requests()
    time.sleep(15)  # the API server takes the flow up, and what the bursts left is settled
    before = {stack.name: stack.requests_so_far() for stack in stacks}
    time.sleep(seconds)
    for stack in stacks:
        stack.requests = (stack.requests_so_far() - before[stack.name]) / len(stack.handle.nodes) / (seconds / 60)


def report(stock, stacks):
    rows = figures.Figures()
    for ours in stacks:
        name = ours.name
        rows.ratio(f'Pod created to Ready, {name}', 'ms', 1000 * statistics.median(ours.singles), 1000 * statistics.median(stock.singles),
                   at_most=figures.NO_SLOWER)
        rows.ratio(f'CNI ADD as containerd sees it, {name}', 'ms', statistics.median(ours.adds), statistics.median(stock.adds), at_most=1 / 3)
        rows.ratio(f'100 Pods on one node at once, {name}', 's', statistics.median(ours.bursts), statistics.median(stock.bursts),
                   at_most=figures.NO_SLOWER)
        rows.ratio(f'CNI ADD among them, {name}', 'ms', statistics.median(ours.burst_adds), statistics.median(stock.burst_adds))
        rows.ratio(f'CPU of agent and plugins for them, {name}', 's', statistics.median(c['agent'] + c['plugins'] for c in ours.burst_cpu),
                   statistics.median(c['plugins'] for c in stock.burst_cpu))
        rows.value(f'agent RSS beside kube-proxy\'s, {name}', 'MB', ours.memory, peer=stock.memory)
        rows.value(f'requests to the API server, idle, a node and minute, {name}', '', ours.requests, at_most=2)
    return rows


def main():
    parser = argparse.ArgumentParser(prog='./dev bench cluster', description='See bench/cluster/README.md.')
    parser.add_argument('--json', metavar='FILE')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--pods', type=int, default=12, help='Pods one after the other, in each round')
    parser.add_argument('--burst', type=int, default=100, help='Pods at once')
    parser.add_argument('--idle', type=int, default=180, metavar='SECONDS')
    parser.add_argument('--nodes', type=int, default=2)
    parser.add_argument('--stacks', default='cni,noproxy', help='beside stock')
    parser.add_argument('--keep', action='store_true', help='leave the clusters up, for another run')
    options = parser.parse_args()
    names = ['stock', *options.stacks.split(',')]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the clusters are taken down
    stacks = []
    try:
        for name in names:
            stacks.append(Stack(name, options))
        for number in range(options.rounds + 1):
            for at in range(len(stacks)):  # another one begins each round
                stack = stacks[(at + number) % len(stacks)]
                stack.round(number, options)
                if number:
                    print(f'round {number}, {stack.name}: Pod {1000 * statistics.median(stack.singles[-options.pods:]):.0f} ms, '
                          f'ADD {stack.adds[-1]:.1f} ms, {options.burst} Pods {stack.bursts[-1]:.1f} s', file=sys.stderr, flush=True)
        idle(stacks[1:], options.idle)
        text = report(stacks[0], stacks[1:]).json()
    except (cluster_handle.ClusterError, ApiError, OSError) as error:
        sys.exit(f'bench cluster: {error}')
    finally:
        if not options.keep:
            for name in names:
                if cluster_handle.find(f'bench-{name}'):
                    cluster_handle.down(f'bench-{name}')
    if options.json:
        pathlib.Path(options.json).write_text(text)
    else:
        print(text, end='')
    return 0


if __name__ == '__main__':
    sys.exit(main())
