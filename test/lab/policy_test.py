"""policy_test.py CAUSEWAY [PLANE]: policies of the API, enforced in a lab of two nodes."""
import subprocess
import sys
import tempfile

import lab
from lab import until

PLANE = sys.argv[2] if len(sys.argv) > 2 else 'bpf'
POLICIES = '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies'
one = lab.Lab(f'policy-{PLANE}', '--nodes', '2', '--plane', PLANE, '--ip-family', 'dual')


def address(pod, family=4):
    found = [entry['ip'] for entry in one.pod(pod)['status']['podIPs'] if (':' in entry['ip']) == (family == 6)]
    return found[0] if family == 4 else f'[{found[0]}]'


def reaches(place, pod, family=4):
    answer = one.exec(place, 'causeway', 'workload', 'connect', '--timeout', '500', f'{address(pod, family)}:8080', check=False)
    return answer.returncode == 0 and pod in answer.stdout


def policy(name, spec):
    try:
        one.api('DELETE', f'{POLICIES}/{name}')
    except lab.ApiError as error:
        assert error.code == 404
    if spec is not None:
        one.api('POST', POLICIES, {'apiVersion': 'networking.k8s.io/v1', 'kind': 'NetworkPolicy', 'metadata': {'name': name}, 'spec': spec})


def settle(wanted):
    """Until every pair is as wanted: changes reach the nodes by their watches."""
    for (place, pod), allowed in wanted.items():
        for family in (4, 6):
            until(f'{place} to {pod} by IPv{family}: {"allowed" if allowed else "denied"}', 20,
                  lambda: reaches(place, pod, family) == allowed)


def test_deny_all_then_allow_one():
    for name, node in (('server', 'node-1'), ('near', 'node-1'), ('far', 'node-2')):
        one.create_pod(name, labels={'app': name}, nodeName=node)
    for name in ('server', 'near', 'far'):
        one.wait_ready(name)
    settle({('near', 'server'): True, ('far', 'server'): True, ('node-2', 'server'): True})
    policy('deny', {'podSelector': {}, 'policyTypes': ['Ingress']})
    settle({('near', 'server'): False, ('far', 'server'): False, ('node-2', 'server'): False, ('node-1', 'server'): True})
    policy('allow', {'podSelector': {'matchLabels': {'app': 'server'}}, 'ingress': [
        {'from': [{'podSelector': {'matchLabels': {'app': 'far'}}}], 'ports': [{'port': 8080}]}]})
    settle({('far', 'server'): True, ('near', 'server'): False, ('server', 'near'): False})
    # A label makes the difference.
    one.api('PATCH', '/api/v1/namespaces/default/pods/near', {'metadata': {'labels': {'app': 'far'}}},
            content_type='application/merge-patch+json')
    settle({('near', 'server'): True})


def test_a_new_pod_is_judged_before_it_is_there():
    one.create_pod('late', labels={'app': 'late'}, nodeName='node-1')
    one.wait_ready('late')
    assert not reaches('far', 'late') and not reaches('near', 'late')
    assert reaches('node-1', 'late')


def test_what_the_node_holds_can_be_looked_at():
    page = one.exec('node-1', 'curl', '-s', '--unix-socket', '/run/causeway/observe.sock', 'http://x/policy').stdout
    assert 'kernel: holds just this' in page and 'default/deny' in page, page
    metrics = one.exec('node-1', 'curl', '-s', '--unix-socket', '/run/causeway/observe.sock', 'http://x/metrics').stdout
    assert 'causeway_policy_rows{table="sets"}' in metrics, metrics


def test_without_policies_all_is_open_again():
    for name in ('deny', 'allow'):
        policy(name, None)
    settle({('far', 'late'): True, ('near', 'server'): True, ('server', 'near'): True})


CLUSTER_POLICY = """apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {{name: {name}}}
spec:
  tier: {tier}
  priority: {priority}
  subject: {{pods: {{podSelector: {{matchLabels: {{app: server}}}}}}}}
  ingress:
  - {{name: of {name}, action: {action}, from: [{{namespaces: {{}}}}]{ports}}}
"""
PORT = ', protocols: [{tcp: {destinationPort: {number: 8080}}}]'


