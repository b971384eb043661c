"""tuning_test.py CAUSEWAY: bandwidth and MTU of Pods by their annotations, on both planes."""
import re
import sys

import lab
from lab import until

PLANES = ('bpf', 'netfilter')
MADE = {}


def plane_of(name):
    if name not in MADE:
        MADE[name] = lab.Lab(f'tuning-{name}', '--nodes', '1', '--plane', name)
        MADE[name].up()
    return MADE[name]


def annotated(one, name, ingress=None, egress=None, mtu=None):
    annotations = {key: value for key, value in (
        ('kubernetes.io/ingress-bandwidth', ingress), ('kubernetes.io/egress-bandwidth', egress), ('causeway.io/mtu', mtu)) if value}
    one.api('POST', '/api/v1/namespaces/default/pods', {
        'apiVersion': 'v1', 'kind': 'Pod', 'metadata': {'name': name, 'annotations': annotations},
        'spec': {'containers': [{'name': 'c0', 'image': 'none', 'ports': [{'containerPort': 8080}]}]}})


def shaped(one, where, device='.*'):
    """Rates of the token buckets there, by device."""
    found = one.exec(where, 'tc', 'qdisc', 'show').stdout
    return {match[1]: match[2] for match in re.finditer(rf'^qdisc tbf \S+ dev ({device}) root .*?rate (\S+)', found, re.M)}


def test_limits_are_at_both_ends_and_nowhere_else():
    for plane in PLANES:
        one = plane_of(plane)
        annotated(one, 'free')
        one.wait_ready('free')
        assert shaped(one, 'node-1') == {} and shaped(one, 'free') == {}
        annotated(one, 'limited', ingress='10M', egress='5M')
        one.wait_ready('limited')
        assert list(shaped(one, 'node-1', 'cw.*').values()) == ['10Mbit'], plane
        assert shaped(one, 'limited') == {'eth0': '5Mbit'}, plane
        # It is reached: by its neighbour, which redirect_peer would bring past the filter, and from the node.
        address = one.pod('limited')['status']['podIP']
        for place in ('free', 'node-1'):
            assert 'limited' in one.exec(place, 'causeway', 'workload', 'connect', f'{address}:8080').stdout, (plane, place)
        sent = re.search(r'qdisc tbf \S+ dev cw\S+ root .*\n\s+Sent (\d+) bytes', one.exec('node-1', 'tc', '-s', 'qdisc', 'show').stdout)
        assert sent and int(sent[1]) > 200, plane


def test_a_pod_has_the_mtu_that_it_asks_for_and_is_reached():
    for plane in PLANES:
        one = plane_of(plane)
        annotated(one, 'small', mtu='1300')
        one.wait_ready('small')
        assert re.search(r' mtu 1300 ', one.exec('small', 'ip', 'link', 'show', 'eth0').stdout), plane
        # More than fits in one packet, both ways.
        address = one.pod('small')['status']['podIP']
        assert 'small' in one.exec('free', 'causeway', 'workload', 'connect', f'{address}:8080').stdout, plane
        one.exec('small', 'ping', '-c1', '-W3', '-s', '4000', one.pod('free')['status']['podIP'])
    annotated(one, 'jumbo', mtu='65000')
    until('an Event', 20, lambda: any(
        event['reason'] == 'InvalidMtuAnnotation' and '65000' in event['message']
        for event in one.api('GET', '/api/v1/namespaces/default/events')['items'] if event['involvedObject'].get('name') == 'jumbo'))
    assert not lab.ready(one.pod('jumbo'))


def test_a_limit_that_cannot_be_keeps_the_pod_from_starting_and_says_why():
    one = plane_of('bpf')
    annotated(one, 'nonsense', ingress='12')
    until('an Event', 20, lambda: any('ingress-bandwidth' in event['message'] for event in one.api(
        'GET', '/api/v1/namespaces/default/events')['items'] if event['involvedObject'].get('name') == 'nonsense'))
    assert not lab.ready(one.pod('nonsense'))


try:
    lab.main(sys.modules[__name__])
finally:
    for made in MADE.values():
        made.__exit__()
