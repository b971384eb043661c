"""One lab of one plane, its Pods, and how a cell of the grid makes Services in it: objects by the API, endpoints by hand, so that
each condition, hint and label is the cell's own choice."""
import itertools
import threading
import time

import lab
from place import Place, Refused

KINDS = {4: 'IPv4', 6: 'IPv6'}
OTHER = {4: 6, 6: 4}
# Beyond the cluster: addresses of load balancers, which the router sends to node-1 or node-2, or to the outside host.
VIPS = {4: {'node-1': '198.51.100.0/26', 'node-2': '198.51.100.64/26', 'outside': '198.51.100.128/26'},
        6: {'node-1': '2001:db8:51:1::/64', 'node-2': '2001:db8:51:2::/64', 'outside': '2001:db8:51:3::/64'}}
CLUSTER_RANGE = {4: '10.96.0.0/16', 6: 'fd10:96::/112'}
UNALLOCATED = {4: '10.96.250.250', 6: 'fd10:96::fafa'}  # the outside host has them, should a packet ever leave the node
PODS = {'a1': 'node-1', 'a2': 'node-1', 'b1': 'node-2', 'b2': 'node-2', 'ca': 'node-1', 'cb': 'node-2'}
PORTS = (8081, 8082, 8083)  # what every Pod and the outside host answer on
SCTP_NUMBER = {name: 100 + i for i, name in enumerate(PODS)}


def host(cidr, number):
    """The address `number` of a VIP range."""
    base = cidr.split('/')[0]
    return f'{base}{number:x}' if ':' in base else base.rsplit('.', 1)[0] + '.' + str(int(base.rsplit('.', 1)[1]) + number)


class Service:
    def __init__(self, world, family, body):
        self.world, self.family, self.name = world, family, body['metadata']['name']
        self.ip = body['spec'].get('clusterIP')
        self.node_ports = {p.get('name', ''): p.get('nodePort') for p in body['spec']['ports']}
        self.node_port = next(iter(self.node_ports.values()))
        self.body = body


class World:
    def __init__(self, one):
        self.lab, self.numbers, self.vips = one, itertools.count(1), itertools.count(1)
        self.lock, self.cell = threading.Lock(), threading.local()  # cell.family: of the cell that runs on this thread

    def up(self):
        for name, node in PODS.items():
            self.lab.create_pod(name, nodeName=node, labels={'app': 'grid'})
        pods = {name: self.lab.wait_ready(name) for name in PODS}
        self.pod_ips = {name: {6 if ':' in e['ip'] else 4: e['ip'] for e in pod['status']['podIPs']} for name, pod in pods.items()}
        self.node_ips = {}
        for number, zone in ((1, 'east'), (2, 'west')):
            node = self.lab.api('PATCH', f'/api/v1/nodes/node-{number}',
                                {'metadata': {'labels': {'topology.kubernetes.io/zone': zone}}}, 'application/merge-patch+json')
            self.node_ips[f'node-{number}'] = {6 if ':' in a['address'] else 4: a['address'] for a in node['status']['addresses']
                                               if a['type'] == 'InternalIP'}
        self.places = {name: Place(lab.CAUSEWAY, self.lab.name, name) for name in (*PODS, 'node-1', 'node-2', 'outside', 'router')}
        for place in self.places.values():
            place.start()
        for name in (*PODS, 'outside'):
            self.places[name].ask('serve', name=name, ports=PORTS)
        for name in ('node-1', 'node-2'):  # endpoints that are Pods of the node's own network
            self.places[name].ask('serve', name=name, ports=[18081])
        for name in PODS:
            self.places[name].ask('serve_sctp', ports=PORTS, number=SCTP_NUMBER[name])
        for name, place in self.places.items():
            setattr(self, name.replace('-', ''), place)
        self.routes()

    def routes(self):
        """The world outside knows where Service addresses are, as a careless or attacking router would."""
        self.outside_ips = {4: '203.0.113.2', 6: '2001:db8:113::2'}
        for family in (4, 6):
            ip = ['ip', '-6'] if family == 6 else ['ip', '-4']
            hops = {**{n: self.node_ips[n][family] for n in self.node_ips}, 'outside': self.outside_ips[family]}
            ways = [(CLUSTER_RANGE[family], 'node-1'), (UNALLOCATED[family], 'outside'),
                    *((cidr, where) for where, cidr in VIPS[family].items())]
            for target, where in ways:
                self.run('router', *ip, 'route', 'replace', target, 'via', hops[where])
            self.run('outside', *ip, 'address', 'add', UNALLOCATED[family], 'dev', 'lo')

    def run(self, place, *command):
        done = self.places[place].ask('run', command=list(command))
        assert done['code'] == 0, f'{place}: {" ".join(command)}: {done["output"]}'
        return done['output']

    def down(self):
        for place in getattr(self, 'places', {}).values():
            place.end()

    # ---- objects

    def unique(self, word='s'):
        with self.lock:
            return f'{word}{next(self.numbers)}'

    def vip(self, family, where='node-1'):
        with self.lock:
            return host(VIPS[family][where], 1 + next(self.vips) % 60)

    def service(self, family, ports=((80, 8081),), protocol='TCP', labels=None, annotations=None, **spec):
        """Made without selector. Ports are (port, targetPort) or (name, port, targetPort)."""
        name = self.unique()
        listed = []
        for entry in ports:
            entry = entry if len(entry) == 3 else ('', *entry)
            listed.append({'port': entry[1], 'targetPort': entry[2], 'protocol': protocol, **({'name': entry[0]} if entry[0] else {})})
        body = {'apiVersion': 'v1', 'kind': 'Service', 'metadata': {'name': name, 'labels': labels or {}, 'annotations': annotations or {}},
                'spec': {'ports': listed, 'ipFamilies': [KINDS[family]], 'ipFamilyPolicy': 'SingleStack', **spec}}
        return Service(self, family, self.lab.api('POST', '/api/v1/namespaces/default/services', body))

    def balance(self, service, vip, mode='VIP'):
        """The load balancer's address comes, as a cloud or our controller would set it."""
        self.lab.api('PATCH', f'/api/v1/namespaces/default/services/{service.name}/status',
                     {'status': {'loadBalancer': {'ingress': [{'ip': vip, 'ipMode': mode}]}}}, 'application/merge-patch+json')

    def endpoints(self, service, endpoints, ports=None, labels=None, name=None):
        """An EndpointSlice of the Service. Endpoints are names of Pods, or (name, {conditions and fields})."""
        listed = []
        for entry in endpoints:
            entry = entry if isinstance(entry, tuple) else (entry, {})
            fields = dict(entry[1])
            address = fields.pop('address', None) or self.address(entry[0], service.family)
            conditions = {'ready': True, 'serving': True, 'terminating': False, **fields.pop('conditions', {})}
            listed.append({'addresses': [address], 'conditions': conditions, 'nodeName': PODS.get(entry[0], entry[0]), **fields})
        ports = ports or [{'name': p.get('name', ''), 'port': p['targetPort'], 'protocol': p['protocol']} for p in service.body['spec']['ports']]
        name = name or self.unique(service.name + '-')
        body = {'apiVersion': 'discovery.k8s.io/v1', 'kind': 'EndpointSlice', 'addressType': KINDS[service.family],
                'metadata': {'name': name, 'labels': {'kubernetes.io/service-name': service.name, **(labels or {})}},
                'endpoints': listed, 'ports': ports}
        path = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices'
        try:
            self.lab.api('POST', path, body)
        except lab.ApiError as error:
            if error.code != 409:
                raise
            body['metadata']['resourceVersion'] = self.lab.api('GET', f'{path}/{name}')['metadata']['resourceVersion']
            self.lab.api('PUT', f'{path}/{name}', body)
        return name

    def remove(self, service):
        self.lab.api('DELETE', f'/api/v1/namespaces/default/services/{service.name}')

    def address(self, name, family):
        return (self.pod_ips.get(name) or self.node_ips[name])[family]

    def settle(self):
        """Both nodes have applied all that was written before: each watch is in order, so a Service made now and working there
        comes after everything else. Objects that are refused may delay nobody. A second one works when the pass of the first has
        ended: the connections that it left with a wrong endpoint are forgotten too, which comes after the rules."""
        for _ in range(2):
            # It stays: another Service with its address would be taken for it.
            sentinel = self.service(self.cell.family)
            self.endpoints(sentinel, ['a1'])
            for place in (self.node1, self.node2):
                until(f'{place.target} applies Services', 20, lambda: place.tcp(sentinel.ip, 80, timeout=0.3) == 'a1')


