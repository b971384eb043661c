"""explain_test.py CAUSEWAY [PLANE]: `policy explain` against the kernels and against packets, in a lab of two nodes with random
policies; the flow ring, `observe` and `policy replay` with what those packets did. CAUSEWAY_EFFORT=5 for more of it."""
import json
import os
import random
import sys
import tempfile

import lab
from lab import until

PLANE = sys.argv[2] if len(sys.argv) > 2 else 'bpf'
ROUNDS = 4 * int(os.environ.get('CAUSEWAY_EFFORT', '1'))
PROBES = 7
SEED = int(os.environ.get('CAUSEWAY_SEED', random.randrange(1 << 30)))
POLICIES = '/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies'
PODS = [('red', 'a', 'node-1'), ('red', 'b', 'node-2'), ('blue', 'c', 'node-1'), ('blue', 'd', 'node-2')]
PORTS = [80, 8080, 8081, 9000]
one = lab.Lab(f'explain-{PLANE}', '--nodes', '2', '--plane', PLANE, '--ip-family', 'dual')
rng = random.Random(SEED)


def policy(*arguments, check=None):
    done = lab.run('policy', *arguments, '--lab', one.name, check=False)
    assert check is None or done.returncode == check, f'policy {arguments}: {done.returncode}\n{done.stdout}{done.stderr}'
    return done


def put(ns, name, spec):
    one.api('POST', POLICIES.format(ns), {'apiVersion': 'networking.k8s.io/v1', 'kind': 'NetworkPolicy',
                                          'metadata': {'name': name}, 'spec': spec})


def remove_all():
    for ns in ('red', 'blue'):
        for item in one.api('GET', POLICIES.format(ns))['items']:
            one.api('DELETE', POLICIES.format(ns) + '/' + item['metadata']['name'])


def pods_selector():
    return rng.choice([{}, {'matchLabels': {'app': rng.choice('abcd')}},
                       {'matchExpressions': [{'key': 'app', 'operator': 'In', 'values': rng.sample('abcd', 2)}]}])


def peer():
    kind = rng.randrange(4)
    if kind == 0:
        ns, name, _ = rng.choice(PODS)
        ip = rng.choice(addresses(ns, name))
        return {'ipBlock': {'cidr': f'{ip}/{128 if ":" in ip else 32}'}}
    if kind == 1:
        return {'podSelector': pods_selector()}
    out = {'namespaceSelector': rng.choice([{}, {'matchLabels': {'kubernetes.io/metadata.name': rng.choice(['red', 'blue'])}}])}
    if kind == 2:
        out['podSelector'] = pods_selector()
    return out


def port():
    out = {'protocol': rng.choice(['TCP', 'TCP', 'UDP', 'SCTP'])}
    if rng.random() < 0.8:
        out['port'] = rng.choice(PORTS)
        if rng.random() < 0.3:
            out['endPort'] = out['port'] + rng.choice([1, 920])
    return out


def rule(side):
    out = {}
    if rng.random() < 0.8:
        out[side] = [peer() for _ in range(rng.randint(1, 2))]
    if rng.random() < 0.7:
        out['ports'] = [port() for _ in range(rng.randint(1, 2))]
    return out


def random_policy(ns, number):
    types = rng.choice([['Ingress'], ['Egress'], ['Ingress', 'Egress']])
    spec = {'podSelector': pods_selector(), 'policyTypes': types}
    if 'Ingress' in types:
        spec['ingress'] = [rule('from') for _ in range(rng.randint(0, 2))]
    if 'Egress' in types:
        spec['egress'] = [rule('to') for _ in range(rng.randint(0, 2))]
    put(ns, f'random-{number}', spec)
    return spec


def addresses(ns, name):
    return [entry['ip'] for entry in one.pod(name, ns=ns)['status']['podIPs']]


