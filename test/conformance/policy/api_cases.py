"""Upstream's cases that ask the API alone: which verbs NetworkPolicies have, and what endPort must be."""
import json
import urllib.request

import lab

GROUP = '/apis/networking.k8s.io'
PATH = f'{GROUP}/v1/namespaces/default/networkpolicies'
MINE = '?labelSelector=special-label%3Dconformance'


def want(condition, what):
    if not condition:
        raise AssertionError(what)


def policy(**spec):
    return {'apiVersion': 'networking.k8s.io/v1', 'kind': 'NetworkPolicy',
            'metadata': {'generateName': 'e2e-example-netpol', 'labels': {'special-label': 'conformance'}},
            'spec': {'podSelector': {'matchLabels': {'pod-name': 'test-pod'}}, **spec}}


def watch(one, path, version, question):
    """Events of a watch from `version` until `question` holds of one; each must say that an object was modified."""
    request = urllib.request.Request(f'{one.server}{path}{MINE}&watch=true&resourceVersion={version}',
                                     headers={'Authorization': f'Bearer {one.token}'})
    with urllib.request.urlopen(request, context=one.tls, timeout=30 * lab.PATIENCE) as events:
        for line in events:
            event = json.loads(line)
            want(event['type'] == 'MODIFIED', f'the watch of {path} tells of {event["type"]}, not MODIFIED')
            if question(event['object']):
                return
    raise AssertionError(f'the watch of {path} ended before it told of the change')


def verbs(one):
    want(any(group['name'] == 'networking.k8s.io' and any(version['version'] == 'v1' for version in group['versions'])
             for group in one.api('GET', '/apis')['groups']), '/apis does not list networking.k8s.io/v1')
    want(any(version['version'] == 'v1' for version in one.api('GET', GROUP)['versions']), f'{GROUP} does not list v1')
    want(any(resource['name'] == 'networkpolicies' for resource in one.api('GET', f'{GROUP}/v1')['resources']), f'{GROUP}/v1: no networkpolicies')
    body = policy(policyTypes=['Ingress'], ingress=[{'from': [{'podSelector': {'matchLabels': {'pod-name': 'client-a'}},
                                                               'namespaceSelector': {'matchLabels': {'ns-name': 'pod-b'}}}]}])
    name = [one.api('POST', PATH, body)['metadata'] for _ in range(3)][2]['name']
    uid = one.api('GET', f'{PATH}/{name}')['metadata']['uid']
    listed = one.api('GET', PATH + MINE)
    want(len(listed['items']) == 3 and uid in [item['metadata']['uid'] for item in listed['items']], 'the list has not the three')
    want(len(one.api('GET', f'{GROUP}/v1/networkpolicies{MINE}')['items']) == 3, 'the list of all namespaces has not the three')
    patched = one.api('PATCH', f'{PATH}/{name}', {'metadata': {'annotations': {'patched': 'true'}}}, 'application/merge-patch+json')
    want(patched['metadata']['annotations'].get('patched') == 'true', 'the patch is not in what it answers')
    patched['metadata']['annotations']['updated'] = 'true'
    updated = one.api('PUT', f'{PATH}/{name}', patched)
    want(updated['metadata']['annotations'].get('updated') == 'true', 'the update is not in what it answers')
    for path in (PATH, f'{GROUP}/v1/networkpolicies'):
        watch(one, path, listed['metadata']['resourceVersion'],
              lambda seen: {'patched', 'updated'} <= (seen['metadata'].get('annotations') or {}).keys())
    one.api('DELETE', f'{PATH}/{name}')
    try:
        one.api('GET', f'{PATH}/{name}')
        raise AssertionError('a deleted policy is still there')
    except lab.ApiError as error:
        want(error.code == 404, str(error))
    want(len(one.api('GET', PATH + MINE)['items']) == 2, 'the list has not the two that stay')
    one.api('DELETE', PATH + MINE)
    want(not one.api('GET', PATH + MINE)['items'], 'deletecollection left something')


def end_port(one):
    for ports, good in (({'endPort': 20000}, False), ({'port': 'serve-80', 'endPort': 20000}, False), ({'port': 30000, 'endPort': 20000}, False),
                        ({'port': 20000, 'endPort': 20000}, True), ({'port': 10000, 'endPort': 20000}, True)):
        try:
            one.api('POST', PATH, policy(policyTypes=['Egress'], egress=[{'ports': [ports]}]))
            want(good, f'ports {ports} were accepted')
        except lab.ApiError as error:
            want(not good and error.code == 422, f'ports {ports}: {error}')
    one.api('DELETE', PATH + MINE)
    want(not one.api('GET', PATH + MINE)['items'], 'deletecollection left something')
