"""What becomes of flows: sizes, fragments, ICMP, endpoints that go."""
from semantics import semantic
from world import gets, reaches, until


@semantic('bulk over TCP, from outside and from a Pod')
def bulk(w, f):
    service = w.service(f, type='NodePort')
    w.endpoints(service, ['b1'])
    w.settle()
    for client, ip, port in ((w.outside, w.node_ips['node-1'][f], service.node_port), (w.ca, service.ip, 80)):
        hold = f'bulk-{service.name}'
        client.ask('tcp', host=ip, port=port, hold=hold)
        assert client.ask('say', hold=hold, size=3_000_000, timeout=10)['name'] == 'b1'
        client.ask('close', hold=hold)


@semantic('fragments: a datagram of 3000 bytes and its answer')
def fragments(w, f):
    service = w.service(f, type='NodePort', protocol='UDP')
    w.endpoints(service, ['a1', 'b1'])
    w.settle()
    for client, ip, port in ((w.outside, w.node_ips['node-1'][f], service.node_port), (w.ca, service.ip, 80), (w.node1, service.ip, 80)):
        # A router does not fragment IPv6: it tells the path's MTU (RFC 8200 section 5), and one datagram is lost. Nor does
        # the tunnel of plane bpf.
        if f == 6 or w.plane == 'bpf':
            until('the tunnel\'s MTU is learnt', 3, lambda: client.udp(ip, port, size=3000) in ('a1', 'b1')
                  and all(client.udp(ip, port, size=3000) != 'timeout' for _ in range(8)))
        reaches(client, 'udp', ip, port, {'a1', 'b1'}, size=3000)


@semantic('ICMP errors of an endpoint reach the client, translated: a closed UDP port')
def icmp_error(w, f):
    service = w.service(f, ports=[(80, 9999)], type='NodePort', protocol='UDP')
    w.endpoints(service, ['b1'])
    w.settle()
    gets(w.ca, 'udp', service.ip, 80, 'refused', connected=True)
    gets(w.node1, 'udp', service.ip, 80, 'refused', connected=True)
    gets(w.outside, 'udp', w.node_ips['node-1'][f], service.node_port, 'refused', connected=True)


@semantic('path MTU: too big for the tunnel is told to the client as if the node port said it')
def path_mtu(w, f):
    service = w.service(f, type='NodePort', protocol='UDP')
    w.endpoints(service, ['b1'])
    w.settle()
    ip, port = w.node_ips['node-1'][f], service.node_port
    reaches(w.outside, 'udp', ip, port, {'b1'}, connected=True, df=True, size=1200)
    gets(w.outside, 'udp', ip, port, 'too big', connected=True, df=True, size=1500 - (28 if f == 4 else 48))
    reaches(w.outside, 'udp', ip, port, {'b1'}, connected=True, df=True, size=1300)


@semantic('an UDP endpoint goes: the next packet of every socket reaches another')
def udp_moves(w, f):
    service = w.service(f, type='NodePort', protocol='UDP')
    slice_name = w.endpoints(service, ['a1'])
    w.settle()
    node = w.node_ips['node-1'][f]
    sockets = [(w.ca, service.ip, 80, False), (w.ca, service.ip, 80, True), (w.node1, service.ip, 80, False),
               (w.node1, service.ip, 80, True), (w.outside, node, service.node_port, True)]

    def each(word):
        for number, (client, ip, port, connected) in enumerate(sockets):
            hold = f'{service.name}-{number}'
            got = client.udp(ip, port, connected=connected, hold=hold)
            assert got == word, f'{client.target} {"connected" if connected else "unconnected"}: {got}, expected {word}'
    each('a1')
    each('a1')
    w.endpoints(service, ['b1'], name=slice_name)
    w.settle()
    each('b1')
    w.endpoints(service, ['a2', ('b1', {'conditions': {'ready': False, 'serving': False, 'terminating': True}})], name=slice_name)
    w.settle()
    each('a2')


@semantic('an UDP socket that was refused works as soon as an endpoint comes')
def udp_comes(w, f):
    service = w.service(f, type='NodePort', protocol='UDP')
    w.settle()
    node = w.node_ips['node-1'][f]
    sources = {'ca': (w.ca, service.ip, 80), 'node': (w.node1, service.ip, 80), 'outside': (w.outside, node, service.node_port)}
    for number, (client, ip, port) in enumerate(sources.values()):
        gets(client, 'udp', ip, port, 'refused', connected=True, source=41000 + 10 * number + f)
    w.endpoints(service, ['b1'])
    w.settle()
    for number, (client, ip, port) in enumerate(sources.values()):
        gets(client, 'udp', ip, port, 'b1', connected=True, source=41000 + 10 * number + f)


@semantic('a TCP connection outlives its endpoint\'s leaving the Service, and the Service')
def tcp_stays(w, f):
    service = w.service(f, type='NodePort')
    slice_name = w.endpoints(service, ['b1'])
    w.settle()
    clients = ((w.ca, service.ip, 80), (w.node1, service.ip, 80), (w.outside, w.node_ips['node-1'][f], service.node_port))
    hold = f'stays-{service.name}'
    for client, ip, port in clients:
        assert client.tcp(ip, port, hold=hold) == 'b1'

    def all_speak(when):
        for client, _, _ in clients:
            assert client.ask('say', hold=hold)['name'] == 'b1', f'{client.target}, {when}'
    all_speak('before')
    w.endpoints(service, ['a1', ('b1', {'conditions': {'ready': False, 'serving': True, 'terminating': True}})], name=slice_name)
    w.settle()
    all_speak('its endpoint terminates')
    for client, ip, port in clients:
        reaches(client, 'tcp', ip, port, {'a1'})
    w.endpoints(service, ['a1'], name=slice_name)
    w.settle()
    all_speak('its endpoint is gone from the Service')
    w.remove(service)
    w.settle()
    all_speak('the Service is gone')
    for client, _, _ in clients:
        client.ask('close', hold=hold)


@semantic('a Service that goes and comes: refused or silent without it, served with it, nothing left of it')
def comes_and_goes(w, f):
    service = w.service(f, type='NodePort')
    w.endpoints(service, ['a1', 'b1'])
    w.settle()
    node = w.node_ips['node-1'][f]
    reaches(w.outside, 'tcp', node, service.node_port, {'a1', 'b1'})
    w.remove(service)
    w.settle()
    gets(w.ca, 'tcp', service.ip, 80, 'timeout')
    gets(w.outside, 'tcp', node, service.node_port, 'refused')  # the node's own stack says so
    again = w.service(f, clusterIP=service.ip)
    w.endpoints(again, ['a2'])
    until('it is served again', 5, lambda: w.ca.tcp(again.ip, 80) == 'a2')
