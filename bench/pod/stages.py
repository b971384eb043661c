"""What is measured, each stage by itself: takes the figures to add to and the sizes to use."""
import contextlib
import statistics
import time

import calm
import node
from moving import replaced
from node import BenchError, Ours, Reference

MS, RATE = 'ms', '/s'
SETTLE = 2  # seconds: the kernel takes the namespaces of the former turn down in the background, under the lock that all need
MTU, HEADERS, FRAME = 1500, 52, 14  # IPv4 and TCP with timestamps; Ethernet


def percentile(values, percent):
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


def peers_of(figures):
    """Those that are there: the pinned release must be, Debian's may."""
    found = {}
    try:
        found['v1.9.1'] = Reference()
    except BenchError as error:
        figures.missing('peer: plugins v1.9.1', str(error))
    with contextlib.suppress(BenchError):
        found['Debian'] = Reference('/usr/lib/cni')
    return found


class Samples:
    """Milliseconds of single calls, and calls a second of many at once, by (who, network, command)."""

    def __init__(self):
        self.each, self.rates = {}, {}

    def one_by_one(self, who, runtime, network, pods):
        for command in ('add', 'del'):
            _, each = runtime.times(command, network, pods)
            self.each.setdefault((who, network, command), []).extend(each)

    def at_once(self, who, runtime, network, pods, count):
        for command in ('add', 'del'):
            wall, _ = runtime.times(command, network, pods, 8)
            self.rates.setdefault((who, network, command), []).append(count / wall)

    def p50(self, *key):
        return statistics.median(self.each[key]) if key in self.each else None

    def p99(self, *key):
        return percentile(self.each[key], 99) if key in self.each else None

    def rate(self, *key):
        return statistics.median(self.rates[key]) if key in self.rates else None


def round_of(samples, who, runtime, networks, sizes, number):
    """networks: name -> Pods one by one, Pods at once."""
    for network, (single, many) in networks.items():
        for kind, count in (('one', single), ('many', many)):
            if not count:
                continue
            pods = f'{network}-{kind}-{number}'
            time.sleep(SETTLE)
            runtime.pods(pods, count)
            if kind == 'one':
                samples.one_by_one(who, runtime, network, pods)
            else:
                samples.at_once(who, runtime, network, pods, count)
            runtime.ask('drop', pods)


