"""What is measured, each stage by itself: takes the figures to add to and the sizes to use."""
import os
import signal
import statistics
import threading
import time

import kube_proxy
import lab
from cluster import PROBE, BenchError, Cluster, below, family, maps_of, parts, resident_mb

MICROSECOND = 'us'


def two_servers(cluster):
    """A client, a server `a` beside it and a server `b`; their addresses."""
    ips = {name: cluster.pod_ip(name, node) for name, node in (('client', 'node-1'), ('a', 'node-1'), ('b', 'node-1'))}
    cluster.serve('a', 'a')
    cluster.serve('b', 'b')
    return ips


def connect(figures, sizes):
    """Connect through a Service to connect to the Pod's own address, and how it changes with the number of Services."""
    peers = {}
    for mode in sizes.peers:
        try:
            peers[mode] = connect_by_kube_proxy(mode, sizes)
        except (BenchError, AssertionError, FileNotFoundError, lab.ApiError) as error:
            figures.missing(f'peer: kube-proxy {mode}', str(error))
    with Cluster('connect') as cluster:
        ips = two_servers(cluster)
        vip = cluster.make_service('web', [ips['a']])
        cluster.answers('client', f'{vip}:7100', 'a')
        ratios = {}
        for services in (1, sizes.services, sizes.many):
            cluster.fill(services - 1, 2 if services <= sizes.services else 4)
            cluster.all_applied('node-1', services)
            runs = [cluster.compare('client', 1500, f'{ips["a"]}:7100', f'{vip}:7100') for _ in range(5)]
            ratios[services] = statistics.median(through[0] / direct[0] for direct, through in runs)
            direct, through = (statistics.median(run[i][0] for run in runs) for i in (0, 1))
            figures.ratio(f'connect through a Service among {services:,}, to the Pod\'s address', MICROSECOND, through, direct, at_most=1.08)
            for mode, measured in peers.items():
                if services in measured:
                    figures.ratio(f'  kube-proxy {mode}, the same', MICROSECOND, *measured[services])
        figures.value(f'connect, {sizes.many:,} Services to one', 'x', ratios[sizes.many] / ratios[1], at_most=1.03)
        memory(figures, cluster, sizes)


CONNTRACK = {'key': 44, 'value': 72}  # bpf/abi/ct.h


def memory(figures, cluster, sizes):
    """The agent's, and that of its maps: grown one Service at a time, and after a restart, which takes all lists at once."""
    figures.value(f'agent, resident, {sizes.many:,} Services', 'MB', resident_mb(cluster.pid('node-1')))
    name = f'agent and maps, {sizes.many:,} Services x 4 and conntrack for 128k flows'
    figures.value(name, 'MB', held_by(cluster.pid('node-1')), at_most=150)
    restarted_at = cluster.restart('node-1', sizes.many)
    # It gives back what the start took once its lists are applied, looked for each second (kTrimAfter of apps/agent.cc).
    time.sleep(max(0, restarted_at + 10 - time.time()))
    figures.value(f'{name}, after a restart', 'MB', held_by(cluster.pid('node-1')), at_most=150)


def held_by(pid):
    """Megabytes of an agent and its maps; conntrack counts with room for 128k flows of two rows, whatever room it has here."""
    total = resident_mb(pid)
    for one in maps_of(pid):
        is_conntrack = one['key'] == CONNTRACK['key'] and one['value'] == CONNTRACK['value'] and one['rows'] >= 1024
        total += one['megabytes'] * (256 * 1024 / one['rows'] if is_conntrack else 1)
    return total


def connect_by_kube_proxy(mode, sizes):
    measured = {}
    with Cluster(f'peer-{mode}', 'nftables', proxy=False) as cluster:
        ips = two_servers(cluster)
        vip = cluster.make_service('web', [ips['a']])
        cluster.programs.append(kube_proxy.start(cluster, 'node-1', mode))
        for services in (1, sizes.services):
            cluster.fill(services - 1, 2)
            cluster.answers('client', f'{vip}:7100', 'a')
            cluster.all_applied('node-1', services, seconds=900)
            cluster.settled('client', ips['a'])
            cluster.steady('client', f'{vip}:7100')
            runs = [cluster.compare('client', 1500, f'{ips["a"]}:7100', f'{vip}:7100') for _ in range(5)]
            direct, through = (statistics.median(run[i][0] for run in runs) for i in (0, 1))
            measured[services] = (through, direct)
        sizes.peer_cold[mode] = kube_proxy_cold(cluster, mode, sizes.services)
        sizes.peer_change[mode] = changes(cluster, ips, vip, 20)
    return measured


