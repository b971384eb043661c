#!/usr/bin/env python3
"""ctest `cluster_rights`: on the real kube-apiserver the rights of deploy/*.yaml suffice, are no more than that, and an
agent that lacks one says which, keeps asking and connects no Pod.

usage: alone.sh rights_test.py CAUSEWAY
"""
import json
import shutil
import subprocess
import sys
import time

from kubernetes import AGENT, ROOT, ApiError, Kubernetes, until
from node import CONFLIST, Program, agent, cni, main, mount_account, page, wait_ready, wait_unready

api = None
CONTROLLER = 'system:serviceaccount:causeway:causeway-controller'


def become(account, node='node-1', pod=None):
    mount_account(api.token_of(account, node, pod or f'{account}-{time.monotonic_ns()}'), api.ca.read_text())


def fresh():
    """As a node that was just booted."""
    shutil.rmtree('/run/causeway', ignore_errors=True)
    shutil.rmtree('/sys/fs/bpf/causeway', ignore_errors=True)
    for left in CONFLIST.parent.glob('*.conf*'):  # also of a test that failed
        left.unlink()


def without(role, resource, *verbs):
    """Takes verbs of one resource out of the agent's ClusterRole; returns what puts them back."""
    path = f'/apis/rbac.authorization.k8s.io/v1/clusterroles/{role}'
    rules = api.ask('GET', path)['rules']
    less = json.loads(json.dumps(rules))
    for rule in less:
        if rule['resources'] == [resource]:
            rule['verbs'] = [v for v in rule['verbs'] if v not in verbs]
    api.patch(path, {'rules': [r for r in less if r['verbs']]})
    return lambda: api.patch(path, {'rules': rules})


def test_the_manifests_are_what_a_real_api_server_takes():
    global api
    api = Kubernetes()
    for name in ('causeway.yaml', 'controller.yaml'):
        done = api.kubectl('apply', '--server-side', '-f', ROOT / 'deploy' / name)
        assert not done.stderr, done.stderr
    api.kubectl('get', '--namespace', 'causeway', 'daemonset/causeway-agent', 'deployment/causeway-controller', 'configmap/causeway')
    # The policy's expressions are checked against the types of the API by the server.
    api.make_node('node-1', '10.77.0.1')
    api.make_node('node-2', '10.77.0.2')


def test_the_controller_gives_pod_cidrs_with_its_rights():
    become('causeway-controller')
    arguments = ['--controllers=node-ipam-controller', '--allocate-node-cidrs', '--leader-elect', '--leader-elect-lease=causeway/causeway-controller']
    # Each is process 1 on the host node-1, as Pods of one node are.
    container = ['unshare', '--pid', '--fork', '--kill-child']
    with Program('controller', *arguments, wrapper=container) as first:
        until('podCIDRs', 20, lambda: all(api.ask('GET', f'/api/v1/nodes/{n}')['spec'].get('podCIDRs') for n in ('node-1', 'node-2')), first.text)
        with Program('controller', *arguments, '--observe=127.0.0.1:9472', wrapper=container) as second:
            until('the second asked for the Lease', 20, lambda: api.summary(CONTROLLER)['get leases 200'] > 4)
            assert 'leads' not in second.text()
            first.kill()
            second.says('leads', 40)
            api.make_node('node-3', '10.77.0.3')
            until('podCIDRs', 20, lambda: api.ask('GET', '/api/v1/nodes/node-3')['spec'].get('podCIDRs'), second.text)
    assert not [k for k in api.summary(CONTROLLER) if k.endswith(' 403')], api.summary(CONTROLLER)


def test_the_agent_does_all_its_work_with_its_rights():
    become('causeway-agent')
    with agent() as program:
        wait_ready()
        until('condition', 10, lambda: api.condition('node-1') == ('False', 'CausewayIsUp', 'causeway connects the Pods of this node'))
        assert CONFLIST.exists()
        # Something for an Event.
        other = CONFLIST.with_name('00-other.conf')
        other.write_text('{}')
        until('an Event', 20, lambda: any(e[1] == 'OtherNetworkConfiguration' for e in api.events('node-1')), program.text)
        until('condition', 10, lambda: '00-other.conf' in api.condition('node-1')[2], program.text)
        wait_unready('00-other.conf')
        other.unlink()
        wait_ready()
        until('condition', 10, lambda: api.condition('node-1')[2] == 'causeway connects the Pods of this node')
        assert 'forbidden' not in program.text(), program.text()
    assert not [k for k in api.summary(AGENT) if k.endswith(' 403')], api.summary(AGENT)


