"""Addresses of a lab's Pods: asked for by name, kept across replacement and node, refused with a reason; and what
`causeway pod ls` and `causeway ipam` say of them. addresses_test.py CAUSEWAY [bpf|netfilter]"""
import json
import os
import signal
import sys
import time

import lab
from lab import addresses, host_port, until

PLANE = sys.argv[2] if len(sys.argv) > 2 else 'bpf'
STATE = {}
RESERVATIONS = '/apis/causeway.io/v1alpha1/addressreservations'
SETS = '/apis/apps/v1/namespaces/default/statefulsets'


def make(one, name, node, **annotations):
    return one.api('POST', '/api/v1/namespaces/default/pods', {
        'apiVersion': 'v1', 'kind': 'Pod', 'metadata': {'name': name, 'annotations': {f'causeway.io/{k.replace("_", "-")}': v for k, v in annotations.items()}},
        'spec': {'nodeName': node, 'terminationGracePeriodSeconds': 0,
                 'containers': [{'name': 'c0', 'image': 'none', 'ports': [{'containerPort': 8080}]}]}})


def make_set(one, name, replicas):
    """A StatefulSet whose Pods keep their addresses, behind a Service."""
    labels = {'app': name}
    one.api('POST', '/api/v1/namespaces/default/services', {
        'apiVersion': 'v1', 'kind': 'Service', 'metadata': {'name': name},
        'spec': {'selector': labels, 'ipFamilyPolicy': 'RequireDualStack', 'ports': [{'port': 80, 'targetPort': 8080}]}})
    one.api('POST', SETS, {
        'apiVersion': 'apps/v1', 'kind': 'StatefulSet', 'metadata': {'name': name},
        'spec': {'replicas': replicas, 'serviceName': name, 'selector': {'matchLabels': labels}, 'template': {
            'metadata': {'labels': labels, 'annotations': {'causeway.io/keep-addresses': 'true'}},
            'spec': {'terminationGracePeriodSeconds': 0,
                     'containers': [{'name': 'c0', 'image': 'none', 'ports': [{'containerPort': 8080}]}]}}}})


def successor(one, pod):
    """The Pod that its StatefulSet makes in its place, once it is Ready."""
    return one.wait_pod(pod['metadata']['name'], lambda now: now['metadata']['uid'] != pod['metadata']['uid'] and lab.ready(now),
                        'Ready again', 40)


def answers_from_everywhere(one, pod, sources=('steady-1', 'steady-2', 'steady-3', 'node-1', 'node-2', 'node-3')):
    """Who answers on its addresses is this Pod, on this node, for Pods and nodes alike."""
    for source in sources:
        for ip in addresses(pod):
            until(f'{source} reaches {ip} of {pod["metadata"]["name"]} on {pod["spec"]["nodeName"]}', 10,
                  lambda: f'"node":"{pod["spec"]["nodeName"]}"' in said(one, source, host_port(ip)).replace(' ', ''))


def said(one, source, to):
    return one.exec(source, 'causeway', 'workload', 'connect', '--count', '1', '--timeout', 500, to, check=False).stdout


def reaches(one, source, ip, timeout=500):
    done = one.exec(source, 'causeway', 'workload', 'connect', '--count', '1', '--quiet', '--timeout', timeout, host_port(ip), check=False)
    return done.returncode == 0


def events(one, pod, reason):
    return [e['message'] for e in one.api('GET', '/api/v1/namespaces/default/events')['items']
            if e['involvedObject']['name'] == pod and e['reason'] == reason]


def ask(*command):
    done = lab.run(*command, '--lab', STATE['lab'].name, '-o', 'json', check=False)
    return done.returncode, {node['node']: node for node in json.loads(done.stdout)}


def agree():
    """No difference between addresses, kernel and API on any node, once what goes on is over."""
    until('addresses, kernel and API agree', 20, lambda: ask('ipam')[0] == 0)


def in_lab(function):
    def test():
        if 'lab' not in STATE:
            STATE['lab'] = lab.Lab(f'taddresses-{PLANE}', '--nodes', '3', '--plane', PLANE, '--ip-family', 'dual')
            STATE['lab'].up()
            for node in (1, 2, 3):
                make(STATE['lab'], f'steady-{node}', f'node-{node}')
            for node in (1, 2, 3):
                STATE['lab'].wait_ready(f'steady-{node}')
            STATE['ranges'] = {n['metadata']['name']: n['spec']['podCIDRs'] for n in STATE['lab'].api('GET', '/api/v1/nodes')['items']}
        function(STATE['lab'])
    test.__name__ = function.__name__
    return test