def kube_proxy_cold(cluster, mode, services):
    """Seconds that a new kube-proxy works until all is in the kernel."""
    cluster.programs.pop().kill()
    cluster.exec('node-1', 'sh', '-c', 'pkill -9 -x kube-proxy; nft flush ruleset; true')
    lab.until('it ended', 30, lambda: not cluster.metrics('node-1'))
    cluster.programs.append(kube_proxy.start(cluster, 'node-1', mode))
    return family(cluster.all_applied('node-1', services, seconds=900), 'duration_seconds_sum')


def changes(cluster, ips, vip, times):
    """Milliseconds from the request that moves a Service to the first connection that follows, each."""
    watcher = cluster.start('client', PROBE, 'watch', 60 + times, f'{vip}:7100')
    seen = []
    reader = threading.Thread(target=lambda: seen.extend(line.split() for line in watcher.stdout), daemon=True)
    reader.start()
    lab.until('a first answer', 20, lambda: seen)
    out = []
    for number in range(times):
        letter = 'ba'[number % 2]
        sent, answered = cluster.point('web', [ips[letter]])
        lab.until(f'{letter} answers', 60, lambda: seen[-1][1] == letter)
        moved = int(seen[-1][0]) / 1e9
        out.append(((moved - sent) * 1000, (moved - answered) * 1000))
        time.sleep(0.05)  # each change for itself
    watcher.kill()
    return out


def programming(figures, sizes):
    """Cold start and single changes of both planes."""
    cold_parts(figures, sizes.services, 2, written=0.1, whole=1)
    for plane, cold_goal, change_goal in (('bpf', 0.1, 5), ('nftables', 2, 20)):
        with Cluster(f'cold-{plane}', plane) as cluster:
            ips = two_servers(cluster)
            vip = cluster.make_service('web', [ips['a']])
            cluster.answers('client', f'{vip}:7100', 'a')
            cluster.fill(10, 2)
            cluster.all_applied('node-1', 10)
            few = rules(cluster) if plane != 'bpf' else None
            cluster.fill(sizes.services - 1, 2)
            cluster.all_applied('node-1', sizes.services)
            runs = [cluster.cold_start('node-2', sizes.services) for _ in range(3)]
            peer = {mode: seconds for mode, seconds in sizes.peer_cold.items() if plane == 'bpf' or mode == plane}
            name = f'plane {plane}, {sizes.services:,} Services x 2'
            figures.value(f'{name}: cold, compared and written', 's', statistics.median(run[0] for run in runs),
                          at_most=cold_goal if plane != 'bpf' else None, peer=min(peer.values(), default=None))
            figures.value(f'{name}: from process start', 's', statistics.median(run[1] for run in runs), at_most=1 if plane == 'bpf' else None)
            if plane != 'bpf':
                figures.value('rules of plane nftables, more than with ten Services', '', rules(cluster) - few, at_most=0)
            before, began = cluster.metrics('node-1'), cluster.change_seconds('node-1')
            times = changes(cluster, ips, vip, sizes.changes)
            now = cluster.metrics('node-1')
            written = ((family(now, 'duration_seconds_sum') - family(before, 'duration_seconds_sum'))
                       / (family(now, 'duration_seconds_count') - family(before, 'duration_seconds_count')) * 1000)
            peer_times = [statistics.median(t[1] for t in values) for mode, values in sizes.peer_change.items() if plane == 'bpf' or mode == plane]
            figures.value(f'{name}: one endpoint changes, written', 'ms', written, at_most=1 if plane == 'bpf' else change_goal)
            figures.value(f'{name}: one endpoint changes, watch event to kernel, p99', 'ms', below(began, cluster.change_seconds('node-1'), 99),
                          at_most=5 if plane == 'bpf' else None)
            figures.value(f'{name}: from the API\'s answer to the first connection that follows, p99', 'ms', percentile([t[1] for t in times], 99),
                          peer=min(peer_times, default=None))
            figures.value(f'{name}: the same from sending the request, median', 'ms', statistics.median(t[0] for t in times))


def cold_parts(figures, services, endpoints, written, whole):
    """In seconds of CPU: the agent alone, with all objects in its cache."""
    took = parts(services, endpoints)
    name = f'plane bpf, {services:,} Services x {endpoints}, CPU'
    figures.value(f'{name}: map writes', 's', took['of it map writes, ms'] / 1000, at_most=written)
    figures.value(f'{name}: programs, tables and maps from nothing', 's',
                  sum(took[part] for part in ('programs, ms', 'compile, ms', 'apply, ms')) / 1000, at_most=whole)
    figures.value(f'{name}: the same after a restart', 's',
                  sum(took[f'restart: {part}, ms'] for part in ('programs', 'compile', 'apply')) / 1000)
    figures.value(f'{name}: an audit', 's', took['audit, ms'] / 1000)


