"""NodePort, LoadBalancer, externalIPs, hostPort: what comes from outside, and the same addresses from inside."""
import lab
from place import Place
from semantics import semantic
from world import SCTP_NUMBER, Refused, gets, reaches, sctp, until

NO_LOOPBACK = 'the kernel routes nothing from ::1 to another host, and has no route_localnet for IPv6'

# Ready when it listens, not when it runs.
LISTENS = {'readinessProbe': {'tcpSocket': {'port': 8081}, 'periodSeconds': 1}}


@semantic('NodePort, TCP: from outside, other nodes, Pods and the node itself')
def node_port_tcp(w, f):
    service = w.service(f, type='NodePort')
    w.endpoints(service, ['a1', 'b1'])
    w.settle()
    for node in ('node-1', 'node-2'):
        ip = w.node_ips[node][f]
        for client in (w.outside, w.node1, w.node2, w.ca, w.cb):
            reaches(client, 'tcp', ip, service.node_port, {'a1', 'b1'})


@semantic('NodePort, UDP')
def node_port_udp(w, f):
    service = w.service(f, type='NodePort', protocol='UDP')
    w.endpoints(service, ['a1', 'b1'])
    w.settle()
    for client in (w.outside, w.node1, w.node2, w.ca, w.cb):
        reaches(client, 'udp', w.node_ips['node-1'][f], service.node_port, {'a1', 'b1'}, connected=True)
    seen = w.outside.ask('udp', host=w.node_ips['node-1'][f], port=service.node_port)
    assert seen['seen'] == w.node_ips['node-1'][f]


@semantic('NodePort, SCTP')
def node_port_sctp(w, f):
    service = w.service(f, ports=[(8082, 8082)], type='NodePort', protocol='SCTP')
    w.endpoints(service, ['b1'])
    w.settle()
    for client in (w.outside, w.ca):
        answer = sctp(client, w.node_ips['node-1'][f], service.node_port)
        assert answer == 'b1', f'{client.target}: {answer}'


@semantic('NodePort at localhost, from the node itself', netfilter_6=NO_LOOPBACK)
def node_port_localhost(w, f):
    for protocol in ('TCP', 'UDP'):
        service = w.service(f, type='NodePort', protocol=protocol)
        w.endpoints(service, ['a1', 'b1'])
        w.settle()
        reaches(w.node1, protocol.lower(), '127.0.0.1' if f == 4 else '::1', service.node_port, {'a1', 'b1'})


@semantic('externalTrafficPolicy Cluster: who comes from outside is seen as the node')
def cluster_masquerades(w, f):
    service = w.service(f, type='NodePort')
    w.endpoints(service, ['b1'])
    w.settle()
    seen = w.outside.ask('tcp', host=w.node_ips['node-1'][f], port=service.node_port)
    assert seen['peer'] != w.outside_ips[f], 'the answer would take another way'


@semantic('LoadBalancer address (ipMode VIP): from outside, Pods and nodes')
def load_balancer(w, f):
    service = w.service(f, type='LoadBalancer')
    vip = w.vip(f)
    w.balance(service, vip)
    w.endpoints(service, ['a1', 'b1'])
    w.settle()
    for client in (w.outside, w.ca, w.cb, w.node1, w.node2):
        reaches(client, 'tcp', vip, 80, {'a1', 'b1'})


@semantic('LoadBalancer address with ipMode Proxy: not captured, it goes to the load balancer')
def load_balancer_proxy(w, f):
    vip = w.vip(f, 'outside')
    w.run('outside', 'ip', '-6' if f == 6 else '-4', 'address', 'add', vip, 'dev', 'lo')
    service = w.service(f, ports=[(8081, 8081)], type='LoadBalancer')
    w.balance(service, vip, 'Proxy')
    w.endpoints(service, ['a1'])
    w.settle()
    for client in (w.ca, w.node1):
        reaches(client, 'tcp', vip, 8081, {'outside'})


@semantic('externalIPs: from outside, Pods and nodes')
def external_ips(w, f):
    vip = w.vip(f)
    service = w.service(f, externalIPs=[vip])
    w.endpoints(service, ['a1', 'b1'])
    w.settle()
    for client in (w.outside, w.ca, w.cb, w.node1):
        reaches(client, 'tcp', vip, 80, {'a1', 'b1'})