def flows(*arguments):
    done = lab.run('observe', '--lab', one.name, '-o', 'json', *arguments)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_explain_agrees_with_the_kernels_and_with_packets_under_random_policies():
    print(f'seed {SEED}', flush=True)
    for ns in ('red', 'blue'):
        one.api('POST', '/api/v1/namespaces', {'apiVersion': 'v1', 'kind': 'Namespace', 'metadata': {'name': ns}})
    for ns, name, node in PODS:
        one.create_pod(name, ns=ns, labels={'app': name}, nodeName=node)
    for ns, name, _ in PODS:
        one.wait_ready(name, ns=ns)
    verdicts = {0: 0, 1: 0}
    for number in range(ROUNDS):
        remove_all()
        specs = [random_policy(ns, number) for ns in ('red', 'blue') for _ in [0] if rng.random() < 0.9]
        for _ in range(PROBES):
            (from_ns, from_name, _), (to_ns, to_name, _) = rng.sample(PODS, 2)
            what = rng.choice([f'{rng.choice(PORTS)}/{rng.choice(["tcp", "udp", "sctp"])}', 'icmp'])
            done = policy('explain', f'{from_ns}/{from_name}', f'{to_ns}/{to_name}:{what}', '--probe')
            assert done.returncode in (0, 1), f'seed {SEED}: {specs}\n{done.stdout}{done.stderr}'
            # Both ends were asked, and the packet was seen or missed, in both families.
            assert done.stdout.count('  kernel of node-') == 4, done.stdout
            assert 'not asked' not in done.stdout, done.stdout
            assert done.stdout.count('  probe (') == 2, done.stdout
            verdicts[done.returncode] += 1
    assert verdicts[0] and verdicts[1], verdicts


def test_a_kernel_that_holds_something_else_is_told_apart_from_the_tables():
    remove_all()
    put('red', 'deny', {'podSelector': {}})
    done = until('denied', 20, lambda: (lambda said: said if said.returncode == 1 else None)(
        policy('explain', 'blue/c', 'red/a:80')))
    assert 'kernel of node-1: ingress of red/a: DENIED' in done.stdout, done.stdout
    if PLANE != 'bpf':
        return  # the agent sees other people's writes to nf_tables and repairs them before anybody can ask
    sets = '/sys/fs/bpf/causeway/v1/maps/policy_sets'
    rows = json.loads(one.exec('node-1', 'bpftool', '-j', 'map', 'dump', 'pinned', sets).stdout)
    assert rows, 'no sets'
    for row in rows:
        value = row['value']
        value[4:8] = ['0x01', '0x00', '0x00', '0x00']  # action: allow
        one.exec('node-1', 'bpftool', 'map', 'update', 'pinned', sets, 'key', 'hex', *[byte[2:] for byte in row['key']],
                 'value', 'hex', *[byte[2:] for byte in value])
    done = policy('explain', 'blue/c', 'red/a:80', '--probe', check=3)
    assert 'THEY DIFFER' in done.stdout and 'BUG: ' in done.stdout and 'probe (IPv4): arrived' in done.stdout, done.stdout
    remove_all()


def test_flows_are_observed_with_both_names_and_survive_an_agent():
    remove_all()
    put('red', 'only-b', {'podSelector': {'matchLabels': {'app': 'a'}}, 'ingress': [{'from': [{'podSelector': {'matchLabels': {'app': 'b'}}}]}]})
    until('c is denied', 20, lambda: policy('explain', 'blue/c', 'red/a:8080').returncode == 1)
    policy('explain', 'blue/c', 'red/a:8080', '--probe', check=1)
    policy('explain', 'red/b', 'red/a:8080', '--probe', check=0)
    # Plane netfilter looks twice a second.
    dropped = until('what was dropped is told', 10, lambda: [
        flow for flow in flows('--verdict', 'dropped', '--pod', 'red/a') if flow['destination'].get('port') == 8080
        and flow['source'].get('pod') == 'blue/c' and flow['policy'] == 'NetworkPolicy red/only-b'])
    assert dropped[-1]['direction'] == 'ingress' and dropped[-1]['protocol'] == 'tcp', dropped
    assert dropped[-1]['node'] == 'node-1', dropped
    allowed = until('what passed is told', 10, lambda: [
        flow for flow in flows('--verdict', 'allowed', '--pod', 'red/b') if flow.get('rule') == 'ingress[0]'
        and flow['destination'].get('pod') == 'red/a'])
    assert allowed[-1]['policy'] == 'NetworkPolicy red/only-b', allowed
    text = lab.run('observe', '--lab', one.name, '--verdict', 'dropped', '--pod', 'blue/c').stdout
    assert 'red/a:8080/tcp DROPPED by ingress: NetworkPolicy red/only-b, of which no rule admits it' in text, text
    assert not flows('--pod', 'red/nobody')
    metrics = one.exec('node-1', 'curl', '-s', '--unix-socket', '/run/causeway/observe.sock', 'http://x/metrics').stdout
    assert 'causeway_policy_refused_flows_total{direction="ingress",policy="NetworkPolicy red/only-b",rule="",verdict="dropped"}' in metrics, metrics
    assert 'causeway_flow_events_lost_total 0' in metrics, metrics
    before = flows('--verdict', 'dropped')
    one.kill('nodes/node-1/agent')
    until('the agent is back with its flows', 30, lambda: len(lab.run('observe', '--lab', one.name, '--node', 'node-1',
          '--verdict', 'dropped', check=False).stdout.splitlines()) >= len([flow for flow in before if flow['node'] == 'node-1']))