def many_endpoints(figures, sizes):
    cold_parts(figures, sizes.endpoints // 100, 100, written=None, whole=2)
    with Cluster('endpoints') as cluster:
        cluster.fill(sizes.endpoints // 100, 100)
        cluster.all_applied('node-1', sizes.endpoints // 100)
        written, whole = cluster.cold_start('node-2', sizes.endpoints // 100)
        figures.value(f'plane bpf, {sizes.endpoints:,} endpoints: cold, compared and written', 's', written, at_most=2)
        figures.value(f'plane bpf, {sizes.endpoints:,} endpoints: from process start', 's', whole)


def rules(cluster):
    text = cluster.exec('node-1', 'nft', '-j', 'list', 'table', 'inet', 'causeway', timeout=120).stdout
    return text.count('{"rule": ')


def percentile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * part // 100)]


def life(figures, sizes):
    """Under 1,000 connections each second: agents die, restart, are upgraded."""
    with Cluster('life') as cluster:
        ips = two_servers(cluster)
        vip = cluster.make_service('web', [ips['a'], ips['b']])
        cluster.all_applied('node-1', 1)
        cluster.steady('client', f'{vip}:7100')
        seconds = sizes.life
        ends = time.monotonic() + seconds
        load = cluster.start('client', PROBE, 'load', seconds, 1000, f'{vip}:7100')
        kills = 0
        while time.monotonic() < ends - 3:
            time.sleep(1.5)
            # -9, and an orderly end: with a new program of the agent in its place that is an upgrade.
            os.kill(cluster.pid('node-1'), signal.SIGKILL if kills % 2 else signal.SIGTERM)
            kills += 1
        done, failed, slowest, why = result_of(load)
        figures.value(f'agent killed or restarted {kills} times under {done / seconds:.0f} connections/s: failed', '', failed, at_most=0)
        figures.value('  slowest connection', 'ms', slowest)
        if why:
            figures.note(why)


def result_of(load):
    words = load.communicate(timeout=300)[0].split(maxsplit=3)
    if len(words) < 3:
        raise BenchError('the load said nothing')
    return int(words[0]), int(words[1]), float(words[2]), words[3].strip() if len(words) > 3 else ''


def rolling(figures, sizes):
    """Ten endpoints of a Deployment, all replaced under load."""
    with Cluster('rolling') as cluster:
        cluster.pod_ip('client', 'node-1')
        container = {'name': 'web', 'image': 'none', 'ports': [{'containerPort': 7100}],
                     'command': ['sh', '-c', f'trap "sleep 3; exit 0" TERM; {PROBE} serve 7100 w & wait']}
        meta = {'name': 'web', 'labels': {'app': 'web'}}
        cluster.api('POST', '/apis/apps/v1/namespaces/default/deployments', {
            'apiVersion': 'apps/v1', 'kind': 'Deployment', 'metadata': meta, 'spec': {
                'replicas': 10, 'selector': {'matchLabels': {'app': 'web'}},
                'strategy': {'rollingUpdate': {'maxUnavailable': 0, 'maxSurge': 3}},
                'template': {'metadata': {'labels': {'app': 'web'}}, 'spec': {'containers': [container | {
                    'readinessProbe': {'tcpSocket': {'port': 7100}, 'periodSeconds': 1}}]}}}})
        vip = cluster.api('POST', '/api/v1/namespaces/default/services', {
            'apiVersion': 'v1', 'kind': 'Service', 'metadata': {'name': 'web'},
            'spec': {'selector': {'app': 'web'}, 'ports': [{'port': 7100}]}})['spec']['clusterIP']
        path = '/apis/apps/v1/namespaces/default/deployments/web'

        def rolled_out():
            one = cluster.api('GET', path)
            status = one.get('status', {})
            return (status.get('observedGeneration') == one['metadata']['generation'] and status.get('updatedReplicas') == 10
                    and status.get('availableReplicas') == 10 and status.get('replicas') == 10)
        lab.until('ten replicas', 60, rolled_out)
        cluster.steady('client', f'{vip}:7100')
        load = cluster.start('client', PROBE, 'load', sizes.life, 1000, f'{vip}:7100')
        time.sleep(1)
        cluster.api('PATCH', path, {'spec': {'template': {'metadata': {'annotations': {'rolled': 'yes'}}}}}, 'application/merge-patch+json')
        lab.until('all replaced', sizes.life, rolled_out)
        done, failed, slowest, why = result_of(load)
        figures.value(f'rolling update of 10 endpoints under {done / sizes.life:.0f} connections/s: failed', '', failed, at_most=0)


STAGES = {'connect': connect, 'programming': programming, 'endpoints': many_endpoints, 'life': life, 'rolling': rolling}
