"""Which endpoints: traffic policies, topology, terminating ones, affinity."""
import time

from semantics import semantic
from world import gets, reaches, until

TERMINATING = {'conditions': {'ready': False, 'serving': True, 'terminating': True}}
ENDED = {'conditions': {'ready': False, 'serving': False, 'terminating': True}}
NOT_READY = {'conditions': {'ready': False, 'serving': False, 'terminating': False}}


@semantic('internalTrafficPolicy Local: only endpoints of the node, else dropped')
def internal_local(w, f):
    service = w.service(f, internalTrafficPolicy='Local')
    w.endpoints(service, ['a1', 'a2'])
    w.settle()
    for client in (w.ca, w.node1):
        reaches(client, 'tcp', service.ip, 80, {'a1', 'a2'})
    for client in (w.cb, w.node2):
        gets(client, 'tcp', service.ip, 80, 'timeout')


@semantic('externalTrafficPolicy Local: only endpoints of the node, the source is kept, else dropped')
def external_local(w, f):
    service = w.service(f, type='LoadBalancer', externalTrafficPolicy='Local')
    vips = {node: w.vip(f, node) for node in ('node-1', 'node-2')}
    w.lab.api('PATCH', f'/api/v1/namespaces/default/services/{service.name}/status', {'status': {'loadBalancer': {
        'ingress': [{'ip': ip, 'ipMode': 'VIP'} for ip in vips.values()]}}}, 'application/merge-patch+json')
    w.endpoints(service, ['a1', 'a2'])
    w.settle()
    for ip, port in ((w.node_ips['node-1'][f], service.node_port), (vips['node-1'], 80)):
        reaches(w.outside, 'tcp', ip, port, {'a1', 'a2'})
        seen = w.outside.ask('tcp', host=ip, port=port)
        assert seen['peer'] == w.outside_ips[f], f'seen as {seen["peer"]}'
    gets(w.outside, 'tcp', w.node_ips['node-2'][f], service.node_port, 'timeout')
    gets(w.outside, 'tcp', vips['node-2'], 80, 'timeout')


@semantic('externalTrafficPolicy Local, short circuit: Pods and the node use every endpoint of the cluster')
def short_circuit(w, f):
    service = w.service(f, type='LoadBalancer', externalTrafficPolicy='Local')
    vip = w.vip(f)
    w.balance(service, vip)
    w.endpoints(service, ['a1', 'b1'])
    w.settle()
    for client in (w.ca, w.cb, w.node1, w.node2):
        reaches(client, 'tcp', vip, 80, {'a1', 'b1'})
    reaches(w.cb, 'tcp', w.node_ips['node-2'][f], service.node_port, {'a1', 'b1'})
    seen = w.cb.ask('tcp', host=vip, port=80)
    assert seen['peer'] == w.pod_ips['cb'][f], f'a Pod is seen as {seen["peer"]}'


@semantic('externalTrafficPolicy Local with no endpoint anywhere: refused')
def external_local_none(w, f):
    service = w.service(f, type='NodePort', externalTrafficPolicy='Local')
    w.settle()
    gets(w.outside, 'tcp', w.node_ips['node-1'][f], service.node_port, 'refused')


@semantic('terminating endpoints serve while none is ready, never beside a ready one')
def terminating(w, f):
    mixed, last, ended = (w.service(f) for _ in range(3))
    w.endpoints(mixed, ['a1', ('b1', TERMINATING), ('b2', NOT_READY)])
    w.endpoints(last, [('a1', TERMINATING), ('b1', TERMINATING), ('b2', NOT_READY)])
    w.endpoints(ended, [('a1', ENDED)])
    w.settle()
    for client in (w.ca, w.cb):
        reaches(client, 'tcp', mixed.ip, 80, {'a1'})
        reaches(client, 'tcp', last.ip, 80, {'a1', 'b1'})
        gets(client, 'tcp', ended.ip, 80, 'refused')


@semantic('externalTrafficPolicy Local: the node\'s terminating endpoints serve though others are ready elsewhere')
def terminating_local(w, f):
    service = w.service(f, type='NodePort', externalTrafficPolicy='Local')
    w.endpoints(service, [('a1', TERMINATING), 'b1'])
    w.settle()
    reaches(w.outside, 'tcp', w.node_ips['node-1'][f], service.node_port, {'a1'})
    reaches(w.outside, 'tcp', w.node_ips['node-2'][f], service.node_port, {'b1'})
    reaches(w.ca, 'tcp', service.ip, 80, {'b1'})