def refused(method, path, body=None, kind='application/merge-patch+json'):
    token = open('/run/secrets/kubernetes.io/serviceaccount/token').read()
    try:
        api.ask(method, path, body, kind, token)
    except ApiError as error:
        assert error.code in (403, 422), error
        return str(error)
    raise AssertionError(f'{method} {path} was not refused')


def reservation(address, pod, node, name=None):
    return {'kind': 'AddressReservation', 'apiVersion': 'causeway.io/v1alpha1', 'metadata': {'name': name or address.replace(':', '-')},
            'spec': {'address': address, 'podNamespace': 'default', 'podName': pod, 'nodeName': node}}


def test_the_agent_may_claim_addresses_for_its_own_node():
    become('causeway-agent')
    path, kind = '/apis/causeway.io/v1alpha1/addressreservations', 'application/json'
    token = open('/run/secrets/kubernetes.io/serviceaccount/token').read()
    for address in ('10.244.1.7', 'fd10:244::7'):
        made = api.ask('POST', path, reservation(address, 'db-0', 'node-1'), kind, token)
        api.ask('PUT', f'{path}/{made["metadata"]["name"]}', made, kind, token)
    assert 'its own Node only' in refused('POST', path, reservation('10.244.1.8', 'db-0', 'node-2'), kind)
    assert 'named after the address' in refused('POST', path, reservation('10.244.1.8', 'db-0', 'node-1', 'other'), kind)
    assert 'canonical form' in refused('POST', path, reservation('10.244.01.8', 'db-0', 'node-1'), kind)
    made['spec']['podName'] = 'db-1'
    assert 'cannot be changed' in refused('PUT', f'{path}/{made["metadata"]["name"]}', made, kind)
    refused('DELETE', f'{path}/10.244.1.7')


# As the Network Plumbing Working Group's, with what we read of it.
DEFINITIONS = {'apiVersion': 'apiextensions.k8s.io/v1', 'kind': 'CustomResourceDefinition',
               'metadata': {'name': 'network-attachment-definitions.k8s.cni.cncf.io'}, 'spec': {
                   'group': 'k8s.cni.cncf.io', 'scope': 'Namespaced', 'names': {
                       'plural': 'network-attachment-definitions', 'singular': 'network-attachment-definition',
                       'kind': 'NetworkAttachmentDefinition', 'shortNames': ['net-attach-def']},
                   'versions': [{'name': 'v1', 'served': True, 'storage': True, 'schema': {'openAPIV3Schema': {
                       'type': 'object', 'properties': {'spec': {'type': 'object', 'properties': {'config': {'type': 'string'}}}}}}}]}}
STATUS = 'k8s.v1.cni.cncf.io/network-status'


def make_pod(name, node, **annotations):
    return api.ask('POST', '/api/v1/namespaces/default/pods', {
        'apiVersion': 'v1', 'kind': 'Pod', 'metadata': {'name': name, 'annotations': annotations}, 'spec': {
            'nodeName': node, 'automountServiceAccountToken': False, 'containers': [{'name': 'c', 'image': 'none'}]}})['metadata']['uid']


