"""What is measured, each stage by itself: takes the figures to add to and the sizes to use."""
import statistics
import time

from policed import POLICIES, PORT, PROBE, Cluster, Link, Listener, lab, parts, policy

NODES = ('node-1', 'node-2')
QUIET = 0.25  # seconds between changes: each for itself, and long enough to be told from a packet that came late


def compile_all(figures, sizes):
    """CPU time of the compiler, and of writing to the kernel's maps."""
    for shape, who in (('node', 'one of 1,000 nodes'), ('small', 'every Pod judged')):
        took = parts(shape, sizes.namespaces)
        name = f'{sizes.namespaces:,} namespaces, {4 * sizes.namespaces:,} Pods, {3 * sizes.namespaces:,} policies, {who}'
        figures.value(f'{name}: compiled', 's', took['compile, ms'] / 1000, at_most=1.5)
        figures.value('  heap, objects and tables', 'MB', took['whole heap, MB'], at_most=250)
        figures.value('  process at its largest', 'MB', took['largest, MB'])
    took = parts('one', sizes.policies)
    figures.value(f'one namespace, {sizes.policies:,} policies for and from all of {sizes.policies:,} Pods: compiled', 's', took['compile, ms'] / 1000, at_most=0.5)
    figures.value('  heap, objects and tables', 'MB', took['whole heap, MB'])
    for shape, what in (('all', 'for all Pods'), ('each', 'for one Pod each')):
        took = parts('changes', shape, sizes.policies)
        for name in [name.removesuffix(', slowest ms') for name in took if name.endswith('slowest ms')]:
            figures.value(f'{sizes.policies:,} policies {what}: {name}, slowest of 40', 'ms', took[f'{name}, slowest ms'],
                          at_most=5 if 'namespace' not in name else None)
    took = parts('blocks', sizes.blocks)
    figures.value(f'{sizes.blocks:,} blocks: compiled and loaded', 's', (took['compile, ms'] + took['load, ms']) / 1000, at_most=3)
    figures.value('  of it compiled', 's', took['compile, ms'] / 1000)
    figures.value('  one of them goes', 'ms', took['one block goes, ms'])


def percentile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * part // 100)]


def turns(cluster, listeners, times, off, on):
    """Milliseconds from sending a change until the last of all listeners hears nothing any more, and until all hear again."""
    denied, admitted = [], []
    link = Link(cluster)
    for _ in range(times):
        known = [len(one.gaps) for one in listeners]
        forbidden = time.monotonic()
        off(link)
        time.sleep(QUIET)
        allowed = time.monotonic()
        on(link)
        lab.until('all hear again', 20, lambda: all(len(one.gaps) > count for one, count in zip(listeners, known)))
        last = [one.gaps[count:] for one, count in zip(listeners, known)]
        # The last gap ends with what is admitted; the first begins with the last that passed.
        denied.append(1000 * (max(max(gaps[0][0] for gaps in last), forbidden) - forbidden))
        admitted.append(1000 * (max(gaps[-1][1] for gaps in last) - allowed))
        time.sleep(QUIET)
    return denied, admitted


def apply(figures, sizes):
    """From the request that changes a policy, or a label, to the first packet that it is true for, on the last of two nodes."""
    for plane in ('bpf', 'netfilter'):
        with Cluster('apply', plane, len(NODES)) as cluster:
            cluster.make_namespace('many')
            cluster.pod_ip('many', 'client', NODES[0], {'app': 'client'})
            ips = {node: cluster.pod_ip('many', f'server-{node}', node, {'app': 'server'}) for node in NODES}
            cluster.fill('many', sizes.policies, sizes.policies)
            link, path = Link(cluster), POLICIES.format('many')
            admits = policy('admits', [{'podSelector': {'matchLabels': {'role': 'friend'}}}])
            friend = policy('zz', [{'podSelector': {'matchLabels': {'app': 'client'}}}])
            link.ask('POST', path, admits)
            link.ask('POST', path, friend)
            for node in NODES:
                cluster.has_rows(node, sizes.policies)
            listeners = [Listener(cluster.serve('many', f'server-{node}', 'hear')) for node in NODES]
            cluster.start('many', 'client', 'send', *(f'{ip}:{PORT}' for ip in ips.values()))
            lab.until('all hear', 60, lambda: all(one.gaps for one in listeners))
            time.sleep(1)
            name = f'plane {plane}, {sizes.policies:,} policies and Pods'
            denied, admitted = turns(cluster, listeners, sizes.changes, lambda link: link.ask('DELETE', f'{path}/zz'), lambda link: link.ask('POST', path, friend))
            told(figures, f'{name}: a policy goes, and what it admitted stops', denied)
            told(figures, f'{name}: a policy comes, and what it admits passes', admitted)
            cluster.api('DELETE', f'{path}/zz')

            def label(role):
                return lambda link: link.ask('PATCH', '/api/v1/namespaces/many/pods/client', {'metadata': {'labels': {'role': role}}},
                                             'application/merge-patch+json')
            label('friend')(link)
            lab.until('all hear again', 20, lambda: all(one.gaps[-1][1] > time.monotonic() - QUIET for one in listeners))
            time.sleep(QUIET)
            denied, admitted = turns(cluster, listeners, sizes.changes, label('stranger'), label('friend'))
            told(figures, f'{name}: a label goes, and what it admitted stops', denied)
            told(figures, f'{name}: a label comes, and what it admits passes', admitted)


def told(figures, name, times):
    figures.value(f'{name}, p99', 'ms', percentile(times, 99), at_most=50)
    figures.value('  p50', 'ms', statistics.median(times))


def packets(figures, sizes):
    """A flow's first answer and its later ones, from a Pod that one policy judges and from one that thousands judge, in turns."""
    for plane in ('bpf', 'netfilter'):
        with Cluster('packets', plane, 1) as cluster:
            ips = {}
            for ns, policies in (('one', 0), ('many', sizes.policies - 1)):
                cluster.make_namespace(ns)
                ips[ns] = cluster.pod_ip(ns, 'server', 'node-1', {'app': 'server'})
                cluster.fill(ns, policies, policies)
                cluster.api('POST', POLICIES.format(ns), policy('zz', [{'namespaceSelector': {'matchLabels': {'kubernetes.io/metadata.name': 'default'}}}]))
                cluster.serve(ns, 'server')
            cluster.pod_ip('default', 'client', 'node-1')
            cluster.has_rows('node-1', sizes.policies)
            targets = [f'{ips[ns]}:{PORT}' for ns in ('one', 'many')]
            lab.until('both answer', 120, lambda: cluster.exec('default/client', str(PROBE), 'trip', '1', *targets, check=False).returncode == 0)
            for kind, what in (('first', 'a flow\'s first packet and its answer'), ('trip', 'a later round trip')):
                runs = [[tuple(map(float, line.split())) for line in cluster.probe('default', 'client', kind, sizes.rounds, *targets).splitlines()]
                        for _ in range(5)]
                one, many = (statistics.median(run[i][0] for run in runs) for i in (0, 1))
                figures.ratio(f'plane {plane}: {what}, {sizes.policies:,} policies to one', 'us', many, one, at_most=1.05)


STAGES = {'compile': compile_all, 'apply': apply, 'packets': packets}
