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
    """Open connections that ask every 50 ms, and one new connection after the other; what went wrong is kept. `mark`: of two at the
    same time, each has its own."""
    def __init__(self, ways, any_udp=None, mark=''):
        self.ways, self.mark, self.wrong, self.asked, self.lost, self.stop = ways, mark, [], 0, 0, threading.Event()
        self.names, self.threads = {}, []
        for number, (label, place, host, port) in enumerate(ways):
            self.names[label] = place.ask('tcp', host=host, port=port, hold=f't{mark}{number}', timeout=5)['name']
            name = place.ask('udp', host=host, port=port, hold=f'u{mark}{number}', timeout=5, connected=True)['name']
            # Of labels that begin so, any endpoint may answer datagrams.
            self.names[label + ' udp'] = None if any_udp and label.startswith(any_udp) else name
            self.threads.append(threading.Thread(target=self.run, args=(number, label, place, host, port)))

    def start(self):
        for thread in self.threads:
            thread.start()

    def run(self, number, label, place, host, port):
        while not self.stop.is_set():
            self.check(label, lambda: place.ask('say', hold=f't{self.mark}{number}', timeout=5)['name'], self.names[label])
            self.check(label + ' udp', lambda: self.datagram(number, label, place, host, port), self.names[label + ' udp'])
            self.check(label + ' new', lambda: place.ask('tcp', host=host, port=port, timeout=5)['name'], None)
            time.sleep(0.05)

    def datagram(self, number, label, place, host, port):
        """A datagram of the node's own may be lost while its translation changes hands, and is sent again by who asks: once."""
        for again in (label.startswith('node to'), False):
            try:
                return place.ask('udp', host=host, port=port, hold=f'u{self.mark}{number}', timeout=3 if again else 5, connected=True)['name']
            except Refused as error:
                if not again or str(error) != 'timeout':
                    raise
                self.lost += 1

    def check(self, label, question, name):
        self.asked += 1
        try:
            answer = question()
        except Refused as error:
            answer = str(error)
        if answer != name if name else answer not in ('near', 'far', 'outside'):
            self.wrong.append(f'{time.strftime("%T")} {label}: {answer} instead of {name or "an endpoint"}')

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


def serves_all(text):
    """kube-proxy has the rules of both families' Services, TCP and UDP; it writes each family on its own."""
    services, family = {'ip': 0, 'ip6': 0}, None
    for line in text.splitlines():
        if line.startswith('table '):
            family = line.split()[1]
        elif 'chain KUBE-SVC-' in line or 'chain service-' in line:
            services[family] += 1
    return all(count >= 2 for count in services.values())


class Ground:
    """Two nodes, a client and two endpoints near and far, a Service for each family, and everybody's ways to them."""
    def __init__(self, one, out=False):
        self.one = one
        for name, node in (('client', NODE), ('near', NODE), ('far', 'node-2')):
            one.create_pod(name, nodeName=node)
        pods = {name: {6 if ':' in e['ip'] else 4: e['ip'] for e in one.wait_ready(name)['status']['podIPs']}
                for name in ('client', 'near', 'far')}
        places = {name: Place(lab.CAUSEWAY, one.name, name) for name in ('client', 'near', 'far', NODE, 'outside')}
        for place in places.values():
            place.start()
        for name in ('near', 'far', 'outside'):
            places[name].ask('serve', name=name, ports=[PORT])
        addresses = by_family(a['address'] for a in one.api('GET', f'/api/v1/nodes/{NODE}')['status']['addresses'] if a['type'] == 'InternalIP')
        elsewhere = by_family(line.split()[0] for line in one.exec('outside', 'sh', '-c', 'ip -o addr show scope global | grep -o "inet6* [^/]*" | cut -d" " -f2').stdout.splitlines())
        self.ways = []
        for family, kind in ((4, 'IPv4'), (6, 'IPv6')):
            made = service(one, f'web{family}', [(pods['near'][family], NODE), (pods['far'][family], 'node-2')], kind)
            virtual, node_port = made['spec']['clusterIP'], {p['name']: p['nodePort'] for p in made['spec']['ports']}
            # One number for both protocols.
            if node_port['tcp'] != node_port['udp']:
                for port in made['spec']['ports']:
                    port['nodePort'] = node_port['tcp']
                one.api('PUT', f'/api/v1/namespaces/default/services/web{family}', made)
            self.ways += [(f'Pod to ClusterIP {kind}', places['client'], virtual, 80),
                          (f'node to ClusterIP {kind}', places[NODE], virtual, 80),
                          (f'outside to NodePort {kind}', places['outside'], addresses[family], node_port['tcp'])]
            if out:
                self.ways += [(f'Pod to outside {kind}', places['client'], elsewhere[family], PORT),
                              (f'Pod to Pod {kind}', places['client'], pods['near'][family], PORT),
                              (f'Pod to Pod of another node {kind}', places['client'], pods['far'][family], PORT)]

    def to_virtual(self):
        return [way for way in self.ways if way[0].startswith('Pod to ClusterIP')]

    def ask_from_ports(self):
        """Connections of a Pod to ClusterIPs that have ended: (their port, whose endpoint answered, a way of that family)."""
        return [(port, place.ask('tcp', host=host, port=to, source=port, timeout=5)['name'], family)
                for family, (_, place, host, to) in enumerate(self.to_virtual()) for port in range(20000, 20004)]

    def ask_endpoints_from(self, ended):
        """Their ports are free for connections to the endpoints themselves, as the socket hooks open them."""
        direct = {'near': 'Pod to Pod', 'far': 'Pod to Pod of another node'}
        for port, name, family in ended:
            label = f'{direct[name]} {("IPv4", "IPv6")[family]}'
            _, place, host, to = next(way for way in self.ways if way[0] == label)
            assert place.ask('tcp', host=host, port=to, source=port, timeout=5)['name'] == name

    def answered(self):
        try:
            return all(place.ask(do, host=host, port=port, timeout=2)['name'] for _, place, host, port in self.ways for do in ('tcp', 'udp'))
        except Refused:
            return False


