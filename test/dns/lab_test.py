"""lab_test.py CAUSEWAY: Pods of a lab and cluster DNS: what stands in their resolv.conf, and what names they get answered, also while
processes die."""
import json
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../lab'))
import lab  # noqa: E402
from lab import ApiError, until  # noqa: E402

ONE = lab.Lab('names', '--nodes', '2', '--ip-family', 'dual')
CORE, APPS = '/api/v1/namespaces/default', '/apis/apps/v1/namespaces/default'
DNS = '10.96.0.10'
SEARCH = 'search default.svc.cluster.local svc.cluster.local cluster.local\n'
CLUSTER = f'{SEARCH}nameserver {DNS}\noptions ndots:5\n'
NODE = 'nameserver 203.0.113.2\nnameserver 2001:db8:113::2\n'


def resolved(name, pod='asks', database='ahosts'):
    """The addresses that the Pod's own resolver (glibc) has for the name."""
    text = ONE.exec(pod, 'getent', database, name, check=False).stdout
    return sorted({line.split()[0] for line in text.splitlines()})


def dig(name, kind='A', pod='asks', *flags):
    return ONE.exec(pod, 'dig', '+tries=1', '+time=3', '+short', '+search', *flags, name, kind, check=False).stdout.split()


def resolv_conf(pod):
    return ONE.exec(pod, 'cat', '/etc/resolv.conf').stdout


def post(path, kind, name, spec, version='v1', **metadata):
    return ONE.api('POST', path, {'apiVersion': version, 'kind': kind, 'metadata': {'name': name, **metadata}, 'spec': spec})


def template(app, **spec):
    return {'metadata': {'labels': {'app': app}},
            'spec': {'containers': [{'name': 'c', 'image': 'none', 'ports': [{'containerPort': 8080, 'name': 'http'}]}], **spec}}


def events(pod, reason):
    items = ONE.api('GET', f'{CORE}/events?fieldSelector=involvedObject.name={pod}')['items']
    return [e['message'] for e in items if e['reason'] == reason]


def dns_ready():
    """Nodes whose DNS is an endpoint, by the API."""
    slices = ONE.api('GET', '/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices?labelSelector=kubernetes.io/service-name%3Dkube-dns')['items']
    return {e['nodeName'] for s in slices for e in s.get('endpoints') or [] if e['conditions']['ready']}


def test_every_node_answers_at_the_tenth_service_address():
    ONE.up()
    service = ONE.api('GET', '/api/v1/namespaces/kube-system/services/kube-dns')
    assert service['spec']['clusterIPs'] == [DNS, 'fd10:96::a'], service['spec']
    assert {(p['name'], p['protocol'], p['port']) for p in service['spec']['ports']} == {
        ('dns', 'UDP', 53), ('dns-tcp', 'TCP', 53), ('metrics', 'TCP', 9153)}
    assert dns_ready() == {'node-1', 'node-2'}
    status = lab.run('lab', 'status', '--name', ONE.name).stdout
    assert len([line for line in status.splitlines() if line.startswith('node-') and line.count('running (pid') == 2]) == 2, status
    ONE.create_pod('asks', nodeName='node-1')
    ONE.create_pod('asks-too', nodeName='node-2')
    ONE.wait_ready('asks'), ONE.wait_ready('asks-too')


def test_a_service_is_found_by_name_in_both_families():
    made = post(f'{CORE}/services', 'Service', 'web', {'selector': {'app': 'web'}, 'ipFamilyPolicy': 'RequireDualStack',
                                                        'ports': [{'name': 'http', 'port': 80, 'targetPort': 8080}]})
    addresses = sorted(made['spec']['clusterIPs'])
    for pod in ('asks', 'asks-too'):
        until('the name', 20, lambda: resolved('web', pod) == addresses)
    assert resolved('web.default') == resolved('web.default.svc.cluster.local') == addresses
    assert dig('web') == [addresses[0]] and dig('web', 'AAAA') == [addresses[1]]
    assert dig('web', 'A', 'asks', '+tcp') == [addresses[0]]
    told = dig('_http._tcp.web', 'SRV')
    assert told == ['0', '50', '80', 'web.default.svc.cluster.local.'], told  # as CoreDNS: a hundred over the addresses
    assert resolved('nosuch') == []
    post(f'{CORE}/pods', 'Pod', 'web', **{'spec': template('web')['spec'], 'labels': {'app': 'web'}})
    ONE.wait_ready('web')
    until('an answer by the name', 20, lambda: ONE.exec('asks', 'causeway', 'workload', 'connect', 'web:80', check=False).stdout)


def test_the_pods_of_a_stateful_set_are_found_by_name():
    post(f'{CORE}/services', 'Service', 'db', {'clusterIP': 'None', 'selector': {'app': 'db'}, 'ports': [{'name': 'sql', 'port': 8080}]})
    post(f'{APPS}/statefulsets', 'StatefulSet', 'db', {'serviceName': 'db', 'replicas': 2, 'selector': {'matchLabels': {'app': 'db'}},
                                                        'template': template('db')}, version='apps/v1')
    ips = [lab.addresses(ONE.wait_ready(f'db-{i}'))[0] for i in (0, 1)]
    until('both by the Service', 20, lambda: sorted(dig('db')) == sorted(ips))
    for i, ip in enumerate(ips):
        assert dig(f'db-{i}.db') == [ip] and ip in resolved(f'db-{i}.db', 'asks-too')
    targets = dig('_sql._tcp.db', 'SRV')[3::4]
    assert sorted(targets) == ['db-0.db.default.svc.cluster.local.', 'db-1.db.default.svc.cluster.local.'], targets