def in_range(node, last):
    """The address of that number in the node's IPv4 range."""
    return STATE['ranges'][node][0].rsplit('.', 1)[0] + f'.{last}'


@in_lab
def test_every_address_is_explained(one):
    agree()
    status, nodes = ask('pod', 'ls')
    assert status == 0 and set(nodes) == {'node-1', 'node-2', 'node-3'}
    steady = one.pod('steady-1')
    row = next(r for r in nodes['node-1']['attachments'] if r.get('pod') == 'steady-1')
    assert row['addresses'] == addresses(steady) and row['uid'] == steady['metadata']['uid'] and row['state'] == 'connected', row
    held = [a for r in ask('ipam')[1]['node-1']['ranges'] for a in r['addresses'] if a.get('pod') == 'default/steady-1']
    assert sorted(a['first'] for a in held) == sorted(addresses(steady)), held
    text = lab.run('ipam', '--lab', one.name, '--node', 'node-1').stdout
    assert 'network' in text and 'broadcast' in text and 'held by Pod default/steady-1' in text, text


@in_lab
def test_a_pod_gets_the_address_that_it_asks_for(one):
    wanted = in_range('node-1', 77)
    make(one, 'static', 'node-1', addresses=wanted)
    pod = one.wait_ready('static')
    assert addresses(pod)[0] == wanted and len(addresses(pod)) == 2, addresses(pod)
    assert reaches(one, 'steady-3', wanted, 3000)


@in_lab
def test_what_cannot_be_had_is_refused_and_the_pod_does_not_start(one):
    cases = {'taken': (in_range('node-1', 77), 'AddressRefused', 'is taken by Pod default/static'),
             'outside': (in_range('node-2', 77), 'AddressRefused', "is outside of this node's ranges"),
             'network': (in_range('node-1', 0), 'AddressRefused', 'is the network address'),
             'twice': (f'{in_range("node-1", 78)},{in_range("node-1", 79)}', 'InvalidAddressAnnotation', 'two addresses of one family'),
             'odd': ('x', 'InvalidAddressAnnotation', '"x" is no address')}
    for name, (wanted, _, _) in cases.items():
        make(one, name, 'node-1', addresses=wanted)
    for name, (_, reason, words) in cases.items():
        until(f'{name}: {reason}', 20, lambda: any(words in message for message in events(one, name, reason)))
        pod = one.pod(name)
        assert not pod['status'].get('podIPs') and pod['status'].get('phase') == 'Pending', pod['status']
        one.delete_pod(name, grace=0)
    for name in cases:
        one.wait_gone(name)
    agree()


@in_lab
def test_the_clusters_own_addresses_are_refused_though_they_are_reserved(one):
    node = next(n for n in one.api('GET', '/api/v1/nodes')['items'] if n['metadata']['name'] == 'node-2')
    slices = one.api('GET', '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices')['items']
    api = next(s for s in slices if s['metadata']['name'] == 'kubernetes')['endpoints'][0]['addresses'][0]
    cases = {'as-api': (api, 'it is '), 'as-service': ('10.96.0.1', 'inside of the Service range'),
             'as-node': (next(a['address'] for a in node['status']['addresses'] if a['type'] == 'InternalIP'), 'it is an address of Node node-2'),
             'as-gateway': (in_range('node-2', 1), "it is the node's own address of")}
    for name, (address, _) in cases.items():
        one.api('POST', RESERVATIONS, {'apiVersion': 'causeway.io/v1alpha1', 'kind': 'AddressReservation', 'metadata': {'name': address},
                                       'spec': {'address': address, 'podNamespace': 'default', 'podName': name}})
        make(one, name, 'node-1', addresses=address)
    for name, (address, words) in cases.items():
        until(f'{name} refused', 20, lambda: any(f"{address} cannot be a Pod's: " in m and words in m for m in events(one, name, 'AddressRefused')))
        assert not one.pod(name)['status'].get('podIPs'), one.pod(name)['status']
        one.delete_pod(name, grace=0)
        one.wait_gone(name)
        one.api('DELETE', f'{RESERVATIONS}/{address}')
    agree()


