"""ClusterIP: what Pods and nodes reach inside the cluster."""
from semantics import semantic
from world import gets, reaches, sctp, until


@semantic('ClusterIP, TCP: every endpoint, from Pods and nodes')
def tcp(w, f):
    service = w.service(f)
    w.endpoints(service, ['a1', 'b1'])
    w.settle()
    for client in (w.ca, w.cb, w.node1, w.node2):
        reaches(client, 'tcp', service.ip, 80, {'a1', 'b1'})
    for client in ('ca', 'cb'):
        seen = w.places[client].ask('tcp', host=service.ip, port=80)
        assert seen['peer'] == w.pod_ips[client][f], f'{client} is seen as {seen["peer"]}'
        assert (seen['seen'], seen['seen_port']) == (service.ip, 80), f'getpeername says {seen["seen"]}:{seen["seen_port"]}'


@semantic('ClusterIP, UDP: connected and unconnected sockets; answers come from the Service\'s address')
def udp(w, f):
    service = w.service(f, protocol='UDP')
    w.endpoints(service, ['a1', 'b1'])
    w.settle()
    for client in (w.ca, w.cb, w.node1):
        for connected in (False, True):
            reaches(client, 'udp', service.ip, 80, {'a1', 'b1'}, connected=connected)
            seen = client.ask('udp', host=service.ip, port=80, connected=connected)
            assert (seen['seen'], seen['seen_port']) == (service.ip, 80), f'{client.target}: the answer came from {seen["seen"]}'


@semantic('ClusterIP, SCTP', )
def sctp_packets(w, f):
    service = w.service(f, ports=[(8082, 8082)], protocol='SCTP')
    w.endpoints(service, ['b1'])
    w.settle()
    for client in (w.ca, w.cb, w.node1):
        answer = sctp(client, service.ip, 8082)
        assert answer == 'b1', f'{client.target}: {answer}'


@semantic('IPv4 through an IPv6 socket (v4-mapped)', **{'bpf_6': 'a mapped address is IPv4', 'netfilter_6': 'a mapped address is IPv4'})
def mapped(w, f):
    for protocol in ('TCP', 'UDP'):
        service = w.service(f, protocol=protocol)
        w.endpoints(service, ['a1', 'b1'])
        w.settle()
        for client in (w.ca, w.node1):
            reaches(client, protocol.lower(), service.ip, 80, {'a1', 'b1'}, mapped=True)
            seen = client.ask(protocol.lower(), host=service.ip, port=80, mapped=True, connected=True)
            assert seen['seen'] == service.ip, f'{client.target}: the peer is {seen["seen"]}'


@semantic('ClusterIP is not answered to the outside')
def not_from_outside(w, f):
    service = w.service(f)
    w.endpoints(service, ['a1', 'b1'])
    w.settle()
    reaches(w.ca, 'tcp', service.ip, 80, {'a1', 'b1'})
    gets(w.outside, 'tcp', service.ip, 80, 'timeout')


@semantic('several ports of one Service, each to its own target port')
def several_ports(w, f):
    service = w.service(f, ports=[('one', 80, 8081), ('two', 443, 8082)])
    w.endpoints(service, ['a1'], ports=[{'name': 'one', 'port': 8081, 'protocol': 'TCP'}])
    w.endpoints(service, ['b1'], ports=[{'name': 'two', 'port': 8082, 'protocol': 'TCP'}])
    w.settle()
    for client in (w.ca, w.cb, w.node1):
        reaches(client, 'tcp', service.ip, 80, {'a1'})
        reaches(client, 'tcp', service.ip, 443, {'b1'})


@semantic('one Service in both families', bpf_6='one test with both', netfilter_6='one test with both')
def dual_stack(w, _):
    service = w.service(4, ipFamilies=['IPv4', 'IPv6'], ipFamilyPolicy='RequireDualStack')
    assert len(service.body['spec']['clusterIPs']) == 2
    w.endpoints(service, ['a1'])
    service.family = 6
    w.endpoints(service, ['b1'])
    for w.cell.family in (4, 6):
        w.settle()
    for client in (w.ca, w.cb, w.node1):
        reaches(client, 'tcp', service.body['spec']['clusterIPs'][0], 80, {'a1'})
        reaches(client, 'tcp', service.body['spec']['clusterIPs'][1], 80, {'b1'})