def by_family(addresses):
    return {6 if ':' in a else 4: a for a in addresses}


def log_of(one):
    return open(f'/tmp/adoption-{one.name}.log').read()


def there_and_back(mode):
    with lab.Lab(f'tadopt-{mode}', '--nodes', '2', '--plane', 'netfilter', '--ip-family', 'dual', '--agent-flag=--no-services') as one:
        ground = Ground(one)
        peer = kube_proxy.start(one, NODE, mode)
        agent = Agent(one)
        try:
            lab.until('kube-proxy serves', 60, ground.answered)
            assert of_kube_proxy(ruleset(one)), 'kube-proxy has rules'

            traffic = Traffic(ground.ways)
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
            lab.until('kube-proxy is back', 60, lambda: serves_all(ruleset(one)))
            time.sleep(3)
            agent.restart(services=False)
            lab.until('our rules of Services are gone', 60, lambda: not ours(one))
            time.sleep(1)
            traffic.end()
            assert not traffic.wrong, traffic.wrong[:8]
            assert of_kube_proxy(ruleset(one)), "kube-proxy's rules are left alone while it runs"
            assert ground.answered()
            print(f'     {mode}: {there} answers on the way there, {traffic.asked - there} on the way back, none wrong; {traffic.lost} datagrams sent again', flush=True)
        finally:
            agent.end()
            kill_kube_proxy(agent.namespace)


def to_plane_bpf_and_back(name, proxy=None):
    """All of the node's Pods stay attached. `proxy`: who balances Services while the node is on plane netfilter, a mode of
    kube-proxy; None: plane netfilter itself."""
    flags = ['--agent-flag=--no-services'] if proxy else []
    with lab.Lab(f'tadopt-{name}', '--nodes', '2', '--plane', 'netfilter', '--ip-family', 'dual', *flags) as one:
        ground = Ground(one, out=True)
        peer = kube_proxy.start(one, NODE, proxy) if proxy else None
        agent = Agent(one)
        traffic = led = None
        try:
            lab.until('Services are served', 60, ground.answered)
            ended = ground.ask_from_ports()
            # kube-proxy forgets what nf_conntrack knows of UDP to a Service without one of its own translations, so the node's
            # own would be balanced anew when it comes back.
            traffic = Traffic(ground.ways, any_udp='node to' if proxy else None)
            traffic.start()
            time.sleep(0.5)
            if peer:
                kill_kube_proxy(agent.namespace)
                peer.wait()
            agent.restart(plane='bpf')
            lab.until('plane bpf carries the packets', 60, lambda: 'plane bpf carries the packets' in log_of(one))
            lab.until('the rules of netfilter are gone', 60,
                      lambda: not of_kube_proxy(ruleset(one)) and not any(word in ruleset(one) for word in ('services', 'fabric', 'handover-prerouting')))
            ground.ask_endpoints_from(ended)
            time.sleep(2)
            assert not traffic.wrong, traffic.wrong[:8]
            there = traffic.asked

            # What is opened here: by the socket hooks, whose flows nothing translates on either plane, and by rows.
            led = Traffic(ground.ways, mark='led')
            led.start()
            time.sleep(0.5)
            if proxy:
                peer = kube_proxy.start(one, NODE, proxy)
                lab.until('kube-proxy is back', 60, lambda: serves_all(ruleset(one)))
                time.sleep(3)
            agent.restart(plane='netfilter', services=not proxy)
            lab.until('plane netfilter carries the packets', 60, lambda: 'plane netfilter carries the packets' in log_of(one))
            time.sleep(2)
            for one_of in (traffic, led):
                one_of.end()
                assert not one_of.wrong, one_of.wrong[:8]
            assert 'handover' not in ruleset(one)
            assert not one.exec(NODE, 'sh', '-c', 'ls /sys/fs/bpf/causeway 2>/dev/null', check=False).stdout, 'pins of plane bpf'
            assert bool(ours(one)) != bool(proxy) and ground.answered()
            print(f'     {name}: {there} answers on the way to plane bpf, {traffic.asked - there} on the way back, and {led.asked} of what was opened between, none wrong; {traffic.lost + led.lost} datagrams sent again', flush=True)
        finally:
            for one_of in (traffic, led):
                if one_of:
                    one_of.stop.set()
            agent.end()
            kill_kube_proxy(agent.namespace)