@in_lab
def test_a_pod_keeps_its_addresses_on_other_nodes(one):
    make(one, 'db-0', 'node-1', keep_addresses='true')
    kept = addresses(one.wait_ready('db-0'))
    assert len(kept) == 2
    worst = 0
    for node in ('node-2', 'node-3', 'node-1', 'node-3'):
        one.delete_pod('db-0', grace=0)
        one.wait_gone('db-0')
        make(one, 'db-0', node, keep_addresses='true')
        pod = one.wait_pod('db-0', lambda p: p['status'].get('phase') == 'Running', 'Running', 30)
        running = time.monotonic()
        assert addresses(pod) == kept, f'{addresses(pod)} on {node}, {kept} before'
        for source in ('steady-1', 'steady-2', 'steady-3', 'node-1', 'node-2'):
            for ip in kept:
                until(f'{source} reaches {ip} on {node}', 10, lambda: reaches(one, source, ip))
                if source == 'steady-1':
                    worst = max(worst, time.monotonic() - running)
        agree()
    print(f'     its addresses answered {worst:.2f} s after it ran, at the latest', flush=True)
    found = {r['spec']['address']: r['spec'] for r in one.api('GET', RESERVATIONS)['items']}
    found = {ip: found[ip] for ip in kept}
    assert all(s['nodeName'] == 'node-3' and s['podName'] == 'db-0' for s in found.values()), found


@in_lab
def test_a_statefulsets_pod_moves_to_another_node_with_its_addresses(one):
    make_set(one, 'kv', 2)
    before = {name: one.wait_ready(name, 40) for name in ('kv-0', 'kv-1')}
    service = one.api('GET', '/api/v1/namespaces/default/services/kv')['spec']['clusterIPs']
    for name in ('kv-0', 'kv-1', 'kv-0'):
        old = before[name]
        one.cordon(old['spec']['nodeName'], True)
        one.delete_pod(name)
        now = successor(one, old)
        one.cordon(old['spec']['nodeName'], False)
        assert now['spec']['nodeName'] != old['spec']['nodeName'] and addresses(now) == addresses(old), (old['status'], now['status'])
        answers_from_everywhere(one, now)
        for ip in service:
            until('its Service reaches it', 10,
                  lambda: f'"pod":"{name}"' in said(one, 'steady-1', host_port(ip, 80)).replace(' ', ''))
        # It is a client like any other, and seen under its address.
        for ip in addresses(one.pod('steady-1')) + addresses(one.pod('steady-2')):
            own = next(a for a in addresses(now) if (':' in a) == (':' in ip))
            until(f'{name} is seen as {own}', 10, lambda: own in said(one, name, host_port(ip)))
        before[name] = now
    agree()


@in_lab
def test_a_lost_node_that_returns_does_not_take_the_address_back(one):
    old = one.pod('kv-0')
    lost = old['spec']['nodeName']
    others = [f'steady-{n}' for n in (1, 2, 3) if f'node-{n}' != lost]
    one.cordon(lost, True)
    # Nobody there hears of anything; the old Pod lives on, with its address.
    asleep = [pid for what in ('agent', 'nodelet') for pid in one.pids(f'nodes/{lost}/{what}')]
    assert len(asleep) == 2, asleep
    for pid in asleep:
        os.kill(pid, signal.SIGSTOP)
    try:
        one.delete_pod('kv-0', grace=0)  # as people do with --force, when a node does not come back
        now = successor(one, old)
        assert addresses(now) == addresses(old) and now['spec']['nodeName'] != lost
        answers_from_everywhere(one, now, others)
    finally:
        for pid in asleep:
            os.kill(pid, signal.SIGCONT)
    one.cordon(lost, False)
    answers_from_everywhere(one, now)
    agree()


@in_lab
def test_agents_killed_at_any_moment_of_it_lose_no_address(one):
    pod = one.pod('kv-1')
    for round in range(6):
        home = pod['spec']['nodeName']
        one.cordon(home, True)
        one.delete_pod('kv-1')
        time.sleep(0.05 * round)
        for node in (1, 2, 3):
            one.kill(f'nodes/node-{node}/agent')
        now = successor(one, pod)
        one.cordon(home, False)
        assert addresses(now) == addresses(pod), (pod['status'], now['status'])
        pod = now
    answers_from_everywhere(one, pod)
    agree()


