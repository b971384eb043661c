"""causeway policy on manifests: what it answers, its exit codes, and what it refuses in one sentence."""
import base64
import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
import urllib.request
import xml.etree.ElementTree as xml

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '../kubectl'))
from api_server import ApiServer  # noqa: E402

SHOP = os.path.join(HERE, 'shop.yaml')
EXPECTATIONS = os.path.join(HERE, 'expectations.yaml')
CAUSEWAY = sys.argv[1]


def policy(*arguments, manifests=(SHOP,)):
    flags = [flag for path in manifests for flag in ('--manifests', path)]
    return subprocess.run([CAUSEWAY, 'policy', *arguments, *flags], capture_output=True, text=True, timeout=60)


def answer(code, *arguments, **options):
    done = policy(*arguments, **options)
    assert done.returncode == code, f'{arguments}: {done.returncode}: {done.stdout}{done.stderr}'
    return done.stdout


def refused(*arguments, **options):
    done = policy(*arguments, **options)
    assert done.returncode not in (0, 1), f'{arguments}: {done.returncode}: {done.stdout}'
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith('error: '), done.stderr
    return lines[0]


def written(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, 'w') as file:
        file.write(text)
    return path


def new_policy(spec, name='new', extra=''):
    return ('apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n'
            f'metadata: {{name: {name}, namespace: shop}}\nspec: {spec}\n{extra}')


def recorded(number, source, destination, verdict='allowed', protocol='tcp'):
    return json.dumps({'number': number, 'time': f'2026-11-22T16:20:01.{number:06}Z', 'node': 'n1', 'verdict': verdict, 'protocol': protocol,
                       'source': source, 'destination': destination}) + '\n'


def test_replay(folder):
    frontend, outside = {'address': '10.1.0.1', 'pod': 'shop/frontend', 'port': 41000}, {'address': '192.0.2.5', 'port': 42000}
    backend = {'address': '10.1.0.2', 'pod': 'shop/backend', 'port': 80}
    flows = written(folder, 'flows.jsonl', recorded(1, frontend, backend) + recorded(2, frontend, backend) + recorded(3, frontend, backend, 'closed')
                    + recorded(4, outside, backend, 'dropped') + recorded(5, {'address': '10.1.0.77', 'pod': 'shop/gone'}, backend))
    deny = written(folder, 'deny.yaml', new_policy('{podSelector: {matchLabels: {app: backend}}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}]}]}',
                                                   name='backend'))
    text = answer(1, 'replay', '-f', deny, '--flows', flows)
    assert 'would cut: shop/frontend -> shop/backend:80/tcp (2 times), denied by ' in text, text
    assert 'would open: 192.0.2.5 -> shop/backend:80/tcp, denied now by ' in text, text
    assert '4 recorded flows, 2 different connections: 1 would be cut, 1 would open' in text, text
    assert 'note: 1 connections of Pods that are no more were not judged' in text, text
    harmless = written(folder, 'harmless.yaml', new_policy('{podSelector: {matchLabels: {app: nobody}}}'))
    assert '0 would be cut, 0 would open' in answer(0, 'replay', '-f', harmless, '--flows', flows)
    assert 'note: nothing is recorded' in answer(0, 'replay', '-f', deny, '--flows', written(folder, 'none.jsonl', ''))
    assert 'no change is named' in refused('replay', '--flows', flows)
    assert 'it cannot be read' in refused('replay', '-f', deny, '--flows', folder + '/nothing')
    broken = written(folder, 'broken.jsonl', recorded(1, frontend, backend) + '{"number": 2}\n')
    assert 'broken.jsonl:2: ' in refused('replay', '-f', deny, '--flows', broken)
    assert '--since: "soon" is no time' in refused('replay', '-f', deny, '--since', 'soon')
    assert 'no agent answers at' in refused('replay', '-f', deny, '--run-dir', folder)


