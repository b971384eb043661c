"""A node that kube-proxy serves becomes ours and goes back to it, with connections open all the time: none breaks, new ones are
answered at every moment, and what kube-proxy left is gone afterwards."""
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / 'lab'), str(HERE.parent / 'services')]
import kube_proxy  # noqa: E402
import lab  # noqa: E402
from place import Place, Refused  # noqa: E402

NODE = 'node-1'
PORT = 8081


def service(one, name, backends, family):
    """A Service with a node port, TCP and UDP, and its endpoints by hand."""
    ports = [{'name': p.lower(), 'protocol': p, 'port': 80, 'targetPort': PORT} for p in ('TCP', 'UDP')]
    body = one.api('POST', '/api/v1/namespaces/default/services',
                   {'apiVersion': 'v1', 'kind': 'Service', 'metadata': {'name': name},
                    'spec': {'type': 'NodePort', 'ports': ports, 'ipFamilyPolicy': 'SingleStack', 'ipFamilies': [family]}})
    one.api('POST', '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices',
            {'apiVersion': 'discovery.k8s.io/v1', 'kind': 'EndpointSlice', 'addressType': family,
             'metadata': {'name': f'{name}-1', 'labels': {'kubernetes.io/service-name': name}},
             'ports': [{'name': p.lower(), 'protocol': p, 'port': PORT} for p in ('TCP', 'UDP')],
             'endpoints': [{'addresses': [ip], 'nodeName': node, 'conditions': {'ready': True}} for ip, node in backends]})
    return body


class Traffic:
    """Open connections that ask every 50 ms, and one new connection after the other; what went wrong is kept."""
    def __init__(self, ways, udp=True):
        self.udp = udp  # who asks by UDP does not ask again
        self.ways, self.wrong, self.asked, self.stop = ways, [], 0, threading.Event()
        self.names, self.threads = {}, []
        for number, (label, place, host, port) in enumerate(ways):
            self.names[label] = place.ask('tcp', host=host, port=port, hold=f't{number}', timeout=5)['name']
            if udp:
                self.names[label + ' udp'] = place.ask('udp', host=host, port=port, hold=f'u{number}', timeout=5)['name']
            self.threads.append(threading.Thread(target=self.run, args=(number, label, place, host, port)))

    def start(self):
        for thread in self.threads:
            thread.start()

    def run(self, number, label, place, host, port):
        while not self.stop.is_set():
            self.check(label, lambda: place.ask('say', hold=f't{number}', timeout=5)['name'], self.names[label])
            if self.udp:
                self.check(label + ' udp', lambda: place.ask('udp', host=host, port=port, hold=f'u{number}', timeout=3)['name'],
                           self.names[label + ' udp'])
            self.check(label + ' new', lambda: place.ask('tcp', host=host, port=port, timeout=5)['name'], None)
            time.sleep(0.05)

    def check(self, label, question, name):
        self.asked += 1
        try:
            answer = question()
        except Refused as error:
            answer = str(error)
        if answer != name if name else answer not in ('near', 'far'):
            self.wrong.append(f'{label}: {answer} instead of {name or "an endpoint"}')

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()