def apply(text):
    """As people apply: by kubectl where ./dev peers built it, else by the lab's own apply, which merges likewise."""
    found = subprocess.run([lab.ROOT / 'tools/dev/peer-path', 'kubectl-1.36'], capture_output=True, text=True)
    with tempfile.NamedTemporaryFile('w', suffix='.yaml') as file:
        file.write(text)
        file.flush()
        if found.returncode == 0:
            with tempfile.NamedTemporaryFile('w') as config:
                config.write(lab.run('lab', 'kubeconfig', '--name', one.name).stdout)
                config.flush()
                done = subprocess.run([found.stdout.strip(), '--kubeconfig', config.name, 'apply', '-f', file.name], capture_output=True, text=True)
        else:
            done = lab.run('lab', 'apply', '--name', one.name, '-f', file.name, check=False)
    return done.returncode, done.stdout + done.stderr


def applied(name, tier, priority, action, ports=''):
    code, text = apply(CLUSTER_POLICY.format(name=name, tier=tier, priority=priority, action=action, ports=ports))
    assert code == 0, text


def cluster_policy(method, name, body=None):
    return one.api(method, f'/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies/{name}', body,
                   content_type='application/merge-patch+json')


def test_policies_of_the_cluster_come_before_and_after_those_of_namespaces():
    applied('base', 'Baseline', 0, 'Deny')
    settle({('far', 'server'): False, ('node-2', 'server'): True, ('node-1', 'server'): True, ('far', 'late'): True})
    policy('allow', {'podSelector': {'matchLabels': {'app': 'server'}}, 'ingress': [{'from': [{'podSelector': {}}]}]})
    settle({('far', 'server'): True, ('near', 'server'): True, ('node-2', 'server'): False})
    applied('admin', 'Admin', 10, 'Deny', PORT)
    settle({('far', 'server'): False, ('near', 'server'): False})
    applied('first', 'Admin', 5, 'Pass', PORT)
    settle({('far', 'server'): True})
    applied('first', 'Admin', 15, 'Pass', PORT)
    settle({('far', 'server'): False})
    cluster_policy('DELETE', 'admin')
    settle({('far', 'server'): True})
    text = lab.run('policy', 'explain', '--lab', one.name, 'far', 'server:8080').stdout
    assert 'ClusterNetworkPolicy first ingress[0] "of first" passes it on; NetworkPolicy default/allow ingress[0]' in text, text


def test_what_is_not_done_of_one_is_said_on_it():
    applied('names', 'Admin', 900, 'Deny')
    made = cluster_policy('PATCH', 'names', {'spec': {'ingress': None, 'egress': [
        {'action': 'Accept', 'to': [{'domainNames': ['example.com']}]}]}})
    assert made['metadata']['generation'] == 2, made
    events = '/api/v1/namespaces/default/events?fieldSelector=involvedObject.name=names'
    told = until('an Event', 30, lambda: one.api('GET', events)['items'])
    assert told[0]['reason'] == 'NotFullyEnforced' and 'domain names are not supported' in told[0]['message'], told
    assert told[0]['involvedObject']['uid'] == made['metadata']['uid'], told
    code, text = apply(CLUSTER_POLICY.format(name='bad', tier='Admin', priority=1001, action='Deny', ports=''))
    assert code != 0 and 'spec.priority: Invalid value: 1001: should be less than or equal to 1000' in text, (code, text)
    code, text = apply(CLUSTER_POLICY.format(name='bad', tier='Admin', priority=1, action='Deny', ports=', protocol: []'))
    assert code != 0 and 'unknown field "spec.ingress[0].protocol"' in text, (code, text)


def refused(name, spec):
    """What the API says of it; it must not be stored."""
    try:
        one.api('POST', POLICIES, {'apiVersion': 'networking.k8s.io/v1', 'kind': 'NetworkPolicy', 'metadata': {'name': name}, 'spec': spec})
    except lab.ApiError as error:
        assert error.code == 422, error
        return str(error)
    raise AssertionError(f'{name} was stored: {spec}')


