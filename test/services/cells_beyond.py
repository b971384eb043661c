"""Balancing beyond kube-proxy, by annotation: plane bpf, but for weights."""
from semantics import semantic
from world import until

ONLY_BPF = 'plane bpf only: the annotation is refused on plane netfilter, by an Event'
PREFIX = 'service.causeway.io/'


def annotated(w, f, **annotations):
    return w.service(f, type='NodePort', annotations={PREFIX + key.replace('_', '-'): value for key, value in annotations.items()})


def tally(client, ip, port, times):
    seen = {}
    for _ in range(times):
        name = client.tcp(ip, port)
        seen[name] = seen.get(name, 0) + 1
    return seen


@semantic('round robin: turns are even', netfilter=ONLY_BPF)
def round_robin(w, f):
    service = annotated(w, f, algorithm='round-robin')
    w.endpoints(service, ['a1', 'a2', 'b1'])
    w.settle()
    for client, ip, port in ((w.ca, service.ip, 80), (w.outside, w.node_ips['node-1'][f], service.node_port)):
        seen = tally(client, ip, port, 60)
        assert set(seen) == {'a1', 'a2', 'b1'} and max(seen.values()) - min(seen.values()) <= 8, f'{client.target}: {seen}'


@semantic('source hash: a client keeps its endpoint, without any state', netfilter=ONLY_BPF)
def source_hash(w, f):
    service = annotated(w, f, algorithm='source-hash')
    w.endpoints(service, ['a1', 'a2', 'b1', 'b2'])
    w.settle()
    for client, ip, port in ((w.ca, service.ip, 80), (w.cb, service.ip, 80), (w.outside, w.node_ips['node-1'][f], service.node_port)):
        seen = tally(client, ip, port, 20)
        assert len(seen) == 1 and set(seen) <= {'a1', 'a2', 'b1', 'b2'}, f'{client.target}: {seen}'


@semantic('weights of an EndpointSlice')
def weights(w, f):
    service = annotated(w, f, **({'ipvs_scheduler': 'wrr'} if w.plane == 'ipvs' else {}))  # rr knows no weights
    name = w.endpoints(service, ['a1', 'b1'])
    w.lab.api('PATCH', f'/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/{name}', {'metadata': {'annotations': {
        PREFIX + 'weights': f'{w.pod_ips["a1"][f]}=9,{w.pod_ips["b1"][f]}=1'}}}, 'application/merge-patch+json')
    w.settle()
    seen = tally(w.ca, service.ip, 80, 200)  # b1: 20 expected, standard deviation 4.2
    assert set(seen) == {'a1', 'b1'} and seen['b1'] <= 45, seen


@semantic('least connections: who holds the fewest gets the next', netfilter=ONLY_BPF)
def least_connections(w, f):
    service = annotated(w, f, algorithm='least-connections')
    w.endpoints(service, ['a1', 'a2'])
    w.settle()
    held = [w.ca.tcp(service.ip, 80, hold=f'{service.name}-{i}') for i in range(20)]
    for i in range(20):
        w.ca.ask('close', hold=f'{service.name}-{i}')
    assert abs(held.count('a1') - held.count('a2')) <= 4 and set(held) == {'a1', 'a2'}, held


@semantic('retry: one connect() succeeds though an endpoint refuses', netfilter=ONLY_BPF)
def retry(w, f):
    service = annotated(w, f, retry='true')
    w.endpoints(service, ['a1', 'b1'])
    w.endpoints(service, ['a2'], ports=[{'name': '', 'port': 9999, 'protocol': 'TCP'}])  # nobody listens there: it refuses
    w.settle()
    for client, ip, port in ((w.ca, service.ip, 80), (w.outside, w.node_ips['node-1'][f], service.node_port)):
        answers = {client.tcp(ip, port, timeout=20) for _ in range(12)}  # the kernel sends a SYN again after 1, 3, 7 s
        assert answers <= {'a1', 'b1'}, f'{client.target}: {answers}'


@semantic('active health checks: an endpoint that does not answer gets nothing new, until it answers', netfilter=ONLY_BPF)
def health_checks(w, f):
    service = annotated(w, f, health_check='tcp', health_check_interval='100ms', health_check_timeout='100ms', health_check_failures='2')
    w.endpoints(service, ['a1'])
    w.endpoints(service, ['a2'], ports=[{'name': '', 'port': 9998, 'protocol': 'TCP'}])
    w.settle()
    until('the silent endpoint is left', 10, lambda: all(w.ca.tcp(service.ip, 80) == 'a1' for _ in range(24)))