class Agent:
    """The agent of the node, with our flags: the node's own supervisor is frozen meanwhile, so that it starts none."""
    def __init__(self, one):
        self.one = one
        self.pid = one.pids(f'nodes/{NODE}/agent')[0]
        self.command = open(f'/proc/{self.pid}/cmdline').read().split('\0')[:-1]
        status = open(f'/proc/{self.pid}/status').read()
        self.supervisor = int(status.split('PPid:')[1].split()[0])
        self.namespace = os.readlink(f'/proc/{self.pid}/ns/net')
        self.process = None
        pathlib.Path(f'/tmp/adoption-{one.name}.log').unlink(missing_ok=True)

    def restart(self, services=True, plane=None):
        if self.process is None:
            os.kill(self.supervisor, signal.SIGSTOP)
            os.kill(self.pid, signal.SIGKILL)
        else:
            self.one.exec(NODE, 'sh', '-c', f'kill -9 $(cat /run/adoption.pid)')
            self.process.wait()
        flags = [flag for flag in self.command[1:] if flag not in ('--no-services', '--services')]
        if plane:
            flags[flags.index('--plane') + 1] = plane
        line = ' '.join([self.command[0], *flags, '--services' if services else '--no-services'])
        log = open(f'/tmp/adoption-{self.one.name}.log', 'a')
        self.process = subprocess.Popen(
            [lab.CAUSEWAY, 'lab', 'exec', '--name', self.one.name, NODE, '--', 'sh', '-c',
             f'for i in $(seq 100); do [ -e /proc/{self.pid} ] || break; sleep 0.02; done; echo $$ > /run/adoption.pid; exec {line}'],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def end(self):
        if self.process:
            self.one.exec(NODE, 'sh', '-c', 'kill -9 $(cat /run/adoption.pid)', check=False)
            self.process.wait()
            os.kill(self.supervisor, signal.SIGCONT)


def kill_kube_proxy(namespace):
    """Those of this node's network namespace, and no others of this machine."""
    for comm in pathlib.Path('/proc').glob('[0-9]*/comm'):
        try:
            if comm.read_text() == 'kube-proxy\n' and os.readlink(comm.parent / 'ns/net') == namespace:
                os.kill(int(comm.parent.name), signal.SIGKILL)
        except OSError:
            pass


def ruleset(one):
    return one.exec(NODE, 'sh', '-c', 'nft list ruleset 2>&1', check=False).stdout


def ours(one):
    return one.exec(NODE, 'nft', 'list', 'map', 'inet', 'causeway', 'services-inside4', check=False).stdout


def of_kube_proxy(text):
    return [line.strip() for line in text.splitlines()
            if 'table ip kube-proxy' in line or 'table ip6 kube-proxy' in line or ('chain KUBE-' in line and 'KUBE-FIREWALL' not in line)]


def there_and_back(mode):
    with lab.Lab(f'tadopt-{mode}', '--nodes', '2', '--plane', 'netfilter', '--ip-family', 'dual', '--agent-flag=--no-services') as one:
        pods = {}
        for name, node in (('client', NODE), ('near', NODE), ('far', 'node-2')):
            one.create_pod(name, nodeName=node)
        for name in ('client', 'near', 'far'):
            pods[name] = {6 if ':' in e['ip'] else 4: e['ip'] for e in one.wait_ready(name)['status']['podIPs']}
        places = {name: Place(lab.CAUSEWAY, one.name, name) for name in ('client', 'near', 'far', NODE, 'outside')}
        for place in places.values():
            place.start()
        for name in ('near', 'far'):
            places[name].ask('serve', name=name, ports=[PORT])
        addresses = {6 if ':' in a['address'] else 4: a['address']
                     for a in one.api('GET', f'/api/v1/nodes/{NODE}')['status']['addresses'] if a['type'] == 'InternalIP'}
        ways = []
        for family, kind in ((4, 'IPv4'), (6, 'IPv6')):
            made = service(one, f'web{family}', [(pods['near'][family], NODE), (pods['far'][family], 'node-2')], kind)
            virtual, node_port = made['spec']['clusterIP'], {p['name']: p['nodePort'] for p in made['spec']['ports']}
            # One number for both protocols.
            if node_port['tcp'] != node_port['udp']:
                for port in made['spec']['ports']:
                    port['nodePort'] = node_port['tcp']
                one.api('PUT', f'/api/v1/namespaces/default/services/web{family}', made)
            ways += [(f'Pod to ClusterIP {kind}', places['client'], virtual, 80),
                     (f'node to ClusterIP {kind}', places[NODE], virtual, 80),
                     (f'outside to NodePort {kind}', places['outside'], addresses[family], node_port['tcp'])]
        peer = kube_proxy.start(one, NODE, mode)
        agent = Agent(one)
        try:
            def answered():
                try:
                    return all(place.ask(do, host=host, port=port, timeout=2)['name'] for _, place, host, port in ways for do in ('tcp', 'udp'))
                except Refused:
                    return False
            lab.until('kube-proxy serves', 60, answered)
            assert of_kube_proxy(ruleset(one)), 'kube-proxy has rules'

            traffic = Traffic(ways)
            traffic.start()
            time.sleep(0.5)
            # kube-proxy ends and leaves everything; we take over.
            kill_kube_proxy(agent.namespace)
            peer.wait()
            agent.restart(services=True)
            lab.until('our rules are there', 60, lambda: ours(one).count('web') >= 2)
            lab.until("what kube-proxy left is gone", 60, lambda: not of_kube_proxy(ruleset(one)))
            time.sleep(1)
            assert not traffic.wrong, traffic.wrong[:8]
            there = traffic.asked

            # Back: it is started beside us, then we stop to balance.
            peer = kube_proxy.start(one, NODE, mode)
            lab.until('kube-proxy is back', 60, lambda: of_kube_proxy(ruleset(one)))
            time.sleep(3)
            agent.restart(services=False)
            lab.until('our rules of Services are gone', 60, lambda: not ours(one))
            time.sleep(1)
            traffic.end()
            assert not traffic.wrong, traffic.wrong[:8]
            assert of_kube_proxy(ruleset(one)), "kube-proxy's rules are left alone while it runs"
            assert answered()
            print(f'     {mode}: {there} answers on the way there, {traffic.asked - there} on the way back, none wrong', flush=True)
        finally:
            agent.end()
            kill_kube_proxy(agent.namespace)


def test_from_plane_netfilter_to_plane_bpf_on_a_drained_node():
    """Its own connections, and those from outside that it leads to endpoints elsewhere."""
    with lab.Lab('tadopt-bpf', '--nodes', '2', '--plane', 'netfilter', '--ip-family', 'dual') as one:
        for name in ('near', 'far'):
            one.create_pod(name, nodeName='node-2')
        pods = {name: {6 if ':' in e['ip'] else 4: e['ip'] for e in one.wait_ready(name)['status']['podIPs']} for name in ('near', 'far')}
        places = {name: Place(lab.CAUSEWAY, one.name, name) for name in ('near', 'far', NODE, 'outside')}
        for place in places.values():
            place.start()
        for name in pods:
            places[name].ask('serve', name=name, ports=[PORT])
        addresses = {6 if ':' in a['address'] else 4: a['address']
                     for a in one.api('GET', f'/api/v1/nodes/{NODE}')['status']['addresses'] if a['type'] == 'InternalIP'}
        ways = []
        for family, kind in ((4, 'IPv4'), (6, 'IPv6')):
            made = service(one, f'web{family}', [(pods[name][family], 'node-2') for name in pods], kind)
            node_port = {p['name']: p['nodePort'] for p in made['spec']['ports']}['tcp']
            ways += [(f'node to ClusterIP {kind}', places[NODE], made['spec']['clusterIP'], 80),
                     (f'outside to NodePort {kind}', places['outside'], addresses[family], node_port)]
        agent = Agent(one)
        try:
            lab.until('Services are served', 60, lambda: all(
                place.tcp(host, port, timeout=2) in pods for _, place, host, port in ways))
            traffic = Traffic(ways, udp=False)
            traffic.start()
            time.sleep(0.5)
            agent.restart(plane='bpf')
            lab.until('the rules of Services are gone', 60, lambda: 'services' not in ruleset(one))
            time.sleep(2)
            traffic.end()
            assert not traffic.wrong, traffic.wrong[:8]
            log = open(f'/tmp/adoption-{one.name}.log').read()
            assert 'go on by plane bpf' in log, log[-2000:]
            print(f'     bpf: {traffic.asked} answers, none wrong', flush=True)
        finally:
            agent.end()


def test_from_kube_proxy_in_nftables_mode_and_back():
    there_and_back('nftables')


def test_from_kube_proxy_in_iptables_mode_and_back():
    there_and_back('iptables')


if __name__ == '__main__':
    lab.main(sys.modules[__name__])