def blocks(*wanted):
    return [{'ipBlock': {'cidr': cidr, **({'except': without} if without else {})}} for cidr, *without in wanted]


def late_admits(rules, wanted):
    """{(client, family): reached} under these ingress rules of a Pod that no other policy selects."""
    policy('odd', {'podSelector': {'matchLabels': {'app': 'late'}}, 'policyTypes': ['Ingress'], 'ingress': rules})
    for (place, family), reached in wanted.items():
        until(f'{rules}: {place} by IPv{family}: {reached}', 20, lambda: reaches(place, 'late', family) == reached)


def test_blocks_that_are_written_in_any_way_never_open_by_mistake():
    for cidr in ('10.0.0.1/8', '010.0.0.0/8', '::ffff:10.0.0.0/104', '10.0.0.0/33', '10.0.0.0'):
        assert 'ipBlock.cidr: Invalid value' in refused('odd', {'podSelector': {}, 'ingress': [{'from': blocks((cidr,))}]}), cidr
    assert 'must be a strict subset' in refused('odd', {'podSelector': {}, 'ingress': [{'from': blocks(('10.0.0.0/8', '0.0.0.0/0'))}]})
    # Everybody of one family, and nobody of the other.
    late_admits([{'from': blocks(('0.0.0.0/0',))}], {('far', 4): True, ('far', 6): False, ('node-2', 4): True, ('node-2', 6): False})
    # What takes everything away admits nobody.
    late_admits([{'from': blocks(('0.0.0.0/0', '0.0.0.0/1', '128.0.0.0/1'))}], {('far', 4): False, ('near', 4): False, ('node-1', 4): True})
    policy('odd', None)


def test_a_block_that_holds_pods_services_and_nodes_admits_them_by_what_they_are():
    made = one.api('POST', '/api/v1/namespaces/default/services', {'apiVersion': 'v1', 'kind': 'Service', 'metadata': {'name': 'odd'}, 'spec': {
        'selector': {'app': 'server'}, 'ports': [{'port': 80, 'targetPort': 8080}]}})
    service = made['spec']['clusterIP']
    first = int(address('server').split('.')[0]) & 0xf0
    assert int(service.split('.')[0]) & 0xf0 == first, (service, first)

    def by_service():
        return 'server' in one.exec('near', 'causeway', 'workload', 'connect', '--timeout', '500', f'{service}:80', check=False).stdout
    # An exception of the Service's address says nothing: its endpoint is what a connection gets.
    for without in ([], [f'{service}/32'], ['10.96.0.0/16']):
        policy('odd', {'podSelector': {}, 'policyTypes': ['Egress'], 'egress': [{'to': blocks((f'{first}.0.0.0/4', *without))}]})
        settle_one = {4: True, 6: False}
        for family, reached in settle_one.items():
            until(f'{without}: IPv{family}: {reached}', 20, lambda: reaches('near', 'server', family) == reached)
        until(f'{without}: the Service', 20, by_service)
    # Of the endpoint it says all.
    policy('odd', {'podSelector': {}, 'policyTypes': ['Egress'], 'egress': [{'to': blocks((f'{first}.0.0.0/4', f'{address("server")}/32'))}]})
    until('not the server', 20, lambda: not reaches('near', 'server'))
    assert not by_service() and reaches('near', 'late')
    policy('odd', None)
    one.api('DELETE', '/api/v1/namespaces/default/services/odd')


def test_absent_and_empty_lists_ports_without_protocol_and_thousands_of_values():
    yes, no = {('far', 4): True, ('far', 6): True}, {('far', 4): False, ('far', 6): False}
    late_admits([], no)
    late_admits([{}], yes)
    late_admits([{'from': [], 'ports': []}], yes)
    late_admits([{'ports': [{'port': 8080}]}], yes)  # TCP
    late_admits([{'ports': [{'protocol': 'UDP'}]}], no)
    late_admits([{'ports': [{}]}], yes)  # all of TCP
    late_admits([{'ports': [{'protocol': 'UDP', 'port': 8080}]}], no)
    late_admits([{'from': [{'podSelector': {}}]}], yes)
    assert 'must specify a peer' in refused('odd', {'podSelector': {}, 'ingress': [{'from': [{}]}]})
    values = [f'value-{i}' for i in range(3000)] + ['far']
    for operator, far in (('In', True), ('NotIn', False)):
        late_admits([{'from': [{'podSelector': {'matchExpressions': [{'key': 'app', 'operator': operator, 'values': values}]}}]}],
                      {('far', 4): far, ('server', 4): not far, ('server', 6): not far})
    policy('odd', None)