@in_lab
def test_what_cannot_be_kept_is_refused(one):
    # Promised to one Pod, in use by another.
    taken = addresses(one.pod('steady-1'))[0]
    one.api('POST', RESERVATIONS, {'apiVersion': 'causeway.io/v1alpha1', 'kind': 'AddressReservation', 'metadata': {'name': taken},
                                   'spec': {'address': taken, 'podNamespace': 'default', 'podName': 'late'}})
    make(one, 'late', 'node-2', keep_addresses='true')
    make(one, 'unclear', 'node-2', keep_addresses='yes')
    until('refused', 20, lambda: any('Pod default/steady-1 has it' in m for m in events(one, 'late', 'AddressRefused')))
    until('refused', 20, lambda: any('"yes" is neither "true" nor "false"' in m for m in events(one, 'unclear', 'InvalidAddressAnnotation')))
    for name in ('late', 'unclear'):
        assert not one.pod(name)['status'].get('podIPs'), one.pod(name)['status']
        one.delete_pod(name, grace=0)
        one.wait_gone(name)
    one.api('DELETE', f'{RESERVATIONS}/{taken}')
    agree()


@in_lab
def test_the_owner_of_the_range_gives_a_kept_address_to_nobody(one):
    kept = addresses(one.pod('db-0'))[0]
    owner = next(node for node in STATE['ranges'] if in_range(node, 1).rsplit('.', 1)[0] == kept.rsplit('.', 1)[0])
    make(one, 'thief', owner, addresses=kept)
    until('refused', 20, lambda: any('is reserved for Pod default/db-0' in m for m in events(one, 'thief', 'AddressRefused')))
    one.delete_pod('thief', grace=0)
    # Also after its agent was killed and the address is not in use.
    one.delete_pod('db-0', grace=0)
    one.wait_gone('db-0')
    one.kill(f'nodes/{owner}/agent')
    until('reserved again', 20, lambda: any(a['first'] == kept and a['use'] == 'reserved' for node in ask('ipam')[1].values()
                                            for r in node['ranges'] for a in r['addresses'] if node['node'] == owner))
    make(one, 'db-0', 'node-2', keep_addresses='true')
    assert addresses(one.wait_ready('db-0'))[0] == kept
    agree()


@in_lab
def test_an_address_may_be_promised_before_there_is_a_pod(one):
    promised = '10.244.200.7'
    one.api('POST', RESERVATIONS, {'apiVersion': 'causeway.io/v1alpha1', 'kind': 'AddressReservation', 'metadata': {'name': promised},
                                   'spec': {'address': promised, 'podNamespace': 'default', 'podName': 'gate'}})
    try:
        one.api('POST', RESERVATIONS, {'apiVersion': 'causeway.io/v1alpha1', 'kind': 'AddressReservation', 'metadata': {'name': 'other'},
                                       'spec': {'address': promised, 'podNamespace': 'default', 'podName': 'x'}})
        raise AssertionError('a reservation with another name than its address was taken')
    except lab.ApiError as error:
        assert error.code == 422 and 'must be named after the address' in str(error), error
    make(one, 'gate', 'node-2', keep_addresses='true')
    assert addresses(one.wait_ready('gate'))[0] == promised
    for source in ('steady-1', 'steady-3', 'node-3'):
        until(f'{source} reaches it', 10, lambda: reaches(one, source, promised))
    agree()


@in_lab
def test_deleted_reservations_are_free_again(one):
    one.api('DELETE', f'{SETS}/kv')
    for name in ('kv-0', 'kv-1'):
        one.wait_gone(name)
    for item in one.api('GET', RESERVATIONS)['items']:
        one.api('DELETE', f'{RESERVATIONS}/{item["metadata"]["name"]}')
    for name in ('gate', 'db-0', 'static'):
        one.delete_pod(name, grace=0)
        one.wait_gone(name)
    until('nothing is reserved', 20, lambda: all(r['reserved'] == 0 for node in ask('ipam')[1].values() for r in node['ranges']))
    agree()
    lab.run('lab', 'down', '--name', one.name)


lab.main(sys.modules[__name__])
