"""policy_test.py CAUSEWAY [PLANE]: NetworkPolicies of the API, enforced in a lab of two nodes."""
import sys

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


try:
    one.up()
    lab.main(sys.modules[__name__])
finally:
    one.__exit__()