@semantic('loadBalancerSourceRanges: others are dropped; NodePort is not subject to them')
def source_ranges(w, f):
    bits = 32 if f == 4 else 128
    services = {}
    for word, cidr in (('in', f'{w.outside_ips[f]}/{bits}'), ('out', '192.0.2.0/24' if f == 4 else '2001:db8:2::/64')):
        service = services[word] = w.service(f, type='LoadBalancer', loadBalancerSourceRanges=[cidr])
        service.vip = w.vip(f)
        w.balance(service, service.vip)
        w.endpoints(service, ['a1', 'b1'])
    w.settle()
    reaches(w.outside, 'tcp', services['in'].vip, 80, {'a1', 'b1'})
    gets(w.outside, 'tcp', services['out'].vip, 80, 'timeout')
    gets(w.ca, 'tcp', services['out'].vip, 80, 'timeout')
    reaches(w.outside, 'tcp', w.node_ips['node-1'][f], services['out'].node_port, {'a1', 'b1'})
    reaches(w.ca, 'tcp', services['out'].ip, 80, {'a1', 'b1'})


@semantic('hostPort, TCP and UDP: from outside, other nodes, Pods, the node, and 127.0.0.1 from the node')
def host_port(w, f):
    port = 20000 + f
    name = w.unique('hp')
    w.lab.create_pod(name, nodeName='node-1', containers=[{
        **LISTENS, 'ports': [{'name': p.lower(), 'containerPort': 8081, 'hostPort': port, 'protocol': p} for p in ('TCP', 'UDP')]}])
    w.lab.wait_ready(name)
    node = w.node_ips['node-1'][f]

    def answers(client, ip):
        got = client.ask('http', host=ip, port=port)
        assert f'"{name}"' in got['body'], f'{client.target} [{ip}]:{port}: {got}'
    for client in (w.outside, w.node2, w.cb, w.ca, w.node1):
        answers(client, node)
    if f == 4:
        answers(w.node1, '127.0.0.1')
    w.lab.delete_pod(name, grace=0)
    w.lab.wait_gone(name)


@semantic('hostPort, SCTP: from outside, other nodes and Pods')
def host_port_sctp(w, f):
    port, name = 20020 + f, w.unique('hp')
    w.lab.create_pod(name, nodeName='node-1', containers=[{'command': ['sleep', '600'], 'ports': [
        {'containerPort': 8082, 'hostPort': port, 'protocol': 'SCTP'}]}])
    w.lab.wait_ready(name)
    place = Place(lab.CAUSEWAY, w.lab.name, name)
    place.start()
    place.ask('serve_sctp', ports=[8082], number=SCTP_NUMBER['a1'])
    try:
        for client in (w.outside, w.cb):
            answer = sctp(client, w.node_ips['node-1'][f], port)
            assert answer == 'a1', f'{client.target}: {answer}'
    finally:
        place.end()
        w.lab.delete_pod(name, grace=0)
        w.lab.wait_gone(name)


@semantic('hostPort only on its hostIP; a taken one is refused')
def host_port_ip(w, f):
    port, node = 20010 + f, w.node_ips['node-1'][f]
    names = [w.unique('hp') for _ in range(2)]
    w.lab.create_pod(names[0], nodeName='node-1', containers=[{**LISTENS, 'ports': [
        {'containerPort': 8081, 'hostPort': port, 'hostIP': node, 'protocol': 'TCP'}]}])
    w.lab.wait_ready(names[0])
    got = w.outside.ask('http', host=node, port=port)
    assert f'"{names[0]}"' in got['body'], got
    if f == 4:
        gets(w.node1, 'tcp', '127.0.0.1', port, 'refused')
    w.lab.create_pod(names[1], nodeName='node-1', containers=[{'ports': [
        {'containerPort': 8081, 'hostPort': port, 'hostIP': node, 'protocol': 'TCP'}]}])
    until('an Event that names the conflict', 10, lambda: any(
        e['involvedObject']['name'] == names[1] and str(port) in e.get('message', '')
        for e in w.lab.api('GET', '/api/v1/namespaces/default/events')['items']))
    for name in names:
        w.lab.delete_pod(name, grace=0)
    for name in names:
        w.lab.wait_gone(name)