def test_the_agent_reads_definitions_of_networks_and_tells_the_pods_of_its_own_node():
    fresh()
    become('causeway-agent')
    uid = make_pod('mine', 'node-1', **{'k8s.v1.cni.cncf.io/networks': 'store', 'a': 'b'})
    make_pod('other', 'node-2')
    pod = dict(K8S_POD_NAMESPACE='default', K8S_POD_NAME='mine', K8S_POD_UID=uid)
    subprocess.run(['ip', 'netns', 'add', 'mine'], check=True)
    with agent() as program:
        wait_ready()
        # The kind is not there, then the definition is not; both are told to the Pod.
        for what in (DEFINITIONS, None):
            code, answer = cni('ADD', 'mine', '/run/netns/mine', **pod)
            assert code != 0 and 'there is no NetworkAttachmentDefinition default/store' in json.dumps(answer), answer
            if what:
                api.ask('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', what)
                until('the kind', 20, lambda: any(c['type'] == 'Established' and c['status'] == 'True' for c in api.ask(
                    'GET', f'/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{what["metadata"]["name"]}')['status']['conditions']))
        until('an Event', 20, lambda: any(e[1] == 'NetworkAttachmentFailed' for e in api.events('mine')), program.text)
        path = '/apis/k8s.cni.cncf.io/v1/namespaces/default/network-attachment-definitions'
        until('the kind served', 20, lambda: api.ask('POST', path, {
            'apiVersion': 'k8s.cni.cncf.io/v1', 'kind': 'NetworkAttachmentDefinition', 'metadata': {'name': 'store'}, 'spec': {
                'config': json.dumps({'cniVersion': '1.0.0', 'type': 'macvlan', 'master': 'eth0', 'ipam': {
                    'type': 'host-local', 'subnet': '192.0.2.0/24'}})}}))
        code, answer = cni('ADD', 'mine', '/run/netns/mine', **pod)
        assert code == 0, answer
        told = until(STATUS, 10, lambda: api.ask('GET', '/api/v1/namespaces/default/pods/mine')['metadata']['annotations'].get(STATUS),
                     program.text)
        main_network, store = json.loads(told)
        assert main_network['default'] and store['name'] == 'default/store' and store['ips'] == ['192.0.2.2'], told
        assert 'net1' in subprocess.run(['ip', '-n', 'mine', '-o', 'link'], check=True, text=True, stdout=subprocess.PIPE).stdout
        assert cni('DEL', 'mine', '/run/netns/mine', **pod)[0] == 0
        assert 'net1' not in subprocess.run(['ip', '-n', 'mine', '-o', 'link'], check=True, text=True, stdout=subprocess.PIPE).stdout
        assert 'forbidden' not in program.text(), program.text()
    subprocess.run(['ip', 'netns', 'del', 'mine'], check=True)
    annotation = {'metadata': {'annotations': {STATUS: '[]'}}}
    mine, other = (f'/api/v1/namespaces/default/pods/{name}' for name in ('mine', 'other'))
    assert 'its own Node only' in refused('PATCH', f'{other}/status', annotation)
    assert 'not write the status' in refused('PATCH', f'{mine}/status', {'status': {'message': 'x'}})
    for more in ({'annotations': {'a': 'c'}}, {'annotations': {'a': None}}, {'annotations': {'c': 'd'}}, {'labels': {'c': 'd'}}):
        assert 'network-status of a Pod only' in refused('PATCH', f'{mine}/status', {'metadata': more}), more
    api.patch(f'{mine}/status', annotation, token=open('/run/secrets/kubernetes.io/serviceaccount/token').read())
    refused('PATCH', mine, annotation)
    refused('GET', path)


# As network-policy-api's, with nothing of its schema.
POLICIES = {'apiVersion': 'apiextensions.k8s.io/v1', 'kind': 'CustomResourceDefinition',
            'metadata': {'name': 'clusternetworkpolicies.policy.networking.k8s.io',
                         'annotations': {'api-approved.kubernetes.io': 'https://github.com/kubernetes-sigs/network-policy-api/pull/347'}}, 'spec': {
                'group': 'policy.networking.k8s.io', 'scope': 'Cluster', 'names': {
                    'plural': 'clusternetworkpolicies', 'singular': 'clusternetworkpolicy', 'kind': 'ClusterNetworkPolicy', 'shortNames': ['cnp']},
                'versions': [{'name': 'v1alpha2', 'served': True, 'storage': True, 'schema': {'openAPIV3Schema': {
                    'type': 'object', 'x-kubernetes-preserve-unknown-fields': True}}}]}}