def until(what, seconds, question):
    deadline = time.monotonic() + seconds * lab.PATIENCE
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f'not in {seconds * lab.PATIENCE:g} s: {what}')
        time.sleep(0.01)


# ---- what cells expect

def reaches(place, do, ip, port, names, times=24, **wish):
    """Every one of the names answers, and nobody else. (A fair choice among two misses one of them once in 2^23.)"""
    # A busy machine may take longer than what tells silence from an answer elsewhere.
    wish.setdefault('timeout', 5)
    seen = {}
    for _ in range(times * max(1, len(names) - 1) if len(names) > 1 else 3):
        name = getattr(place, do)(ip, port, **wish)
        seen[name] = seen.get(name, 0) + 1
    assert set(seen) == set(names), f'{place.target} {do} [{ip}]:{port}: answers {seen}, expected {sorted(names)}'
    return seen


def gets(place, do, ip, port, word, **wish):
    """Not answered, and this is how: refused (at once), timeout (silence)."""
    for _ in range(3):
        start = time.monotonic()
        answer = getattr(place, do)(ip, port, **wish)
        # A rule that rejects the node's own datagram fails its send(); the ICMP error finds no socket waiting (Linux).
        if word == 'refused' and do == 'udp' and place.target.startswith('node-') and answer == 'not permitted':
            return
        assert answer == word, f'{place.target} {do} [{ip}]:{port}: {answer}, expected {word}'
        took = time.monotonic() - start
        # What is refused only when TCP asks again (after 1 s) is so each time; a machine that is busy is so once.
        if word != 'refused' or took < 0.9 * lab.PATIENCE:
            return
    raise AssertionError(f'{place.target} {do} [{ip}]:{port}: refused after {took:.1f} s, not at once')


def sctp(place, ip, port, **wish):
    """The name of the Pod that answered an INIT."""
    try:
        number = place.ask('sctp', host=ip, port=port, **wish)['number']
    except Refused as error:
        return str(error)
    return next(name for name, value in SCTP_NUMBER.items() if value == number)