@semantic('hostPort with hostIP, TCP, UDP and SCTP: at that address alone, also at a loopback one')
def host_port_addresses(w, f):
    first, name, node = 20040 + 2 * f, w.unique('hp'), w.node_ips['node-1'][f]
    loopback = '127.0.0.1' if f == 4 else '::1'
    w.lab.create_pod(name, nodeName='node-1', containers=[{'command': ['sleep', '600'], 'ports': [
        *({'containerPort': 8082, 'hostPort': first, 'hostIP': node, 'protocol': p} for p in ('TCP', 'UDP', 'SCTP')),
        *({'containerPort': 8082, 'hostPort': first + 1, 'hostIP': loopback, 'protocol': p} for p in ('TCP', 'UDP'))]}])
    w.lab.wait_ready(name)
    place = Place(lab.CAUSEWAY, w.lab.name, name)
    place.start()
    place.ask('serve', name=name, ports=[8082])
    place.ask('serve_sctp', ports=[8082], number=SCTP_NUMBER['a1'])
    try:
        for client in (w.outside, w.cb, w.ca):
            for do in ('tcp', 'udp'):
                reaches(client, do, node, first, {name})
            answer = sctp(client, node, first)
            assert answer == 'a1', f'{client.target}: {answer}'
        for do in ('tcp', 'udp'):
            reaches(w.node1, do, node, first, {name})
        gets(w.node1, 'tcp', loopback, first, 'refused')
        gets(w.outside, 'tcp', node, first + 1, 'refused')
        if f == 4 or w.plane == 'bpf':  # from ::1 the kernel carries nothing to a Pod
            for do in ('tcp', 'udp'):
                reaches(w.node1, do, loopback, first + 1, {name})
    finally:
        place.end()
        w.lab.delete_pod(name, grace=0)
        w.lab.wait_gone(name)


@semantic('healthCheckNodePort: 200 and the count where local endpoints are Ready, else 503')
def health_check(w, f):
    service = w.service(f, type='LoadBalancer', externalTrafficPolicy='Local')
    w.balance(service, w.vip(f))
    port = service.body['spec']['healthCheckNodePort']
    terminating = ('b1', {'conditions': {'ready': False, 'serving': True, 'terminating': True}})
    w.endpoints(service, ['a1', 'a2', terminating])
    w.settle()

    def asked(node):
        try:
            return w.outside.ask('http', host=w.node_ips[node][f], port=port, path='/healthz/of/anything')
        except Refused as error:
            return {'status': str(error)}
    got = until('the port is served', 5, lambda: asked('node-1') if asked('node-1')['status'] == 200 else None)
    assert got['headers']['x-load-balancing-endpoint-weight'] == '2', got
    assert '"localEndpoints": 2' in got['body'] and '"serviceProxyHealthy": true' in got['body'], got
    got = asked('node-2')
    assert got['status'] == 503 and got['headers']['x-load-balancing-endpoint-weight'] == '0', got
    w.remove(service)
    until('the port is closed', 5, lambda: asked('node-1')['status'] == 'refused')


@semantic('health of the proxy: 10256 /healthz and /livez, 10249 /proxyMode and metrics')
def proxy_health(w, f):
    node = w.node_ips['node-1'][f]
    for path in ('/healthz', '/livez'):
        got = w.outside.ask('http', host=node, port=10256, path=path)
        assert got['status'] == 200 and '"lastUpdated"' in got['body'], got
    loopback = '127.0.0.1'
    got = w.node1.ask('http', host=loopback, port=10249, path='/proxyMode')
    assert got['status'] == 200 and w.plane in got['body'], got
    for path, text in (('/flagz', 'plane='), ('/statusz', 'Binary version: '), ('/metrics/slis', 'kubernetes_healthcheck{name="ping",type="healthz"}')):
        got = w.node1.ask('http', host=loopback, port=10249, path=path)
        assert got['status'] == 200 and text in got['body'], got
    got = w.node1.ask('http', host=loopback, port=10249, path='/metrics')
    assert f'kubeproxy_sync_proxy_rules_duration_seconds_count{{ip_family="IPv{f}"}}' in got['body'], got['body'][:2000]
