"""`causeway service trace` says what packets do: each question is asked of the agent, and played."""
import re
import subprocess

import lab
from place import Place
from semantics import semantic
from world import PODS, UNALLOCATED

SAID = {'refused': 'refused', 'dropped': 'dropped', 'goes on as it is': 'as it is', 'no packet leaves it': 'as it is'}
SEEN = {'refused': ('refused', 'not permitted'), 'dropped': ('timeout',)}


def command(w, verb, *arguments):
    return subprocess.run([lab.CAUSEWAY, 'service', verb, '--lab', w.lab.name, *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=60)


def trace(w, client, target, family, protocol, agent):
    """What the agent of a node says of the client: (verdict, endpoints' addresses, the text)."""
    home = PODS.get(client.target, client.target)
    agent = agent or ('node-1' if home == 'outside' else home)
    if home != agent:
        sender = w.outside_ips[family] if home == 'outside' else w.address(client.target, family)
    else:
        sender = f'default/{client.target}' if client.target in PODS else 'node'
    done = command(w, 'trace', '--node', agent, sender, f'{target}/{protocol}')
    assert not done.stderr, done.stderr
    text = done.stdout.split('kernel:')[0]
    verdict = next((word for said, word in SAID.items() if said in text), 'endpoints')
    return verdict, set(re.findall(r'^  \[?([0-9a-f.:]+?)\]?:\d+(?: |$)', text, re.M)), text


def agree(w, client, ip, port, protocol='tcp', agent=None):
    """The packets do what the trace says."""
    family = 6 if ':' in ip else 4
    target = f'[{ip}]:{port}' if family == 6 else f'{ip}:{port}'
    verdict, addresses, text = trace(w, client, target, family, protocol, agent)
    names = {ips[family]: name for name, ips in w.pod_ips.items() if family in ips}
    got = getattr(client, protocol)(ip, port)
    if verdict == 'endpoints':
        good = addresses and got in {names.get(address) for address in addresses}
    elif verdict == 'as it is':
        good = got not in w.pod_ips  # whoever has the address; in these cells nobody answers there
    else:
        good = got in SEEN[verdict]
    assert good, f'{client.target} {protocol} {target}: {got}, but the trace says\n{text}'


@semantic('causeway service trace says what packets do')
def traced(w, f):
    served, none = (w.service(f, type='NodePort') for _ in range(2))
    local = w.service(f, type='NodePort', externalTrafficPolicy='Local', internalTrafficPolicy='Local')
    bits = 32 if f == 4 else 128
    fenced = w.service(f, type='LoadBalancer', loadBalancerSourceRanges=[f'{w.outside_ips[f]}/{bits}'])
    vip = w.vip(f)
    w.balance(fenced, vip)
    for service in (served, fenced):
        w.endpoints(service, ['a1', 'b1'])
    w.endpoints(local, ['b1'])
    w.settle()
    node = w.node_ips['node-1'][f]
    loopbacks = ('127.0.0.1', '127.0.0.5') if f == 4 else ('::1',)
    for client in (w.ca, w.node1, w.outside):
        for ip, port in ((served.ip, 80), (served.ip, 81), (none.ip, 80), (local.ip, 80), (vip, 80), (UNALLOCATED[f], 81),
                         *((node, s.node_port) for s in (served, none, local, fenced)),
                         *((ip, served.node_port) for ip in loopbacks if client is not w.outside)):
            if client is w.outside and ip == UNALLOCATED[f]:
                continue  # the outside host has it
            agree(w, client, ip, port)
        agree(w, client, node, served.node_port, 'udp')


@semantic('causeway service trace says what packets do to a hostPort')
def traced_host_port(w, f):
    port, name = 20030 + f, w.unique('hp')
    w.lab.create_pod(name, nodeName='node-1', containers=[{'command': ['sleep', '600'], 'ports': [
        {'containerPort': 8081, 'hostPort': port, 'protocol': 'TCP'}]}])
    pod = w.lab.wait_ready(name)
    place = Place(lab.CAUSEWAY, w.lab.name, name)
    place.start()
    place.ask('serve', name=name, ports=[8081])
    w.pod_ips[name] = {6 if ':' in e['ip'] else 4: e['ip'] for e in pod['status']['podIPs']}
    try:
        for client in (w.outside, w.ca, w.cb, w.node1, w.node2):
            agree(w, client, w.node_ips['node-1'][f], port, agent='node-1')
        for ip in ('127.0.0.1', '127.0.0.5') if f == 4 else ('::1',):
            agree(w, w.node1, ip, port)
            agree(w, w.ca, ip, port)
    finally:
        del w.pod_ips[name]
        place.end()
        w.lab.delete_pod(name, grace=0)
        w.lab.wait_gone(name)


@semantic('causeway service: what is not there, or makes no sense, is an error', bpf_6='one test for both', netfilter_6='one test for both')
def errors(w, _):
    for spec in ({'type': 'ExternalName', 'externalName': 'example.org'}, {'clusterIP': 'None'}):
        name = w.unique('n')
        w.lab.api('POST', '/api/v1/namespaces/default/services', {
            'apiVersion': 'v1', 'kind': 'Service', 'metadata': {'name': name}, 'spec': spec})
        w.settle()
        done = command(w, 'show', name)
        word = 'ExternalName' if 'type' in spec else 'headless'
        assert done.returncode == 0 and word in done.stdout and 'no packet is balanced' in done.stdout, done
    for code, said, verb, *arguments in (
            (1, 'no Service default/nobody is known', 'show', 'nobody'),
            (2, 'write [NAMESPACE/]NAME', 'show', 'a/b/c'),
            (1, 'no Pod default/nobody has an address', 'trace', 'default/nobody', '10.96.0.1:443'),
            (2, 'is no sender', 'trace', 'nobody', '10.96.0.1:443'),
            (2, 'is no target', 'trace', 'node', '10.96.0.1'),
            (2, 'none of tcp, udp, sctp', 'trace', 'node', '10.96.0.1:443/icmp'),
            (2, 'no packet has both', 'trace', '203.0.113.9', '[fd10:96::1]:443')):
        done = command(w, verb, *arguments)
        assert (done.returncode, done.stdout) == (code, '') and said in done.stderr and done.stderr.startswith('error: '), (arguments, done)