def speed(figures, sizes):
    """ADD and DEL, processes included, as a runtime sees them; ours and the reference plugins take turns."""
    samples = Samples()
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(Ours('speed')).runtime
        peers = {name: stack.enter_context(peer).runtime for name, peer in peers_of(figures).items()}
        ours.pods('warm', 10)
        Samples().one_by_one('ours', ours, 'plain', 'warm')
        ours.ask('drop', 'warm')
        for number in range(sizes.rounds):
            round_of(samples, 'ours', ours, {'plain': (sizes.single, sizes.many), 'hostport': (sizes.single // 2, 0)}, sizes, number)
            for name, runtime in peers.items():
                few = sizes.single // 6
                first = number == 0 and name == 'v1.9.1'  # many at once through iptables take a minute
                round_of(samples, name, runtime, {'bridge': (few, few * 2), 'ptp': (few, 0), 'bridge-portmap': (few // 2, few if first else 0)},
                         sizes, number)
    bridge, portmap = ('v1.9.1', 'bridge'), ('v1.9.1', 'bridge-portmap')
    for command, goal in (('add', 2.5), ('del', 1.5)):
        name = command.upper()
        figures.value(f'{name}, p50', MS, samples.p50('ours', 'plain', command), goal, samples.p50(*bridge, command))
        figures.value(f'{name}, p99', MS, samples.p99('ours', 'plain', command), 8 if command == 'add' else None, samples.p99(*bridge, command))
        figures.value(f'{name} with hostPort, p50', MS, samples.p50('ours', 'hostport', command), 3 if command == 'add' else None,
                      samples.p50(*portmap, command))
        figures.at_least(f'{name}, eight at once', RATE, samples.rate('ours', 'plain', command), 500 if command == 'add' else 1000,
                         samples.rate(*bridge, command))
    for what, ours_network, peer, goal in (('bridge + host-local', 'plain', bridge, 6), ('bridge + host-local + portmap', 'hostport', portmap, 40)):
        theirs, mine = samples.p50(*peer, 'add'), samples.p50('ours', ours_network, 'add')
        figures.at_least(f'{what} v1.9.1: ADD takes so many times ours', 'x', theirs / mine if theirs else None, goal)
    for who in ('v1.9.1', 'Debian'):
        for network in ('bridge', 'ptp', 'bridge-portmap'):
            for command in ('add', 'del'):
                if (took := samples.p50(who, network, command)) is not None:
                    figures.value(f'  {who} {network}: {command.upper()}, p50', MS, took)


def many(figures, sizes):
    """An ADD when the node has no Pods yet, and when it has as many as it may."""
    with Ours('many', '--ip-family', 'ipv4') as ours:
        runtime, took, pace = ours.runtime, {}, calm.Pace()

        def turn(name):
            # In turns with deletions, so that each is measured with as many on the node.
            time.sleep(SETTLE)
            runtime.pods(name, sizes.single)
            try:
                return statistics.median(runtime.times('add', 'plain', name)[1])
            finally:
                runtime.times('del', 'plain', name)
                runtime.ask('drop', name)

        def sample(name):
            took.setdefault(name, []).extend(pace.rounds(sizes.rounds, lambda: turn(name)))
        sample('warm')
        sample('first')
        runtime.pods('load', sizes.attachments, 20)
        wall, _ = runtime.times('add', 'plain', 'load', 8)
        figures.at_least(f'{sizes.attachments:,} attachments on one node, eight at once', RATE, sizes.attachments / wall)
        sample('last')
        sample('last')
        wall, _ = runtime.times('del', 'plain', 'load', 8)
        figures.at_least(f'DEL of {sizes.attachments:,}, eight at once', RATE, sizes.attachments / wall)
        sample('first')  # half of it before, half behind: what changes with time alone is no difference
        figures.ratio(f'ADD among {sizes.attachments:,} attachments, to the first', MS, statistics.median(took['last']),
                      statistics.median(took['first']), at_most=1.10)


def on_the_wire(payload, mtu):
    """The rate of whole frames that carry so much payload in full segments."""
    return payload * (mtu + FRAME) / (mtu - HEADERS)


def bandwidth(figures, sizes):
    """A limited Pod's rate, both ways and on both planes; and what an unlimited one pays for it."""
    for plane in ('bpf', 'netfilter'):
        with Ours(f'rate-{plane}', '--plane', plane, '--ip-family', 'ipv4', '--fabric', 'host-gw') as ours:
            runtime = ours.runtime
            for rate in sizes.rates:
                for direction in ('ingress', 'egress'):
                    network, pods = f'{direction}-{rate}', f'p-{direction}-{rate}'
                    ours.limit(network, **{direction: rate})
                    for name, count, of in ((pods, 1, network), ('free', 1, 'plain')):
                        runtime.pods(name, count)
                        runtime.times('add', of, name)
                    runtime.ask('join', 'both', pods, 'free')
                    start, end = (1, 0) if direction == 'ingress' else (0, 1)
                    found = on_the_wire(float(runtime.ask('rate', 'both', start, end, sizes.seconds)), MTU)
                    figures.within(f'{plane}: {direction} limit of {rate / 1e6:g} Mbit/s, on the wire', 'Mbit/s', found / 1e6, rate / 1e6, 0.03)
                    for name, of in ((pods, network), ('free', 'plain')):
                        runtime.times('del', of, name)
                    for name in ('both', pods, 'free'):
                        runtime.ask('drop', name)
            if plane == 'bpf':
                unlimited(figures, ours, sizes)


def unlimited(figures, ours, sizes):
    """The same two Pods before and while others of the node are limited."""
    runtime = ours.runtime
    runtime.pods('two', 2)
    runtime.times('add', 'plain', 'two')
    def pair():
        alone = float(runtime.ask('latency', 'two', 0, 1, 1000))
        runtime.pods('slow', 4)
        runtime.times('add', f'ingress-{sizes.rates[0]}', 'slow')
        beside = float(runtime.ask('latency', 'two', 0, 1, 1000))
        runtime.times('del', f'ingress-{sizes.rates[0]}', 'slow')
        runtime.ask('drop', 'slow')
        return alone, beside

    pairs = calm.Pace().rounds(3 * sizes.rounds, pair)
    ratios, alone = [beside / alone for alone, beside in pairs], [alone for alone, _ in pairs]
    base = statistics.median(alone)
    figures.ratio('bpf: round trip of Pods without a limit, limited ones beside them', 'us', statistics.median(ratios) * base, base,
                  at_most=1.05)


STAGES = {'speed': speed, 'many': many, 'bandwidth': bandwidth, 'replaced': replaced}
__all__ = ['STAGES', 'node']