def test_a_probe_needs_a_cluster(folder):
    assert '--probe asks a running cluster' in refused('explain', 'shop/frontend', 'shop/backend:80', '--probe')


def test_explain(folder):
    assert 'allowed: NetworkPolicy shop/backend ingress[0]' in answer(0, 'explain', 'shop/frontend', 'shop/backend:80')
    text = answer(1, 'explain', 'shop/frontend', 'shop/backend:9100')
    assert 'DENIED: isolated by NetworkPolicy shop/backend, shop/deny-all, and no rule admits it' in text, text
    assert 'near: NetworkPolicy shop/backend ingress[0]: the peer fits, the port does not' in text, text
    answer(0, 'explain', '192.0.2.5', 'shop/frontend:http')
    answer(1, 'explain', '192.0.2.200', 'shop/frontend:8080')
    answer(0, 'explain', 'shop/backend', '[2001:db8::1]:443')
    assert 'has ended' in refused('explain', 'shop/old-job', 'shop/db:80')
    assert 'Service shop/backend' in refused('explain', 'shop/db', '10.96.0.7:80')
    assert 'there is no Pod shop/fronted' in refused('explain', 'shop/fronted', 'shop/db:80')
    assert 'names no port' in refused('explain', 'shop/frontend', 'shop/db')
    assert 'in brackets' in refused('explain', 'shop/frontend', '2001:db8::1:443')


def test_matrix(folder):
    rows = [line.split() for line in answer(0, 'matrix', '-n', 'shop', '--port', '5432').splitlines()[:4]]
    assert rows == [['FROM', '\\', 'TO', 'shop/backend', 'shop/db', 'shop/frontend'], ['shop/backend', 'yes', '-'],
                    ['shop/db', '-', '-'], ['shop/frontend', '-', '-']], rows
    assert '9100/tcp' in answer(0, 'matrix')
    assert 'shop         all' in answer(0, 'matrix', '--by', 'namespace')
    assert 'app=db' in answer(0, 'matrix', '--by', 'label:app', '--address', '192.0.2.1')
    assert 'pod, namespace or label:KEY' in refused('matrix', '--by', 'labels')
    assert 'there is no Pod in namespace nowhere' in refused('matrix', '-n', 'nowhere')


def test_diff(folder):
    opens = written(folder, 'opens.yaml', new_policy(
        '{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{namespaceSelector: {}}], ports: [{port: 5432}]}]}'))
    assert answer(1, 'diff', '-f', opens).splitlines()[:2] == [
        'opens  monitoring/prometheus -> shop/db: 5432/tcp', 'opens  shop/frontend -> shop/db: 5432/tcp']
    text = answer(1, 'diff', '--delete', 'shop/db')
    assert text.startswith('closes shop/backend -> shop/db: 5432/tcp\n'), text
    assert 'nothing opens and nothing closes' in answer(0, 'diff', '-f', SHOP)
    assert 'no change is named' in refused('diff')
    assert 'there is no such NetworkPolicy' in refused('diff', '--delete', 'shop/nope')


# Nobody but monitoring reaches a database, whatever NetworkPolicies say; where they say nothing, strangers do not.
CLUSTER_POLICIES = """apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: databases}
spec:
  tier: Admin
  priority: 10
  subject: {pods: {podSelector: {matchLabels: {app: db}}}}
  ingress:
  - {name: watched, action: Accept, from: [{namespaces: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]}
  - {name: nobody, action: Deny, from: [{namespaces: {}}]}
"""