def test_a_change_is_replayed_on_what_the_nodes_recorded():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'new.yaml')
        with open(path, 'w') as file:
            file.write('apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: only-b, namespace: red}\n'
                       'spec: {podSelector: {matchLabels: {app: a}}, ingress: [{from: [{namespaceSelector: {}, '
                       'podSelector: {matchLabels: {app: c}}}]}]}\n')
        done = policy('replay', '-f', path, '--since', '10m', check=1)
        assert 'would cut: red/b -> red/a:8080/tcp' in done.stdout, done.stdout
        assert 'would open: blue/c -> red/a:8080/tcp' in done.stdout, done.stdout
        # What it said comes true.
        one.api('DELETE', POLICIES.format('red') + '/only-b')
        lab.run('lab', 'apply', '--name', one.name, '-f', path)
        until('b is denied', 20, lambda: policy('explain', 'red/b', 'red/a:8080').returncode == 1)
        policy('explain', 'red/b', 'red/a:8080', '--probe', check=1)
        policy('explain', 'blue/c', 'red/a:8080', '--probe', check=0)
        assert 'would cut:' not in policy('replay', '-f', path, check=0).stdout


def test_the_first_policy_of_a_namespace_is_replayed_on_what_nobody_judged():
    remove_all()
    until('all is open', 20, lambda: policy('explain', 'red/b', 'blue/c:8083').returncode == 0)
    policy('explain', 'red/b', 'blue/c:8083', '--probe', check=0)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'first.yaml')
        with open(path, 'w') as file:
            file.write('apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: deny, namespace: blue}\n'
                       'spec: {podSelector: {}, policyTypes: [Ingress]}\n')
        told = until('what it would cut', 10, lambda: [
            line for line in policy('replay', '-f', path, '--since', '10m').stdout.splitlines() if 'red/b -> blue/c:8083/tcp' in line])
        assert told[0].startswith('would cut: ') and told[0].endswith('denied by ingress isolated by blue/deny'), told


def test_what_observe_and_replay_cannot_answer_is_refused():
    for arguments, text in ((('--verdict', 'denied'), '--verdict: "denied" is no verdict: allowed, dropped, cut or closed'),
                            (('--since', '10'), '--since: "10" is no time such as 90s'),
                            (('--pod', 'a/b/c'), '--pod "a/b/c": it is [NAMESPACE/]NAME'),
                            (('-o', 'yaml'), '-o yaml: json, or leave it out')):
        done = lab.run('observe', '--lab', one.name, *arguments, check=False)
        assert done.returncode == 2 and text in done.stderr and len(done.stderr.strip().splitlines()) == 1, done.stderr
    done = policy('replay', check=2)
    assert 'no change is named' in done.stderr, done.stderr
    done = policy('replay', '--delete', 'red/nothing', check=2)
    assert 'there is no such NetworkPolicy' in done.stderr, done.stderr


def test_what_explain_cannot_answer_is_refused():
    for arguments, code, text in (
            (('explain', '192.0.2.1', 'red/a:80', '--probe'), 2, '--probe: 192.0.2.1 is no Pod'),
            (('explain', 'red/a', 'red/nobody:80', '--probe'), 2, 'there is no Pod red/nobody'),
            (('explain', 'red/a', 'red/b', '--probe'), 2, 'names no port')):
        done = policy(*arguments, check=code)
        assert text in done.stderr and len(done.stderr.strip().splitlines()) == 1, done.stderr


try:
    one.up()
    lab.main(sys.modules[__name__])
finally:
    one.__exit__()