def test_names_of_the_world_and_an_external_name_are_answered_by_the_outside_host():
    assert resolved('www.outside.example') == ['2001:db8:113::2', '203.0.113.2']
    assert resolved('www.nowhere.example') == []
    post(f'{CORE}/services', 'Service', 'world', {'type': 'ExternalName', 'externalName': 'www.outside.example'})
    until('the alias', 20, lambda: dig('world') == ['www.outside.example.', '203.0.113.2'])
    assert resolved('world', 'asks-too') == ['2001:db8:113::2', '203.0.113.2']


def test_resolv_conf_follows_dns_policy_and_dns_config():
    config = {'nameservers': ['192.0.2.53'], 'searches': ['db.example'], 'options': [{'name': 'ndots', 'value': '2'}, {'name': 'edns0'}]}
    ONE.exec('node-1', 'sh', '-c', 'echo "search rack.example" >>/etc/resolv.conf')
    for name, spec in {'by-node': {'dnsPolicy': 'Default'}, 'of-node': {'hostNetwork': True},
                       'of-node-too': {'hostNetwork': True, 'dnsPolicy': 'ClusterFirstWithHostNet'},
                       'by-itself': {'dnsPolicy': 'None', 'dnsConfig': config}, 'by-both': {'dnsConfig': config}}.items():
        ONE.create_pod(name, [{'command': ['sleep', '1000']}], nodeName='node-1', **spec)
        ONE.wait_ready(name)
    rack = 'search rack.example\n' + NODE
    with_rack = CLUSTER.replace('cluster.local\nn', 'cluster.local rack.example\nn')
    assert resolv_conf('asks') == CLUSTER
    assert resolv_conf('by-node') == rack and resolv_conf('of-node') == rack
    assert resolv_conf('of-node-too') == with_rack
    assert resolv_conf('by-itself') == 'search db.example\nnameserver 192.0.2.53\noptions ndots:2 edns0\n'
    assert resolv_conf('by-both') == with_rack.replace('rack.example\n', 'rack.example db.example\n').replace(
        'options ndots:5', 'nameserver 192.0.2.53\noptions ndots:2 edns0')
    assert resolved('web', 'of-node-too') and resolved('kubernetes.default', 'of-node') == []
    ONE.exec('node-1', 'sh', '-c', 'sed -i /rack/d /etc/resolv.conf')


def test_too_many_nameservers_are_refused_or_left_out_with_an_event():
    servers = [f'192.0.2.{i}' for i in range(1, 5)]
    for count, said in ((4, 'must not have more than 3 nameservers'), (0, 'must provide at least one DNS nameserver')):
        try:
            ONE.create_pod('refused', dnsPolicy='None', dnsConfig={'nameservers': servers[:count]})
        except ApiError as error:
            assert said in str(error), error
        else:
            raise AssertionError(f'{count} nameservers were taken')
    ONE.create_pod('full', [{'command': ['sleep', '1000']}], dnsConfig={'nameservers': servers[:3]})
    ONE.wait_ready('full')
    assert resolv_conf('full').count('nameserver') == 3
    (told,) = until('the Event', 20, lambda: events('full', 'DNSConfigForming'))
    assert told == f'Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: {DNS} 192.0.2.1 192.0.2.2'


def test_what_the_corefile_says_is_used_at_once_when_it_is_changed():
    path = f'/run/causeway-lab/{ONE.name}/cluster/Corefile'
    before = open(path).read()
    with open(path, 'w') as file:
        file.write(before.replace('    cache 30\n', '    cache 30\n    hosts {\n        192.0.2.77 printer.example\n        fallthrough\n    }\n'))
    until('the new name', 20, lambda: resolved('printer.example') == ['192.0.2.77'])
    with open(path, 'w') as file:
        file.write(before)
    until('no such name', 20, lambda: resolved('printer.example') == [])


def test_names_are_answered_while_agents_and_api_server_are_gone():
    stopped = [pid for path in ('nodes/node-1/agent', 'nodes/node-2/agent', 'apiserver') for pid in ONE.pids(path)]
    asks = ONE.pids(f'nodes/node-1/kubepods/pod{ONE.pod("asks")["metadata"]["uid"]}/c0')[0]
    enter = ['nsenter', '-t', str(asks), '-n', '-m']
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        for name, address in (('web.default.svc.cluster.local', None), ('www.outside.example', '203.0.113.2')):
            told = lab.subprocess.run([*enter, 'dig', '+tries=1', '+time=3', '+short', name], text=True, stdout=lab.subprocess.PIPE).stdout.split()
            assert len(told) == 1 and address in (None, told[0]), told
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)