def test_the_agent_enforces_cluster_policies_from_when_their_kind_is_installed_until_it_goes():
    fresh()
    become('causeway-agent')
    path, crds = '/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
    with agent() as program:
        wait_ready()
        program.says('the API server has no ClusterNetworkPolicies')
        assert not [k for k in api.summary(AGENT) if 'clusternetworkpolicies' in k], api.summary(AGENT)
        api.ask('POST', crds, POLICIES)
        program.says('the API server has ClusterNetworkPolicies: they are watched and enforced', 60)
        until('the kind served', 20, lambda: api.ask('POST', path, {
            'apiVersion': 'policy.networking.k8s.io/v1alpha2', 'kind': 'ClusterNetworkPolicy', 'metadata': {'name': 'later'}, 'spec': {
                'tier': 'Admin', 'priority': 1, 'subject': {'namespaces': {}}, 'ingress': [{'action': 'Accept', 'from': [{'fromLater': {}}]}]}}))
        until('the policy', 20, lambda: 'later' in page('/policy')[1] and 'no field is set that is known here' in page('/policy')[1], program.text)
        until('an Event', 20, lambda: any(e[1] == 'NotFullyEnforced' for e in api.events('later')), program.text)
        api.ask('DELETE', f'{crds}/{POLICIES["metadata"]["name"]}')
        program.says('the API server has no ClusterNetworkPolicies any more', 90)
        assert 'later' not in page('/policy')[1]
        assert 'forbidden' not in program.text(), program.text()
        wait_ready()


def test_the_agent_may_not_do_more():
    become('causeway-agent')
    condition = {'status': {'conditions': [{'type': 'NetworkUnavailable', 'status': 'True', 'reason': 'x', 'message': 'x'}]}}
    strategic = 'application/strategic-merge-patch+json'
    assert 'its own Node only' in refused('PATCH', '/api/v1/nodes/node-2/status', condition, strategic)
    assert 'conditions only' in refused('PATCH', '/api/v1/nodes/node-1/status', {'status': {'addresses': []}})
    api.patch('/api/v1/nodes/node-1/status', {'status': {'conditions': [{'type': 'Mine', 'status': 'True'}]}}, 'strategic-merge',
              token=open('/run/secrets/kubernetes.io/serviceaccount/token').read())
    refused('PATCH', '/api/v1/nodes/node-1', {'metadata': {'labels': {'a': 'b'}}})
    refused('GET', '/api/v1/secrets')
    refused('GET', '/api/v1/namespaces/kube-system/configmaps')
    refused('POST', '/api/v1/namespaces/default/pods', {'kind': 'Pod', 'apiVersion': 'v1'}, 'application/json')
    refused('DELETE', '/api/v1/nodes/node-2')


def test_an_agent_that_may_not_see_pods_says_so_and_connects_none():
    fresh()
    become('causeway-agent')
    restore = without('causeway-agent', 'pods', 'list', 'watch')
    with agent() as program:
        wait_unready('pods is forbidden: User "system:serviceaccount:causeway:causeway-agent" cannot')
        assert 'resource "pods"' in page('/readyz')[1]
        program.says('cannot')
        until('condition True', 40, lambda: (api.condition('node-1') or '?')[0] == 'True', program.text)
        assert not CONFLIST.exists() and program.alive()
        restore()
        wait_ready(60)
        until('condition False', 20, lambda: api.condition('node-1')[0] == 'False')
        assert CONFLIST.exists()


def test_an_agent_that_may_not_see_nodes_says_so_and_connects_no_pod():
    fresh()
    become('causeway-agent')
    restore = without('causeway-agent', 'nodes', 'list', 'watch')
    with agent() as program:
        wait_unready('resource "nodes"')
        program.says('nodes is forbidden')
        assert not CONFLIST.exists() and program.alive()
        restore()
        wait_ready(60)


def test_an_agent_that_may_not_write_the_condition_says_so_and_connects_pods():
    fresh()
    become('causeway-agent')
    api.patch('/api/v1/nodes/node-1/status', {'status': {'conditions': []}})
    restore = without('causeway-agent', 'nodes/status', 'patch')
    with agent():
        wait_unready('cannot patch resource "nodes/status"')
        assert CONFLIST.exists()
        assert api.condition('node-1') is None
        restore()
        wait_ready(90)
        assert api.condition('node-1')[0] == 'False'


def test_an_agent_that_may_not_write_events_says_so_once_and_connects_pods():
    fresh()
    become('causeway-agent')
    restore = without('causeway-agent', 'events', 'create')
    for name in ('00-other.conf', '01-other.conf'):
        CONFLIST.with_name(name).write_text('{}')
    with agent() as program:
        program.says('Events cannot be written')
        assert 'cannot create resource "events"' in program.text()
        CONFLIST.with_name('00-other.conf').unlink()
        program.says('01-other.conf')
        CONFLIST.with_name('01-other.conf').unlink()
        wait_ready()
        assert program.text().count('Events cannot be written') == 1
    restore()


if __name__ == '__main__':
    main(sys.modules[__name__])
