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
