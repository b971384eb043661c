"""Services of a lab by the agents alone, no kube-proxy: ClusterIP, node ports, affinity, no endpoint, host ports; from Pods,
nodes and outside. Then kill -9 of the agents under connections: none fails. services_test.py CAUSEWAY
[bpf|netfilter [nftables|iptables]]"""
import json
import subprocess
import sys
import time

import lab
from lab import until

PLANE = sys.argv[2] if len(sys.argv) > 2 else 'bpf'
FLAGS = [f'--agent-flag=--proxy-mode={sys.argv[3]}'] if len(sys.argv) > 3 else []
STATE = {}


def service(one, name, ports, **spec):
    return one.api('POST', '/api/v1/namespaces/default/services', {
        'apiVersion': 'v1', 'kind': 'Service', 'metadata': {'name': name},
        'spec': {'selector': {'app': 'web'}, 'ports': ports, **spec}})['spec']


def answers(one, source, target, count=1, udp=False, timeout=2000, check=True):
    """Who answered, in order; None for each request that was lost."""
    done = one.exec(source, 'causeway', 'workload', 'connect', *(['--udp'] if udp else []), '--count', count, '--interval', '0',
                    '--timeout', timeout, target, check=False)
    lines = done.stdout.splitlines()[:count]
    found = [json.loads(line)['pod'] if line.startswith('{') else None for line in lines]
    assert not check or None not in found, f'{source} to {target}: {lines}'
    return found


def in_lab(function):
    def test():
        if 'lab' not in STATE:
            STATE['lab'] = lab.Lab(f'tservices-{sys.argv[-1] if len(sys.argv) > 2 else PLANE}', '--nodes', '2', '--plane', PLANE, *FLAGS)
            STATE['lab'].up()
            start(STATE['lab'])
        function(STATE['lab'])
    test.__name__ = function.__name__
    return test


def start(one):
    ports = [{'containerPort': 8080}, {'containerPort': 9000, 'protocol': 'UDP'}]
    for number in (1, 2):
        one.create_pod(f'web-{number}', [{'ports': ports}], labels={'app': 'web'}, nodeName=f'node-{number}')
        one.create_pod(f'client-{number}', nodeName=f'node-{number}')
    for name in ('web-1', 'web-2', 'client-1', 'client-2'):
        one.wait_ready(name)
    STATE['nodes'] = [next(a['address'] for a in node['status']['addresses'] if a['type'] == 'InternalIP')
                      for node in one.api('GET', '/api/v1/nodes')['items']]
    spec = service(one, 'web', [{'name': 'http', 'port': 80, 'targetPort': 8080, 'nodePort': 30080},
                                {'name': 'echo', 'port': 53, 'protocol': 'UDP', 'targetPort': 9000, 'nodePort': 30053}], type='NodePort')
    STATE['vip'], STATE['http'], STATE['echo'] = spec['clusterIP'], spec['ports'][0]['nodePort'], spec['ports'][1]['nodePort']
    until('both endpoints answer', 20, lambda: set(answers(one, 'client-1', f'{spec["clusterIP"]}:80', 20, check=False)) == {'web-1', 'web-2'})
    until('on the other node too', 20, lambda: set(answers(one, 'client-2', f'{spec["clusterIP"]}:80', 20, check=False)) == {'web-1', 'web-2'})


@in_lab
def test_a_ClusterIP_leads_Pods_and_nodes_to_every_endpoint_by_TCP_and_UDP(one):
    for source in ('client-1', 'client-2', 'web-1', 'node-1', 'node-2'):
        assert set(answers(one, source, f'{STATE["vip"]}:80', 30)) == {'web-1', 'web-2'}, source
        assert set(answers(one, source, f'{STATE["vip"]}:53', 30, udp=True)) == {'web-1', 'web-2'}, source


@in_lab
def test_a_node_port_is_served_to_outside_Pods_and_nodes_on_every_node(one):
    for node in STATE['nodes']:
        for source in ('outside', 'client-1', 'node-1'):
            assert set(answers(one, source, f'{node}:{STATE["http"]}', 30)) == {'web-1', 'web-2'}, (source, node)
            assert set(answers(one, source, f'{node}:{STATE["echo"]}', 30, udp=True)) == {'web-1', 'web-2'}, (source, node)
    if PLANE == 'bpf':
        assert set(answers(one, 'node-1', f'127.0.0.1:{STATE["http"]}', 30)) == {'web-1', 'web-2'}