def test_policies_of_the_whole_cluster(folder):
    cluster = (SHOP, written(folder, 'cluster.yaml', CLUSTER_POLICIES))
    text = answer(1, 'explain', 'shop/backend', 'shop/db:5432', manifests=cluster)
    assert 'DENIED: ClusterNetworkPolicy databases ingress[1] "nobody"' in text, text
    text = answer(0, 'explain', 'monitoring/prometheus', 'shop/db:5432', manifests=cluster)
    assert 'allowed: ClusterNetworkPolicy databases ingress[0] "watched"' in text, text
    opens = answer(1, 'diff', '-f', cluster[1])
    assert 'opens  monitoring/prometheus -> shop/db' in opens and 'closes shop/backend -> shop/db: 5432/tcp' in opens, opens
    assert 'opens  shop/backend -> shop/db: 5432/tcp' in answer(1, 'diff', '--delete', 'databases', manifests=cluster)
    assert '-' in answer(0, 'matrix', '-n', 'shop', '--port', '5432', manifests=cluster).splitlines()[1].split()[2]
    rules = written(folder, 'rules.yaml', 'expectations: [{from: shop/backend, to: shop/db, port: 5432, verdict: deny}]\n')
    assert '1 passed, 0 failed' in answer(0, 'test', '-f', rules, manifests=cluster)
    # What is not done is said, and what the API leaves open.
    twin = written(folder, 'twin.yaml', CLUSTER_POLICIES.replace('name: databases', 'name: twin'))
    assert 'note: ClusterNetworkPolicy twin: tier Admin and priority 10 are also those of databases' in answer(
        0, 'matrix', manifests=(*cluster, twin))
    names = written(folder, 'names.yaml', CLUSTER_POLICIES.replace('ingress:', 'egress:').replace('from:', 'to:').replace(
        'namespaces: {}', 'domainNames: [example.com]'))
    text = answer(0, 'matrix', manifests=(SHOP, names))
    assert 'peers by domain names are not supported; the rule denies everything' in text, text

    def bad(old, new):
        return refused('matrix', manifests=[SHOP, written(folder, 'bad.yaml', CLUSTER_POLICIES.replace(old, new))])
    assert 'spec.priority: Invalid value: 1001: should be less than or equal to 1000' in bad('priority: 10', 'priority: 1001')
    assert 'should have exactly 1 of namespaces, pods' in bad('{namespaces: {}}', '{namespaces: {}, pods: {podSelector: {}}}')
    assert 'unknown field "spec.ingress[1].form"' in bad('action: Deny, from:', 'action: Deny, form:')
    assert 'nor a NetworkPolicy in namespace default' in refused('diff', '--delete', 'nothing')


def test_expectations(folder):
    report = os.path.join(folder, 'report.xml')
    assert '6 passed, 0 failed' in answer(0, 'test', '-f', EXPECTATIONS, '--junit', report)
    suite = xml.parse(report).getroot().find('testsuite')
    assert (suite.get('tests'), suite.get('failures')) == ('6', '0')
    wrong = written(folder, 'wrong.yaml', 'expectations:\n'
                    '- {name: "a & b", from: shop/frontend, to: shop/db, port: 5432, verdict: allow}\n'
                    '- {from: shop/frontend, to: shop/backend, port: 80, verdict: deny}\n')
    text = answer(1, 'test', '-f', wrong, '--junit', report)
    assert 'denied by ingress isolated by shop/db, shop/deny-all' in text and '0 passed, 2 failed' in text, text
    cases = xml.parse(report).getroot().find('testsuite').findall('testcase')
    assert cases[0].get('name') == 'a & b' and cases[0].find('failure') is not None

    def bad(text):
        return refused('test', '-f', written(folder, 'bad.yaml', text))
    assert 'expectations[0]: there is no field "form"' in bad('expectations: [{form: shop/db}]')
    assert 'verdict: allow or deny' in bad('expectations: [{from: shop/db, to: shop/frontend, port: 1, verdict: alow}]')
    assert 'no Pod is selected' in bad(
        'expectations: [{from: {labels: {app: gone}}, to: shop/db, port: 1, verdict: deny}]')
    assert 'either port or ports' in bad('expectations: [{from: shop/db, to: shop/frontend, verdict: deny}]')
    assert 'a list "expectations"' in bad('- 1')
    assert 'expects nothing' in bad('expectations: []')