@semantic('an endpoint in the node\'s own network')
def host_network(w, f):
    service = w.service(f, ports=[(80, 18081)])
    w.endpoints(service, ['node-1', 'node-2'])
    w.settle()
    for client in (w.ca, w.cb, w.node1, w.node2):
        reaches(client, 'tcp', service.ip, 80, {'node-1', 'node-2'})


@semantic('hairpin: a Pod reaches itself through its Service')
def hairpin(w, f):
    for protocol in ('TCP', 'UDP'):
        service = w.service(f, protocol=protocol)
        w.endpoints(service, ['a1'])
        w.settle()
        reaches(w.a1, protocol.lower(), service.ip, 80, {'a1'})


@semantic('hairpin, SCTP', )
def hairpin_sctp(w, f):
    service = w.service(f, ports=[(8082, 8082)], protocol='SCTP')
    w.endpoints(service, ['a1'])
    w.settle()
    until('the Pod answers itself', 3, lambda: sctp(w.a1, service.ip, 8082) == 'a1')


@semantic('no endpoint anywhere: refused at once, TCP and UDP')
def reject(w, f):
    tcp_service, udp_service = (w.service(f, protocol=p, type='NodePort') for p in ('TCP', 'UDP'))
    w.settle()
    for client in (w.ca, w.cb, w.node1):
        gets(client, 'tcp', tcp_service.ip, 80, 'refused')
        gets(client, 'udp', udp_service.ip, 80, 'refused', connected=True)
    node = w.node_ips['node-1'][f]
    for client in (w.outside, w.cb):
        gets(client, 'tcp', node, tcp_service.node_port, 'refused')
        gets(client, 'udp', node, udp_service.node_port, 'refused', connected=True)


@semantic('a port that a known ClusterIP does not have: refused')
def undefined_port(w, f):
    service = w.service(f)
    w.endpoints(service, ['a1'])
    w.settle()
    for client in (w.ca, w.cb, w.node1):
        gets(client, 'tcp', service.ip, 81, 'refused')
        gets(client, 'udp', service.ip, 80, 'refused', connected=True)


@semantic('an address of a Service range that nobody has: dropped, never sent out')
def unallocated(w, f):
    from world import UNALLOCATED
    w.settle()
    gets(w.outside, 'tcp', UNALLOCATED[f], 8081, 'outside')  # it would answer
    for client in (w.ca, w.node1):
        gets(client, 'tcp', UNALLOCATED[f], 8081, 'timeout')


@semantic('several ServiceCIDRs')
def service_cidrs(w, f):
    name, cidr, used, free = {4: ('grid-v4', '10.97.0.0/24', '10.97.0.5', '10.97.0.77'),
                              6: ('grid-v6', 'fd10:97::/112', 'fd10:97::5', 'fd10:97::77')}[f]
    w.lab.api('POST', '/apis/networking.k8s.io/v1/servicecidrs', {
        'apiVersion': 'networking.k8s.io/v1', 'kind': 'ServiceCIDR', 'metadata': {'name': name}, 'spec': {'cidrs': [cidr]}})
    family = ['-6'] if f == 6 else ['-4']
    w.run('router', 'ip', *family, 'route', 'replace', free, 'via', w.outside_ips[f])
    w.run('outside', 'ip', *family, 'address', 'add', free, 'dev', 'lo')
    service = []

    def made():
        try:
            service.append(w.service(f, clusterIP=used))
        except Exception:  # the range is not ready yet
            return False
        return True
    until('a Service in the new range', 10, made)
    w.endpoints(service[0], ['a1', 'b1'])
    w.settle()
    for client in (w.ca, w.node1):
        reaches(client, 'tcp', used, 80, {'a1', 'b1'})
        gets(client, 'tcp', free, 8081, 'timeout')


@semantic('labels service-proxy-name and headless: not ours')
def labels(w, f):
    other = w.service(f, labels={'service.kubernetes.io/service-proxy-name': 'other'})
    w.endpoints(other, ['a1'])
    headless = w.service(f)
    w.endpoints(headless, ['a1'], labels={'service.kubernetes.io/headless': ''})
    w.settle()
    for client in (w.ca, w.node1):
        gets(client, 'tcp', other.ip, 80, 'timeout')
        gets(client, 'tcp', headless.ip, 80, 'refused')
    w.lab.api('PATCH', f'/api/v1/namespaces/default/services/{other.name}',
              {'metadata': {'labels': {'service.kubernetes.io/service-proxy-name': None}}}, 'application/merge-patch+json')
    w.settle()
    reaches(w.ca, 'tcp', other.ip, 80, {'a1'})