@in_lab
def test_affinity_keeps_a_client_with_one_endpoint(one):
    vip = service(one, 'sticky', [{'port': 80, 'targetPort': 8080}], sessionAffinity='ClientIP')['clusterIP']
    until('it answers', 20, lambda: answers(one, 'client-1', f'{vip}:80', check=False) != [None])
    for source in ('client-1', 'client-2', 'node-1'):
        assert len(set(answers(one, source, f'{vip}:80', 30))) == 1, source


@in_lab
def test_no_endpoint_and_no_such_port_are_refused_at_once(one):
    vip = service(one, 'empty', [{'port': 80}], selector={'app': 'nobody'})['clusterIP']
    def refused(address):
        return 'Connection refused' in one.exec('client-1', 'causeway', 'workload', 'connect', address, check=False).stdout
    until('a Service without endpoints refuses', 20, lambda: refused(f'{vip}:80'))
    assert refused(f'{STATE["vip"]}:81'), 'a port that the Service does not have'


@in_lab
def test_a_host_port_is_reached_from_everywhere(one):
    one.create_pod('host-port', [{'ports': [{'containerPort': 8080, 'hostPort': 8080},
                                            {'containerPort': 9000, 'hostPort': 9000, 'protocol': 'UDP'},
                                            {'containerPort': 8081, 'hostPort': 8082, 'hostIP': '127.0.0.1'}]}], nodeName='node-1')
    one.wait_ready('host-port')
    node = STATE['nodes'][0]
    for source in ('outside', 'client-1', 'client-2', 'node-1', 'node-2', 'host-port'):
        assert answers(one, source, f'{node}:8080') == ['host-port'], source
        assert answers(one, source, f'{node}:9000', udp=True) == ['host-port'], source
    assert answers(one, 'node-1', '127.0.0.1:8082') == ['host-port']
    assert answers(one, 'outside', f'{node}:8082', timeout=500, check=False) == [None]
    one.create_pod('same-port', [{'ports': [{'containerPort': 8080, 'hostPort': 8080}]}], nodeName='node-1')
    refused = until('kubelet refuses it', 20, lambda: one.pod('same-port')['status'] if one.pod('same-port')['status'].get('phase') == 'Failed' else None)
    assert refused['reason'] == 'NodePorts' and 'Pod default/host-port has 8080/TCP' in refused['message'], refused
    one.create_pod('waits', [{'ports': [{'containerPort': 8080, 'hostPort': 8080}]}], nodeSelector={'kubernetes.io/hostname': 'node-1'})
    until('the scheduler says why', 20, lambda: any(
        e['involvedObject']['name'] == 'waits' and e['reason'] == 'FailedScheduling' and "didn't have free ports" in e['message']
        for e in one.api('GET', '/api/v1/namespaces/default/events')['items']))
    assert one.pod('waits')['status']['phase'] == 'Pending'
    one.delete_pod('waits', grace=0)
    one.delete_pod('same-port', grace=0)
    one.delete_pod('host-port', grace=0)
    one.wait_gone('host-port')
    until('the host port is closed', 10, lambda: answers(one, 'client-2', f'{node}:8080', timeout=500, check=False) == [None])


@in_lab
def test_killed_agents_fail_no_connection(one):
    loads = [subprocess.Popen([lab.CAUSEWAY, 'lab', 'exec', '--name', one.name, source, '--', 'causeway', 'workload', 'connect', '--quiet',
                               '--count', '4000', '--interval', '2', '--timeout', '3000', target], stdout=subprocess.PIPE, text=True)
             for source, target in (('client-1', f'{STATE["vip"]}:80'), ('outside', f'{STATE["nodes"][0]}:{STATE["http"]}'))]
    while any(load.poll() is None for load in loads):
        for node in ('node-1', 'node-2'):
            before = one.pids(f'nodes/{node}/agent')
            one.kill(f'nodes/{node}/agent')
            until(f'the agent of {node} runs again', 20, lambda: set(one.pids(f'nodes/{node}/agent')) - set(before))
        time.sleep(1)
    for source, load in zip(('client-1', 'outside'), loads):
        text = load.stdout.read()
        assert load.returncode == 0 and ' 0 lost' in text, f'{source}: {text}'


def test_the_lab_goes_down():
    if 'lab' in STATE:
        STATE.pop('lab').__exit__()


lab.main(sys.modules[__name__])
