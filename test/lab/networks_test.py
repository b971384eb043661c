"""networks_test.py CAUSEWAY: further interfaces of Pods by NetworkAttachmentDefinitions."""
import json
import re
import sys

import lab
from lab import Lab, until

KEY = 'k8s.v1.cni.cncf.io/networks'
STATUS = 'k8s.v1.cni.cncf.io/network-status'
DEFINITIONS = '/apis/k8s.cni.cncf.io/v1/namespaces/default/network-attachment-definitions'


def define(name, method='POST', **plugin):
    body = {'apiVersion': 'k8s.cni.cncf.io/v1', 'kind': 'NetworkAttachmentDefinition', 'metadata': {'name': name},
            'spec': {'config': json.dumps({'cniVersion': '1.0.0', **plugin})}}
    one.api(method, DEFINITIONS + ('' if method == 'POST' else f'/{name}'), body, **(
        {} if method == 'POST' else {'content_type': 'application/merge-patch+json'}))


def pod_with(name, networks, node='node-1'):
    one.api('POST', '/api/v1/namespaces/default/pods', {
        'apiVersion': 'v1', 'kind': 'Pod', 'metadata': {'name': name, 'annotations': {
            KEY: networks if isinstance(networks, str) else json.dumps(networks)}},
        'spec': {'nodeName': node, 'containers': [{'name': 'c0', 'image': 'none', 'ports': [{'containerPort': 8080}]}]}})


def links(where):
    return set(re.findall(r'^\d+: ([^:@]+)', one.exec(where, 'ip', '-o', 'link').stdout, re.M))


def agent_said(name):
    return [e['message'] for e in one.api('GET', '/api/v1/namespaces/default/events')['items']
            if e['involvedObject'].get('name') == name and e['reason'] == 'NetworkAttachmentFailed']


def test_a_macvlan_reaches_its_neighbours_on_this_node_and_on_the_next():
    define('store', type='macvlan', ipam={'type': 'host-local', 'subnet': '192.0.2.0/24'})  # of the default route's device
    pod_with('a', 'store')
    pod_with('b', 'default/store@store0')
    pod_with('c', [{'name': 'store', 'ips': ['192.0.2.77/24'], 'mac': '02:00:00:00:00:77'}], node='node-2')
    got = {}
    for name, ifname in (('a', 'net1'), ('b', 'store0'), ('c', 'net1')):
        one.wait_ready(name)
        pod = one.wait_pod(name, lambda pod: STATUS in pod['metadata']['annotations'], 'told of its networks')
        main, further = json.loads(pod['metadata']['annotations'][STATUS])
        assert main['default'] and main['interface'] == 'eth0' and main['ips'] == [pod['status']['podIP']], main
        assert further['name'] == 'default/store' and further['interface'] == ifname, further
        assert links(name) == {'lo', 'eth0', ifname}
        got[name] = further
    assert len({got[name]['ips'][0] for name in got}) == 3, got
    assert got['c']['ips'] == ['192.0.2.77'] and got['c']['mac'] == '02:00:00:00:00:77'
    for peer in ('b', 'c'):
        assert peer in one.exec('a', 'causeway', 'workload', 'connect', f'{got[peer]["ips"][0]}:8080').stdout, peer
    for name in 'abc':
        one.delete_pod(name, grace=0)
        one.wait_gone(name)


def test_a_device_moves_into_the_pod_and_comes_back_also_when_the_agent_is_killed():
    one.exec('node-1', 'ip', 'link', 'add', 'ens9', 'type', 'veth', 'peer', 'name', 'ens9-peer')
    define('card', type='host-device', device='ens9', ipam={'type': 'static', 'addresses': [{'address': '198.51.100.9/24'}]})
    for kill in (False, True):
        pod_with('mover', 'card')
        one.wait_ready('mover')
        assert links('mover') == {'lo', 'eth0', 'net1'} and 'ens9' not in links('node-1')
        assert '198.51.100.9/24' in one.exec('mover', 'ip', '-o', 'addr', 'show', 'net1').stdout
        if kill:
            one.kill('nodes/node-1/agent')
            until('the agent answers again', 20, lambda: one.exec('node-1', 'causeway', 'pod', 'ls', check=False).returncode == 0)
            assert 'net1' in links('mover')
        one.delete_pod('mover', grace=0)
        one.wait_gone('mover')
        until('the device is back', 10, lambda: 'ens9' in links('node-1'))
        assert 'causeway-moved' not in one.exec('node-1', 'ip', 'link', 'show', 'ens9').stdout


def test_a_network_that_cannot_be_had_keeps_the_pod_from_starting_until_it_is_repaired():
    define('odd', type='ipvlan', master='eth0')
    pod_with('waits', 'card,odd')
    said = until('an Event', 20, lambda: agent_said('waits'))
    assert said[0] == 'NetworkAttachmentDefinition default/odd: type "ipvlan" is not supported: macvlan and host-device are', said
    pod = one.pod('waits')
    assert not lab.ready(pod) and 'podIP' not in pod['status'], pod['status']
    assert 'ens9' in links('node-1')  # the other network was not touched
    define('odd', method='PATCH', type='macvlan', ipam={})
    one.wait_ready('waits', 60)
    assert links('waits') == {'lo', 'eth0', 'net1', 'net2'}
    one.delete_pod('waits', grace=0)
    one.wait_gone('waits')

    # The node itself lives by this one.
    define('uplink', type='host-device', device='eth0')
    pod_with('greedy', 'uplink')
    said = until('an Event', 20, lambda: agent_said('greedy'))
    assert 'device eth0 is not one that a Pod may take: the node has its address' in said[0], said
    # Half of everything at a time, and the cluster's own range.
    define('halves', type='macvlan', ipam={'type': 'static', 'addresses': [{'address': '198.51.100.20/24'}],
                                           'routes': [{'dst': '0.0.0.0/1'}, {'dst': '128.0.0.0/1'}]})
    define('inside', type='macvlan', ipam={'type': 'host-local', 'subnet': '10.244.0.0/16'})
    for name, words in (('halves', 'ipam.routes: 0.0.0.0/1 would lead traffic past'), ('inside', 'ipam subnet: 10.244.0.0/16 would lead')):
        pod_with(name, name)
        said = until('an Event', 20, lambda: agent_said(name))
        assert words in said[0] and 'the Pods of Node node-' in said[0], said
    pod_with('lost', 'nowhere')
    said = until('an Event', 20, lambda: agent_said('lost'))
    assert said[0] == f'annotation {KEY}: there is no NetworkAttachmentDefinition default/nowhere', said


with Lab('tnetworks', '--nodes', '2') as one:
    lab.main(sys.modules[__name__])