def test_manifests_that_an_api_server_would_refuse(folder):
    def bad(text):
        return refused('matrix', manifests=[SHOP, written(folder, 'bad.yaml', text)])
    assert 'unknown field "spec.podSeletor"' in bad(new_policy('{podSeletor: {}}'))
    assert 'spec.ingress[0].from[0]' in bad(new_policy('{podSelector: {}, ingress: [{from: [{}]}]}'))
    assert 'ipBlock.cidr' in bad(new_policy('{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.1/8}}]}]}'))
    assert 'is there twice' in bad(new_policy('{podSelector: {}}', name='db'))
    assert 'line ' in bad('a: [')
    assert 'No such file' in refused('matrix', manifests=[os.path.join(folder, 'absent.yaml')])


class Api:
    """The embedded API server, spoken to as a client of its kubeconfig."""

    def __init__(self, kubeconfig):
        text = open(kubeconfig).read()

        def find(field):
            return re.search(field + r': "?([^"\s]+)', text).group(1)
        self.server, self.token = find('server'), find('token')
        self.tls = ssl.create_default_context(cadata=base64.b64decode(find('certificate-authority-data')).decode())

    def send(self, method, path, body):
        request = urllib.request.Request(self.server + path, method=method, data=json.dumps(body).encode(),
                                         headers={'Authorization': f'Bearer {self.token}', 'Content-Type': 'application/json'})
        with urllib.request.urlopen(request, context=self.tls, timeout=60) as answer:
            return json.load(answer)

    def pod(self, name, ip):
        pods = '/api/v1/namespaces/default/pods'
        pod = self.send('POST', pods, {'metadata': {'name': name, 'labels': {'app': name}},
                                       'spec': {'containers': [{'name': 'c', 'image': 'i'}]}})
        pod['status'] = {'phase': 'Running', 'podIP': ip, 'podIPs': [{'ip': ip}]}
        self.send('PUT', f'{pods}/{name}/status', pod)


def test_a_cluster(folder):
    server = ApiServer(CAUSEWAY)
    try:
        api = Api(server.kubeconfig)
        api.pod('web', '10.1.0.1')
        api.pod('db', '10.1.0.2')
        api.send('POST', '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies', {
            'metadata': {'name': 'db'},
            'spec': {'podSelector': {'matchLabels': {'app': 'db'}},
                     'ingress': [{'from': [{'ipBlock': {'cidr': '10.1.0.1/32'}}], 'ports': [{'port': 5432}]}]}})
        where = ['--kubeconfig', server.kubeconfig]
        assert 'allowed: NetworkPolicy default/db ingress[0]' in answer(0, 'explain', 'web', 'db:5432', *where, manifests=[])
        answer(1, 'explain', 'web', 'default/db:80', *where, manifests=[])
        more = written(folder, 'more.yaml', new_policy('{podSelector: {}}').replace('shop', 'default'))
        assert answer(1, 'diff', '-f', more, *where, manifests=[]).startswith('closes '), 'web is isolated now'
        api.send('POST', '/api/v1/namespaces/default/services',
                 {'metadata': {'name': 'db'}, 'spec': {'clusterIP': '10.96.0.77', 'ports': [{'port': 5432}]}})
        assert 'Service default/db' in refused('explain', 'web', '10.96.0.77:5432', *where, manifests=[])
    finally:
        server.stop()
    assert 'no-such-lab' in refused('matrix', '--lab', 'no-such-lab', manifests=[])


def main():
    tests = [test for name, test in globals().items() if name.startswith('test_')]
    failed = 0
    for test in tests:
        with tempfile.TemporaryDirectory() as folder:
            try:
                test(folder)
            except AssertionError as error:
                failed += 1
                print(f'FAILED {test.__name__}: {error}')
    print(f'{len(tests) - failed} passed, {failed} failed')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