def test_no_policy_locks_the_node_out_of_its_own_pods():
    everything = {'tier': 'Admin', 'priority': 0, 'subject': {'namespaces': {}}, 'ingress': [{'action': 'Deny', 'from': [{'namespaces': {}}]}],
                  'egress': [{'action': 'Deny', 'to': [{'networks': ['0.0.0.0/0', '::/0']}]}]}
    one.api('POST', '/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies', {
        'apiVersion': 'policy.networking.k8s.io/v1alpha2', 'kind': 'ClusterNetworkPolicy', 'metadata': {'name': 'everything'}, 'spec': everything})
    policy('odd', {'podSelector': {}, 'policyTypes': ['Ingress', 'Egress']})
    settle({('far', 'server'): False, ('node-2', 'server'): False, ('node-1', 'server'): True})
    one.create_pod('probed', [{'ports': [{'containerPort': 8080}], 'readinessProbe': {'tcpSocket': {'port': 8080}, 'periodSeconds': 1}}], nodeName='node-2')
    one.wait_ready('probed')
    settle({('node-2', 'probed'): True, ('node-1', 'probed'): False})
    one.delete_pod('probed', 'default', 0)
    cluster_policy('DELETE', 'everything')
    # Nor its questions after the health of endpoints: those that another node may not ask serve whom policies admit.
    policy('odd', {'podSelector': {'matchLabels': {'app': 'server'}}, 'ingress': [{'from': [{'podSelector': {'matchLabels': {'app': 'far'}}}]}]})
    made = one.api('POST', '/api/v1/namespaces/default/services', {'apiVersion': 'v1', 'kind': 'Service', 'metadata': {
        'name': 'checked', 'annotations': {'service.causeway.io/health-check': 'tcp', 'service.causeway.io/health-check-interval': '100ms',
                                           'service.causeway.io/health-check-failures': '1'}}, 'spec': {
        'selector': {'app': 'server'}, 'ports': [{'port': 80, 'targetPort': 8080}]}})

    def page():
        return one.exec('node-2', 'curl', '-s', '--unix-socket', '/run/causeway/observe.sock', 'http://x/probes', check=False).stdout
    if PLANE == 'bpf':  # the plane that asks
        until('node-2 finds the endpoint unhealthy', 20, lambda: 'unhealthy' in page())
    until('the Service', 20, lambda: 'server' in one.exec(
        'far', 'causeway', 'workload', 'connect', '--timeout', '500', f'{made["spec"]["clusterIP"]}:80', check=False).stdout)
    one.api('DELETE', '/api/v1/namespaces/default/services/checked')
    policy('odd', None)
    settle({('far', 'server'): True})


def test_agents_that_come_back_know_them_before_they_open_anything():
    applied('admin', 'Admin', 10, 'Deny')
    cluster_policy('DELETE', 'first')
    settle({('far', 'server'): False})
    page = one.exec('node-1', 'curl', '-s', '--unix-socket', '/run/causeway/observe.sock', 'http://x/feed').stdout
    assert 'watch clusternetworkpolicies: 3 objects' in page, page
    one.kill('nodes/node-1/agent')
    for _ in range(5):
        assert not reaches('far', 'server')
    until('the agent back', 30, lambda: 'kernel: holds just this' in one.exec(
        'node-1', 'curl', '-s', '--unix-socket', '/run/causeway/observe.sock', 'http://x/policy', check=False).stdout)
    assert not reaches('far', 'server')
    for name in ('admin', 'base', 'names'):
        cluster_policy('DELETE', name)
    policy('allow', None)
    settle({('far', 'server'): True, ('node-2', 'server'): True})


try:
    one.up()
    lab.main(sys.modules[__name__])
finally:
    one.__exit__()