def test_from_plane_netfilter_to_plane_bpf_and_back():
    to_plane_bpf_and_back('planes')


def test_from_kube_proxy_in_nftables_mode_to_plane_bpf_and_back():
    to_plane_bpf_and_back('bpf-nft', 'nftables')


def test_from_kube_proxy_in_iptables_mode_to_plane_bpf_and_back():
    to_plane_bpf_and_back('bpf-ipt', 'iptables')


def test_from_kube_proxy_in_nftables_mode_and_back():
    there_and_back('nftables')


def test_from_kube_proxy_in_iptables_mode_and_back():
    there_and_back('iptables')


def leave_as_ipvs_mode(one, ground):
    """What a kube-proxy in mode ipvs leaves on a kernel without IPVS: its device with the Services' addresses, and chains."""
    addresses = '; '.join(f'ip addr add {host}/{128 if ":" in host else 32} dev kube-ipvs0 {"nodad" if ":" in host else ""}'
                          for _, _, host, _ in ground.to_virtual())
    chains = '*nat\n:KUBE-SERVICES -\n:KUBE-LOAD-BALANCER -\n-I OUTPUT -j KUBE-SERVICES\nCOMMIT\n*filter\n:KUBE-IPVS-FILTER -\n-I INPUT -j KUBE-IPVS-FILTER\nCOMMIT'
    # No kernel has to have dummy devices for this.
    one.exec(NODE, 'sh', '-c', f'ip link add kube-ipvs0 type dummy 2>/dev/null || ip link add kube-ipvs0 type bridge; ip link set kube-ipvs0 up; {addresses}')
    for program in 'iptables-restore', 'ip6tables-restore':
        one.exec(NODE, 'sh', '-c', f'printf "{chains}\n" | {program} --noflush')
    assert left_by_ipvs_mode(one) == ['kube-ipvs0', 'KUBE-SERVICES', 'KUBE-LOAD-BALANCER', 'KUBE-IPVS-FILTER'], left_by_ipvs_mode(one)


def left_by_ipvs_mode(one):
    text = one.exec(NODE, 'sh', '-c', 'ip -o link; iptables-save; ip6tables-save', check=False).stdout
    return [word for word in ('kube-ipvs0', 'KUBE-SERVICES', 'KUBE-LOAD-BALANCER', 'KUBE-IPVS-FILTER') if word in text]


def test_what_a_kube_proxy_in_ipvs_mode_left_goes_on_both_planes():
    with lab.Lab('tadopt-ipvs', '--nodes', '2', '--plane', 'netfilter', '--ip-family', 'dual', '--agent-flag=--no-services') as one:
        ground = Ground(one)
        agent = Agent(one)
        # What the node sent from such an address holds it for as long as nf_conntrack remembers it: datagrams, and a SYN that nobody
        # answered.
        one.exec(NODE, 'sh', '-c', 'for each in udp_timeout udp_timeout_stream tcp_timeout_syn_sent; do echo 5 > /proc/sys/net/netfilter/nf_conntrack_$each; done')
        try:
            for plane in 'netfilter', 'bpf':
                leave_as_ipvs_mode(one, ground)
                agent.restart(plane=plane)
                # The node asks from the Service's address as long as that is its own: other nodes' endpoints answer too.
                lab.until(f'Services are served on plane {plane}', 60, ground.answered)
                lab.until(f'what kube-proxy left is gone on plane {plane}', 120, lambda: not left_by_ipvs_mode(one))
                lab.until(f'Services are served on plane {plane} without it', 10, ground.answered)
        finally:
            agent.end()


def test_what_somebody_flushes_out_of_iptables_is_back():
    with lab.Lab('tadopt-flush', '--nodes', '2', '--plane', 'netfilter', '--ip-family', 'dual', '--agent-flag=--proxy-mode=iptables') as one:
        ground = Ground(one)
        lab.until('Services are served', 60, ground.answered)
        for command in 'iptables -t nat -F', 'ip6tables -t nat -F PREROUTING', 'nft flush ruleset':
            one.exec(NODE, 'sh', '-c', command)
            # Without the news it would be looked for only every 30 s.
            lab.until(f'the rules are back after {command}', 20, ground.answered)


if __name__ == '__main__':
    lab.main(sys.modules[__name__])