@semantic('trafficDistribution: zone and node hints, followed only when every endpoint has them and one matches')
def hints(w, f):
    zones = {'a1': {'forZones': [{'name': 'east'}]}, 'b1': {'forZones': [{'name': 'west'}]}}
    by_zone, by_node, partly, nowhere = (w.service(f, trafficDistribution='PreferSameZone') for _ in range(4))
    w.endpoints(by_zone, [(name, {'hints': hint}) for name, hint in zones.items()])
    w.endpoints(by_node, [(name, {'hints': {**hint, 'forNodes': [{'name': node}]}})
                          for (name, hint), node in zip(zones.items(), ('node-2', 'node-1'))])
    w.endpoints(partly, [('a1', {'hints': zones['a1']}), 'b1'])
    w.endpoints(nowhere, [(name, {'hints': {'forZones': [{'name': 'north'}]}}) for name in zones])
    w.settle()
    reaches(w.ca, 'tcp', by_zone.ip, 80, {'a1'})
    reaches(w.cb, 'tcp', by_zone.ip, 80, {'b1'})
    reaches(w.ca, 'tcp', by_node.ip, 80, {'b1'})  # nodes before zones
    reaches(w.cb, 'tcp', by_node.ip, 80, {'a1'})
    for service in (partly, nowhere):
        reaches(w.ca, 'tcp', service.ip, 80, {'a1', 'b1'})


@semantic('two endpoints of one address: the one that serves wins')
def one_address(w, f):
    service = w.service(f)
    w.endpoints(service, [('a1', ENDED)])
    w.endpoints(service, ['a1'])
    other = w.service(f)
    w.endpoints(other, ['a1'])
    w.endpoints(other, [('a1', ENDED)])
    w.settle()
    for one in (service, other):
        reaches(w.ca, 'tcp', one.ip, 80, {'a1'})


@semantic('ClientIP affinity: a client stays, each client alone, and its endpoint leaving moves it')
def affinity(w, f):
    for protocol in ('TCP', 'UDP'):
        service = w.service(f, protocol=protocol, type='NodePort', sessionAffinity='ClientIP')
        slice_name = w.endpoints(service, ['a1', 'a2', 'b1', 'b2'])
        w.settle()
        do = protocol.lower()
        for client, ip, port in ((w.ca, service.ip, 80), (w.cb, service.ip, 80), (w.node1, service.ip, 80),
                                 (w.outside, w.node_ips['node-1'][f], service.node_port)):
            first = getattr(client, do)(ip, port)
            assert first in ('a1', 'a2', 'b1', 'b2'), f'{client.target}: {first}'
            reaches(client, do, ip, port, {first}, times=24)
            assert [getattr(client, do)(ip, port) for _ in range(12)] == [first] * 12, f'{client.target} did not stay with {first}'
        left = w.ca.tcp(service.ip, 80) if do == 'tcp' else w.ca.udp(service.ip, 80)
        w.endpoints(service, sorted({'a1', 'a2', 'b1', 'b2'} - {left}), name=slice_name)
        w.settle()
        moved = getattr(w.ca, do)(service.ip, 80)
        assert moved in {'a1', 'a2', 'b1', 'b2'} - {left}, f'{left} left, then {moved}'


@semantic('ClientIP affinity is of the Service: the same endpoint by ClusterIP, load balancer and node port, and from the pools of both policies',
          nftables='one map of clients for all Services, by the address and port that was asked: each remembers by itself (docs/services.md)',
          ipvs='persistence is a virtual server\'s, each address and port has its own')
def affinity_shared(w, f):
    service = w.service(f, type='LoadBalancer', sessionAffinity='ClientIP')
    vip = w.vip(f)
    w.balance(service, vip)
    w.endpoints(service, ['a1', 'a2', 'b1', 'b2'])
    # Of one pool are the ClusterIP's endpoints, of another those of the node port.
    split = w.service(f, type='NodePort', sessionAffinity='ClientIP', internalTrafficPolicy='Local')
    w.endpoints(split, ['a1', 'a2', 'b1', 'b2'])
    w.settle()
    node_ip = w.node_ips['node-1'][f]
    for client in (w.ca, w.node1):
        first = client.tcp(service.ip, 80)
        for ip, port in ((vip, 80), (node_ip, service.node_port), (service.ip, 80)):
            reaches(client, 'tcp', ip, port, {first}, times=8)
        local = client.tcp(split.ip, 80)
        assert local in ('a1', 'a2'), local
        for ip, port in ((node_ip, split.node_port), (split.ip, 80)):
            reaches(client, 'tcp', ip, port, {local}, times=8)


@semantic('ClientIP affinity ends with its timeout')
def affinity_timeout(w, f):
    service = w.service(f, sessionAffinity='ClientIP', sessionAffinityConfig={'clientIP': {'timeoutSeconds': 1}})
    w.endpoints(service, ['a1', 'a2', 'b1', 'b2'])
    w.settle()

    def pauses():
        time.sleep(2.1)  # what is tested is that time passes
        return w.ca.tcp(service.ip, 80)
    first = w.ca.tcp(service.ip, 80)
    until('another endpoint after a pause', 40, lambda: pauses() != first)