def test_a_pod_is_answered_by_its_own_node_and_by_another_from_the_death_of_that_on():
    def here(node):
        return [line for line in ONE.exec(node, 'causeway', 'service', 'ls').stdout.splitlines() if 'answered by' in line]
    until('its own address', 20, lambda: len(here('node-1')) == len(here('node-2')) == 3)
    trace = ONE.exec('node-1', 'causeway', 'service', 'trace', 'default/asks', f'{DNS}:53/udp').stdout
    assert 'cluster DNS, and `causeway dns` of this node answers it' in trace, trace
    for address in (DNS, 'fd10:96::a', '169.254.20.10'):
        for flags in ((), ('+tcp',)):
            assert dig('web', 'A', 'asks', f'@{address}', *flags), (address, flags)
    tracked = ONE.exec('node-1', 'cat', '/proc/net/nf_conntrack').stdout
    assert f'dst={DNS} ' not in tracked, tracked
    for _ in range(3):
        before = ONE.kill('nodes/node-1/dns')
        for _ in range(10):
            assert dig('web'), 'a question was lost'
        until('another process', 20, lambda: before not in ONE.pids('nodes/node-1/dns') and ONE.pids('nodes/node-1/dns'))
    until('its own address', 20, lambda: len(here('node-1')) == 3)


def test_a_pod_under_a_deny_all_gets_names_by_a_rule_for_the_pods_of_cluster_dns():
    path = '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies'

    def policy(name, **spec):
        post(path, 'NetworkPolicy', name, {'podSelector': {}, 'policyTypes': ['Egress'], **spec}, version='networking.k8s.io/v1')

    def explained():
        done = lab.run('policy', 'explain', 'default/asks', f'{DNS}:53/udp', '--lab', ONE.name, check=False)
        return done.returncode, done.stdout + done.stderr
    policy('none')
    until('no answer', 20, lambda: 'timed out' in ' '.join(dig('web.default.svc.cluster.local', 'A', 'asks', '+nosearch')))
    code, text = explained()
    assert code == 1 and 'isolated by NetworkPolicy default/none' in text and 'BUG' not in text, text
    policy('dns', egress=[{'to': [{'namespaceSelector': {'matchLabels': {'kubernetes.io/metadata.name': 'kube-system'}},
                                   'podSelector': {'matchLabels': {'k8s-app': 'kube-dns'}}}], 'ports': [{'protocol': 'UDP', 'port': 53}]}])
    until('an answer', 20, lambda: dig('web'))
    code, text = explained()
    assert code == 0 and 'taken for a Pod of kube-system labelled k8s-app=kube-dns' in text and 'BUG' not in text, text
    for name in ('none', 'dns'):
        ONE.api('DELETE', f'{path}/{name}')
    until('an answer by TCP too', 20, lambda: dig('web', 'A', 'asks', '+tcp'))


def test_a_killed_dns_answers_again_from_what_it_kept():
    until('a snapshot', 30, lambda: ONE.exec('node-1', 'ls', '/var/lib/causeway/dns.snapshot', check=False).returncode == 0)
    agent = ONE.pids('nodes/node-1/agent')[0]
    os.kill(agent, signal.SIGSTOP)
    try:
        before = ONE.kill('nodes/node-1/dns')
        until('another process', 10, lambda: before not in ONE.pids('nodes/node-1/dns') and ONE.pids('nodes/node-1/dns'))
        until('its answer', 10, lambda: dig('web', 'A', 'asks', '@172.30.1.11'))
    finally:
        os.kill(agent, signal.SIGCONT)
    until('both nodes ready', 20, lambda: dns_ready() == {'node-1', 'node-2'})


def test_pods_of_a_node_whose_dns_hangs_are_answered_by_another():
    (pid,) = ONE.pids('nodes/node-1/dns')
    os.kill(pid, signal.SIGSTOP)
    try:
        until('one endpoint', 30, lambda: dns_ready() == {'node-2'})
        until('an answer', 20, lambda: dig('web') and dig('www.outside.example') == ['203.0.113.2'])
    finally:
        os.kill(pid, signal.SIGCONT)
    until('both nodes ready', 20, lambda: dns_ready() == {'node-1', 'node-2'})


def test_a_lab_without_dns_says_so_to_its_pods():
    with lab.Lab('no-names', '--nodes', '1', '--no-dns') as one:
        one.create_pod('asks')
        one.wait_ready('asks')
        assert one.pids('nodes/node-1/dns') == one.pids('outside-dns') == []
        assert one.exec('asks', 'cat', '/etc/resolv.conf').stdout == '', 'the node has no resolver either'
        told = until('the Event', 20, lambda: [e['message'] for e in one.api('GET', f'{CORE}/events')['items'] if e['reason'] == 'MissingClusterDNS'])
        assert told == ['the lab runs without cluster DNS (--no-dns): dnsPolicy "ClusterFirst" is taken for "Default"'], json.dumps(told)
        assert ' off' in lab.run('lab', 'status', '--name', one.name).stdout
    lab.run('lab', 'down', '--name', ONE.name)
    assert lab.leftovers(ONE.name) == []


lab.main(sys.modules[__name__])
